"""Record where sockets connect to, and send them to a substitute on loopback."""

import socket
from typing import Any, ClassVar


def recording_socket(loopback_port: int) -> tuple[type[socket.socket], list[tuple[str, int]]]:
    """Return a class of sockets, and the list of host and port of each of their connections.

    Every connection goes to the port on loopback instead, so that no test reaches a public
    address.
    """
    dialled: list[tuple[str, int]] = []

    class RecordingSocket(socket.socket):
        loopback: ClassVar = ("127.0.0.1", loopback_port)

        def connect(self, address: Any) -> None:
            dialled.append((address[0], address[1]))
            target = self.loopback
            if self.family == socket.AF_INET6:
                target = (f"::ffff:{target[0]}", target[1])
            super().connect(target)

    return RecordingSocket, dialled

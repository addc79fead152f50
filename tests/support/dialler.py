"""Sockets that write down where they were to connect, and go to a stand-in on loopback."""

import socket
from typing import Any, ClassVar


def recording_socket(stand_in_port: int) -> tuple[type[socket.socket], list[tuple[str, int]]]:
    """A class of sockets, and the list of what they dialled: host and port, as vetted.

    Whatever address is dialled, the connection goes to the stand-in, so that a test never
    reaches a public address.
    """
    dialled: list[tuple[str, int]] = []

    class RecordingSocket(socket.socket):
        stand_in: ClassVar = ("127.0.0.1", stand_in_port)

        def connect(self, address: Any) -> None:
            dialled.append((address[0], address[1]))
            target = self.stand_in
            if self.family == socket.AF_INET6:
                target = (f"::ffff:{target[0]}", target[1])
            super().connect(target)

    return RecordingSocket, dialled

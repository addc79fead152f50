"""Run a name server on loopback that gives the answers that a test sets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

A, CNAME, AAAA = 1, 5, 28
NXDOMAIN, SERVFAIL = 3, 2

Answer = Sequence[str] | int | None
"""Addresses (names, for CNAME records), an error code, or None for no answer."""


@dataclass
class NameServer(asyncio.DatagramProtocol):
    """Answer questions about names.

    Attributes:
        names: the answer for each name, or a function that is called for each question.
        asked: the name and record type of each question.
    """

    port: int = 0
    names: dict[str, Answer | Callable[[], Answer]] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    _transport: Any = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        name, end = _read_name(data, 12)
        kind = int.from_bytes(data[end : end + 2])
        self.asked.append((name, kind))
        answer = self.names.get(name, NXDOMAIN)
        if callable(answer):
            answer = answer()
        if answer is None:
            return
        question = data[12 : end + 4]
        if isinstance(answer, int):
            self._send(data, answer, question, [], address)
            return
        self._send(data, 0, question, _records(answer, kind), address)

    def _send(
        self, query: bytes, code: int, question: bytes, records: list[bytes], address: Any
    ) -> None:
        flags = 0x8580 | code
        counts = b"\x00\x01" + len(records).to_bytes(2) + bytes(4)
        head = query[:2] + flags.to_bytes(2) + counts
        self._transport.sendto(head + question + b"".join(records), address)


@contextlib.asynccontextmanager
async def open_name_server() -> AsyncIterator[NameServer]:
    server = NameServer()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: server, local_addr=("127.0.0.1", 0)
    )
    server.port = transport.get_extra_info("sockname")[1]
    yield server
    transport.close()


def _records(answers: Sequence[str], kind: int) -> list[bytes]:
    records, owner = [], b"\xc0\x0c"
    for answer in answers:
        try:
            packed = ip_address(answer).packed
        except ValueError:
            target = _write_name(answer)
            records.append(owner + _record(CNAME, target))
            owner = target
            continue
        if kind == (A if len(packed) == 4 else AAAA):
            records.append(owner + _record(kind, packed))
    return records


def _record(kind: int, data: bytes) -> bytes:
    return kind.to_bytes(2) + b"\x00\x01" + (0).to_bytes(4) + len(data).to_bytes(2) + data


def _read_name(data: bytes, position: int) -> tuple[str, int]:
    labels = []
    while length := data[position]:
        labels.append(data[position + 1 : position + 1 + length].decode().lower())
        position += 1 + length
    return ".".join(labels), position + 1


def _write_name(name: str) -> bytes:
    labels = (label.encode() for label in name.split("."))
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"

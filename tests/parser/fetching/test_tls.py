"""TLS is always verified."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import pytest
import trustme

from parser_service.config import Settings
from parser_service.dependencies import open_pipeline
from parser_service.exceptions import FetchError
from tests.support.dialler import recording_socket
from tests.support.dns import NameServer, open_name_server
from tests.support.pages import Pages

PAGE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 23\r\n"
    b"Connection: close\r\n\r\n<title>verified</title>"
)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def names() -> AsyncIterator[NameServer]:
    async with open_name_server() as server:
        server.names["good.example"] = ["203.0.114.7"]
        server.names["other.example"] = ["203.0.114.8"]
        yield server


@contextlib.asynccontextmanager
async def _serving(context: ssl.SSLContext | None) -> AsyncIterator[int]:
    stop = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            if context is None:
                await stop.wait()
            await reader.readuntil(b"\r\n\r\n")
            writer.write(PAGE)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    stop.set()
    server.close()


def _server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


async def _fetch(
    url: str, port: int, names: NameServer, authority: trustme.CA, folder: Path
) -> str:
    bundle = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    settings = Settings(
        fetch_nameservers=(names.address,),
        fetch_connect_timeout=0.5,
        fetch_timeout=3,
        fetch_ca_bundle=bundle,
    )
    sockets, _ = recording_socket(port)
    async with open_pipeline(settings, socket_class=sockets) as handler:
        try:
            return (await Pages(handler).get(url)).title
        except FetchError as error:
            return error.code


async def test_an_operators_own_authority_is_trusted(
    authority: trustme.CA, names: NameServer, tmp_path: Path
) -> None:
    context = _server_context(authority.issue_cert("good.example"))
    async with _serving(context) as port:
        assert await _fetch("https://good.example/", port, names, authority, tmp_path) == "verified"


async def test_an_unknown_authority_is_not_trusted(
    authority: trustme.CA, names: NameServer, tmp_path: Path
) -> None:
    context = _server_context(trustme.CA().issue_cert("good.example"))
    async with _serving(context) as port:
        assert (
            await _fetch("https://good.example/", port, names, authority, tmp_path) == "tls_error"
        )


async def test_the_name_in_the_certificate_counts_not_the_address(
    authority: trustme.CA, names: NameServer, tmp_path: Path
) -> None:
    context = _server_context(authority.issue_cert("good.example"))
    async with _serving(context) as port:
        assert (
            await _fetch("https://other.example/", port, names, authority, tmp_path) == "tls_error"
        )


async def test_an_expired_certificate_is_refused(
    authority: trustme.CA, names: NameServer, tmp_path: Path
) -> None:
    expired = authority.issue_cert("good.example", not_after=datetime.now(UTC) - timedelta(days=1))
    async with _serving(_server_context(expired)) as port:
        assert (
            await _fetch("https://good.example/", port, names, authority, tmp_path) == "tls_error"
        )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_old_tls_is_refused(authority: trustme.CA, names: NameServer, tmp_path: Path) -> None:
    context = _server_context(authority.issue_cert("good.example"))
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    async with _serving(context) as port:
        assert (
            await _fetch("https://good.example/", port, names, authority, tmp_path) == "tls_error"
        )


async def test_a_handshake_that_stalls_is_given_up_in_the_time_for_connecting(
    authority: trustme.CA, names: NameServer, tmp_path: Path
) -> None:
    started = perf_counter()
    async with _serving(None) as port:
        assert (
            await _fetch("https://good.example/", port, names, authority, tmp_path) == "tls_error"
        )
    assert perf_counter() - started < 2


async def test_plain_http_on_the_port_of_https_is_a_tls_error(
    authority: trustme.CA, names: NameServer, tmp_path: Path
) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(PAGE)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await _fetch("https://good.example/", port, names, authority, tmp_path) == "tls_error"
    server.close()

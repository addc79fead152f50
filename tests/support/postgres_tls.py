"""Speak PostgreSQL's TLS in front of a server that has none."""

import asyncio
import ssl
from pathlib import Path

from tests.support.tls_ends import Serve, forward

SSL_REQUEST = bytes.fromhex("0000000804d2162f")


def terminate_tls(socket: Path, context: ssl.SSLContext, plain: list[bytes]) -> Serve:
    """Forward to a server's Unix socket what arrives by TLS; keep what arrives without."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await reader.readexactly(8)
            if first != SSL_REQUEST:
                plain.append(first)
                return
            writer.write(b"S")
            await writer.start_tls(context)
            from_server, server = await asyncio.open_unix_connection(str(socket))
            await forward(reader, writer, from_server, server)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client refused the certificate
        finally:
            writer.close()

    return serve

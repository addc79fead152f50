"""Read the body of a response: decoded, within its limit and within the process's budget."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx

from parser_service.exceptions import TooLargeError
from parser_service.fetching.body_budget import BodyBudget, GrowingBody
from parser_service.fetching.response import body_decoder

START_BYTES = 1445
"""Bytes that decide the kind of a document without a type (MIME Sniffing Standard, 5.2)."""
UNCOUNTED_BYTES = 64 * 1024
"""Bytes that a body may have beside the budget: most pages are no larger."""


BYTES_PER_TURN = 1024 * 1024
"""Decoded bytes after which others have a turn of the event loop."""


class BodyReader:
    """Read bodies.

    Args:
        max_bytes: of one decoded body.
        budget: what all bodies together may have.
    """

    def __init__(self, *, max_bytes: int, budget: BodyBudget) -> None:
        self._max_bytes = max_bytes
        self._budget = budget

    async def read(
        self,
        response: httpx.Response,
        *,
        hold: Callable[[GrowingBody], Awaitable[None]],
        check_start: Callable[[bytes], None] | None,
    ) -> bytes:
        """Read the whole body.

        Args:
            response: of `GuardedTransport`; its body is not read yet.
            hold: enters what a large body has of the budget, until the page is delivered.
            check_start: called once, with the first `START_BYTES` of a longer body; may refuse it.

        Raises:
            TooLargeError: it is larger than one body may be.
            BadContentEncodingError: it cannot be decoded.
            FetchTimeoutError: it arrives too slowly, and others wait for the budget.
        """
        decoder = body_decoder(response)
        length = response.headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._max_bytes:
            raise TooLargeError
        body, growing = bytearray(), self._budget.begin(response.extensions["is_silent"])
        async with growing.arriving():
            async for chunk in response.aiter_raw():
                for piece in decoder.decode(chunk):
                    size = len(body) + len(piece)
                    if size > self._max_bytes:
                        raise TooLargeError
                    if size > UNCOUNTED_BYTES:
                        if not growing.taken:
                            await hold(growing)
                        await growing.take(size - growing.taken)
                    body += piece
                    if size // BYTES_PER_TURN > (size - len(piece)) // BYTES_PER_TURN:
                        await asyncio.sleep(0)  # one chunk may have become very many pieces
                    if check_start is not None and size >= START_BYTES:
                        check_start(bytes(body[:START_BYTES]))
                        check_start = None
                if decoder.is_complete:
                    break
        decoder.check_complete()
        return bytes(body)

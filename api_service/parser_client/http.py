"""Call the parser's synchronous entrance, `GET /fetch`."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from functools import partial
from http import HTTPStatus
from urllib.parse import urlencode

import aiohttp
import structlog
from yarl import URL

from api_service.config import DEFAULT_LARGEST_RESULT_BYTES
from api_service.edge.answer_memory import AnswerMemory, HeldAnswer
from api_service.parser_client.exceptions import (
    InvalidUrlError,
    PageError,
    ParserBusyError,
    ParserUnavailableError,
)
from api_service.parser_client.messages import read_fetch_answer, read_problem

PARSE_SYNC_MEDIA_TYPE = "application/vnd.page-parser.answer+json"
"""The media type of our own parser: its body has exactly the members of `GET /parse_sync`."""

DEFAULT_RETRY_AFTER_SECONDS = 5
"""Seconds after which a client may ask again if a busy parser does not say."""
MAX_RETRY_AFTER_SECONDS = 60
"""The most seconds of a parser's `Retry-After` that are handed on."""

MAX_PROBLEM_BYTES = 64 * 1024
"""Bytes of an error's body that are read."""
MAX_BYTES_READ_ON_LOOP = 256 * 1024
"""A larger answer of a foreign parser is read in a thread: the loop has other work."""

log = structlog.get_logger()


class ParserHttp:
    """Call `GET /fetch` on one parser, or on a balancer of several.

    Args:
        base_url: the parser's.
        timeout: seconds for one call; above the parser's own deadline.
        largest: bytes of an answer.
    """

    def __init__(
        self, base_url: str, *, timeout: float, largest: int = DEFAULT_LARGEST_RESULT_BYTES
    ) -> None:
        self._url = f"{base_url.rstrip('/')}/fetch"
        self._largest = largest
        self._completing = asyncio.Lock()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # the parser limits what runs at once
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={
                "Accept": f"{PARSE_SYNC_MEDIA_TYPE}, application/json;q=0.9",
                "Accept-Encoding": "identity",  # a few compressed bytes may be a gigabyte
            },
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=timeout),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def fetch(
        self,
        url: str,
        trace_id: str | None,
        options: Mapping[str, bool],
        *,
        memory: AnswerMemory,
    ) -> HeldAnswer:
        """Fetch and parse a page now.

        Returns:
            A `ParseSyncAnswer` in JSON. Our own parser's answer is passed on unread.

        Raises:
            PageError: the page could not be fetched.
            InvalidUrlError: the parser does not accept the URL.
            ParserBusyError: the parser has no place for the page in time.
            ParserUnavailableError: the parser does not answer, or its answer is unreadable.
            AnswerMemoryFullError: too many large answers are being read.
        """
        headers = {"X-Request-ID": trace_id} if trace_id else {}
        query = urlencode({"url": url} | {name: str(on).lower() for name, on in options.items()})
        target = URL(f"{self._url}?{query}", encoded=True)
        try:
            async with self._session.get(target, headers=headers, allow_redirects=False) as answer:
                if answer.status == HTTPStatus.OK:
                    return await self._read_page(answer, memory)
                body = await _read_problem_body(answer)
            if answer.status == HTTPStatus.BAD_GATEWAY:
                raise _page_error(body)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            log.error("parser unavailable", error=repr(error)[:200])
            raise ParserUnavailableError from error
        if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            raise _invalid_url(body)
        if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
            raise ParserBusyError(retry_after=_retry_after(answer))
        log.error("parser answered unexpectedly", status=answer.status)
        raise ParserUnavailableError

    async def _read_page(self, answer: aiohttp.ClientResponse, memory: AnswerMemory) -> HeldAnswer:
        """Read a page while there is room for it.

        Raises:
            ValueError: it is too large, encoded, or no page.
        """
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise ValueError("the answer is compressed, which was not asked for")
        pieces = _pieces_up_to(answer, self._largest)
        complete = partial(self._complete_if_foreign, answer)
        size = answer.content_length
        if size is None:
            return await memory.wait_and_collect(pieces, complete)
        if size > self._largest:
            raise ValueError(f"the answer has {size} bytes")

        async def read() -> bytes:
            return await complete(b"".join([piece async for piece in pieces]))

        return await memory.wait_and_make(size, read, one_at_a_time=False)

    async def _complete_if_foreign(self, answer: aiohttp.ClientResponse, body: bytes) -> bytes:
        """Set the members that a foreign parser leaves out to null."""
        if answer.content_type == PARSE_SYNC_MEDIA_TYPE:
            return body
        if len(body) <= MAX_BYTES_READ_ON_LOOP:
            return _completed_with_nulls(body)
        async with self._completing:  # it takes several times its size
            return await asyncio.to_thread(_completed_with_nulls, body)


async def _pieces_up_to(answer: aiohttp.ClientResponse, limit: int) -> AsyncIterator[bytes]:
    """Read a body as it comes.

    Raises:
        ValueError: it has more bytes than the limit.
    """
    size = 0
    async for piece in answer.content.iter_any():
        size += len(piece)
        if size > limit:
            raise ValueError(f"the answer has more than {limit} bytes")
        yield piece


async def _read_problem_body(answer: aiohttp.ClientResponse) -> bytes:
    """Read an error's body; what is longer than `MAX_PROBLEM_BYTES` counts as empty."""
    try:
        pieces = [piece async for piece in _pieces_up_to(answer, MAX_PROBLEM_BYTES)]
    except ValueError:
        return b""  # the status says enough; the connection is closed
    return b"".join(pieces)


def _retry_after(answer: aiohttp.ClientResponse) -> int:
    """Return the seconds that a parser asks for, within reason; it may send anything."""
    text = answer.headers.get("Retry-After", "")
    seconds = int(text) if re.fullmatch("[0-9]{1,4}", text) else DEFAULT_RETRY_AFTER_SECONDS
    return min(max(seconds, 1), MAX_RETRY_AFTER_SECONDS)


def _page_error(body: bytes) -> PageError:
    problem = read_problem(body)
    return PageError(
        problem.detail,
        code=problem.code,
        retryable=problem.retryable,
        page_status=problem.page_status,
    )


def _invalid_url(body: bytes) -> InvalidUrlError:
    """Make the error of a 422; a foreign parser may mean anything by it."""
    try:
        is_named = read_problem(body).code == InvalidUrlError.code
    except ValueError:
        is_named = False
    return (
        InvalidUrlError() if is_named else InvalidUrlError("The parser does not accept this URL.")
    )


def _completed_with_nulls(body: bytes) -> bytes:
    """Set the members that a foreign parser leaves out to null."""
    return read_fetch_answer(body).model_dump_json().encode()

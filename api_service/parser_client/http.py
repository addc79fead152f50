"""Call the parser's synchronous entrance, `GET /fetch`."""

import re
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from urllib.parse import urlencode

import aiohttp
import structlog
from yarl import URL

from api_service.edge.answer_memory import AnswerMemory, HeldAnswer
from api_service.parser_client.exceptions import (
    InvalidUrlError,
    PageError,
    ParserBusyError,
    ParserUnavailableError,
)
from api_service.parser_client.messages import ParserProblem, read_fetch_answer

PARSE_SYNC_MEDIA_TYPE = "application/vnd.page-parser.answer+json"
"""The media type of our own parser: its body has exactly the members of `GET /parse_sync`."""

DEFAULT_RETRY_AFTER_SECONDS = 5
"""Seconds after which a client may ask again if a busy parser does not say."""
MAX_RETRY_AFTER_SECONDS = 60
"""The most seconds of a parser's `Retry-After` that are handed on."""

log = structlog.get_logger()


class ParserHttp:
    """Call `GET /fetch` on one parser, or on a balancer of several.

    Args:
        base_url: the parser's.
        timeout: seconds for one call; above the parser's own deadline.
    """

    def __init__(self, base_url: str, *, timeout: float) -> None:
        self._url = f"{base_url.rstrip('/')}/fetch"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # the parser limits what runs at once
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept": f"{PARSE_SYNC_MEDIA_TYPE}, application/json;q=0.9"},
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
                    size = answer.content_length or 0
                    return await memory.wait_and_make(
                        size, partial(_read_body_completed_if_foreign, answer), one_at_a_time=False
                    )
                body = await answer.read()
            if answer.status == HTTPStatus.BAD_GATEWAY:
                raise _page_error(body)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            log.error("parser unavailable", error=repr(error)[:200])
            raise ParserUnavailableError from error
        if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            raise InvalidUrlError
        if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
            raise ParserBusyError(retry_after=_retry_after(answer))
        log.error("parser answered unexpectedly", status=answer.status)
        raise ParserUnavailableError


async def _read_body_completed_if_foreign(answer: aiohttp.ClientResponse) -> bytes:
    body = await answer.read()
    return body if answer.content_type == PARSE_SYNC_MEDIA_TYPE else _completed_with_nulls(body)


def _retry_after(answer: aiohttp.ClientResponse) -> int:
    """Return the seconds that a parser asks for, within reason; it may send anything."""
    text = answer.headers.get("Retry-After", "")
    seconds = int(text) if re.fullmatch("[0-9]{1,4}", text) else DEFAULT_RETRY_AFTER_SECONDS
    return min(max(seconds, 1), MAX_RETRY_AFTER_SECONDS)


def _page_error(body: bytes) -> PageError:
    problem = ParserProblem.model_validate_json(body)
    return PageError(
        problem.detail,
        code=problem.code,
        retryable=problem.retryable,
        page_status=problem.page_status,
    )


def _completed_with_nulls(body: bytes) -> bytes:
    """Set the members that a foreign parser leaves out to null."""
    return read_fetch_answer(body).model_dump_json().encode()

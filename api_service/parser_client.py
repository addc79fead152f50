"""All that the API knows of the parser: its HTTP call, its Redis keys, its messages.

The messages here are this service's own, narrow copy of the wire (`docs/wire-contract.md`);
golden examples in `tests/contract/` keep it equal to the parser's.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import httpx
import redis.asyncio as aioredis
import structlog
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from redis.backoff import NoBackoff

from api_service.exceptions import InvalidUrlError, PageError, ParserUnavailableError

SEEN_SECONDS = 10
"""A parser or worker that was seen this long ago counts as there."""

log = structlog.get_logger()


def _storable(text: str) -> str:
    """PostgreSQL's text holds neither NUL nor half a surrogate pair."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
Text = Annotated[str, AfterValidator(_storable)]


class _Message(BaseModel):
    """Members that are not named are ignored: messages may grow."""

    model_config = ConfigDict(frozen=True)


class Job(_Message):
    """What is pushed onto the parser's list."""

    id: int
    url: str
    token: str
    reply: str
    trace: str | None = None
    respect_robots: bool | None = None
    title_fallback: bool | None = None
    alone: bool | None = None


class Announcement(_Message):
    """What the parser pushes onto our reply list when a result is stored."""

    id: int
    token: str
    bytes: int = 0


class FailureReason(_Message):
    """Why a page could not be had."""

    code: Text
    message: Text
    retryable: bool = False
    page_status: int | None = None
    retry_after: float | None = None


class PageResult(_Message):
    """The result of a job whose page was had. A foreign parser sends title and HTML only."""

    status: Literal["success"]
    title: Text
    title_source: Text | None = None
    html: Text
    metadata: dict[str, Any] | None = None
    final_url: Text | None = None
    redirects: list[dict[str, Any]] | None = None
    http_status: int | None = None
    content_type: Text | None = None
    charset: Text | None = None
    bytes: int | None = None
    elapsed_ms: int | None = None
    fetched_at: datetime | None = None
    token: str | None = None


class FailureResult(_Message):
    """The result of a job whose page could not be had. A foreign parser sends `error` only."""

    status: Literal["failure"]
    error: Text = "The page could not be fetched."
    reason: FailureReason | None = None
    token: str | None = None


Result = PageResult | FailureResult
_RESULT: TypeAdapter[Result] = TypeAdapter(Annotated[Result, Field(discriminator="status")])


class FetchedPage(_Message):
    """The answer of the parser's `GET /fetch`."""

    url: str
    title: str
    title_source: str | None = None
    html: str
    metadata: dict[str, Any] | None = None
    final_url: str | None = None
    redirects: list[dict[str, Any]] | None = None
    http_status: int | None = None
    content_type: str | None = None
    charset: str | None = None
    bytes: int | None = None
    elapsed_ms: int | None = None
    fetched_at: datetime | None = None


class _Problem(_Message):
    detail: str
    code: str = "internal_error"
    retryable: bool = False
    page_status: int | None = None


class ParserHttp:
    """The parser's synchronous entrance.

    Args:
        client: its base URL is the parser's, its time-out above the parser's own deadline.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def fetch(
        self, url: str, trace_id: str | None, options: Mapping[str, bool]
    ) -> FetchedPage:
        """Have a page fetched and parsed now.

        Raises:
            PageError: the page cannot be had.
            InvalidUrlError: the parser does not accept the URL.
            ParserUnavailableError: the parser does not answer, or not as it should.
        """
        headers = {"X-Request-ID": trace_id} if trace_id else {}
        try:
            params: dict[str, str | bool] = {"url": url, **options}
            response = await self._client.get("/fetch", params=params, headers=headers)
            match response.status_code:
                case 200:
                    return FetchedPage.model_validate_json(response.content)
                case 502:
                    problem = _Problem.model_validate_json(response.content)
                case 422:
                    raise InvalidUrlError
                case status:
                    log.error("parser answered unexpectedly", status=status)
                    raise ParserUnavailableError
        except (httpx.HTTPError, ValidationError) as error:
            log.error("parser unavailable", error=repr(error)[:200])
            raise ParserUnavailableError from error
        raise PageError(
            problem.detail,
            code=problem.code,
            retryable=problem.retryable,
            page_status=problem.page_status,
        )


class ParserQueue:
    """The parser's asynchronous entrance: its list, its result keys, our reply list."""

    def __init__(self, redis: aioredis.Redis, *, task_queue: str, result_prefix: str) -> None:
        self._redis = redis
        self._task_queue = task_queue
        self._result_prefix = result_prefix
        self._parsers_key = f"{task_queue}:parsers"
        self._workers_key = f"{task_queue}:workers"
        self.reply_list = f"{task_queue}:done"

    async def push(self, jobs: Sequence[Job]) -> None:
        """Append jobs to the list, in this order."""
        messages = [job.model_dump_json(exclude_none=True) for job in jobs]
        await self._redis.rpush(self._task_queue, *messages)

    async def take_announcements(self, limit: int, *, block: float) -> list[Announcement]:
        """Take what has been announced, waiting up to `block` seconds for the first."""
        taken = await self._redis.blmpop(block, 1, self.reply_list, direction="LEFT", count=limit)
        if taken is None:
            return []
        announcements = []
        for raw in taken[1]:
            assert isinstance(raw, bytes)  # noqa: S101 - the client decodes nothing
            try:
                announcements.append(Announcement.model_validate_json(raw))
            except ValidationError:
                log.error("announcement set aside", size=len(raw))
        return announcements

    async def results(self, request_ids: Sequence[int]) -> dict[int, Result]:
        """The stored results among those of the named requests."""
        if not request_ids:
            return {}
        values = await self._redis.mget([self._key(i) for i in request_ids])
        results = {}
        for request_id, value in zip(request_ids, values, strict=True):
            if value is None:
                continue
            results[request_id] = _read_result(value)
        return results

    async def stored(self, request_ids: Sequence[int]) -> list[int]:
        """Which of the named requests have a result stored."""
        if not request_ids:
            return []
        async with self._redis.pipeline(transaction=False) as pipe:
            for request_id in request_ids:
                pipe.exists(self._key(request_id))
            found = await pipe.execute()
        return [i for i, exists in zip(request_ids, found, strict=True) if exists]

    async def forget(self, request_ids: Sequence[int]) -> None:
        """Delete the results of requests that have been persisted."""
        if request_ids:
            await self._redis.unlink(*[self._key(i) for i in request_ids])

    async def show_worker(self, name: str) -> None:
        """Note that a worker has just done work."""
        await self._redis.eval(_SEEN, 1, self._workers_key, name)

    async def counts_seen(self) -> tuple[int, int]:
        """How many parsers and how many workers were seen in the last seconds."""
        keys = (self._parsers_key, self._workers_key)
        parsers, workers = await self._redis.eval(_COUNT_SEEN, len(keys), *keys, SEEN_SECONDS)
        return parsers, workers

    def _key(self, request_id: int) -> str:
        return f"{self._result_prefix}{request_id}"


def _read_result(value: bytes | str) -> Result:
    """The result in a message; one that is not understood is a failure, or the job would hang."""
    try:
        return _RESULT.validate_json(value)
    except ValidationError:
        pass
    try:
        # Half surrogate pairs, which Python's own reader lets pass, are mended by the model.
        return _RESULT.validate_python(json.loads(value))
    except ValueError as error:
        log.error("result not understood", error=str(error)[:200])
    sentence = "The parser's answer was not understood."
    reason = FailureReason(code="internal_error", message=sentence, retryable=True)
    return FailureResult(status="failure", error=sentence, reason=reason)


def open_redis(url: str, *, timeout: float) -> aioredis.Redis:
    """A Redis client that tries once and gives up after `timeout` seconds: its users retry."""
    return aioredis.Redis.from_url(
        url,
        socket_timeout=timeout,
        socket_connect_timeout=min(timeout, 3),
        retry=aioredis.retry.Retry(NoBackoff(), 0),
    )


# Scores are Redis's own time, so that no clock but one matters.
_SEEN = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 60)
"""
_COUNT_SEEN = """
local since = tonumber(redis.call('TIME')[1]) - tonumber(ARGV[1])
local counts = {}
for i, key in ipairs(KEYS) do counts[i] = redis.call('ZCOUNT', key, since, '+inf') end
return counts
"""

"""Run and time the stages of a job that belong to the parser."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import redis.asyncio as aioredis

from benchmarks.load import run_concurrently
from benchmarks.stopwatch import Stopwatch
from parser_service.config import Settings
from parser_service.dependencies import make_host_limits_if_set, make_job_queue, open_redis
from parser_service.fetching.fetcher import FetchedPage, Fetcher
from parser_service.fetching.tls import make_client_tls_context
from parser_service.fetching.transport import GuardedTransport
from parser_service.fetching.url_guard import UrlGuard
from parser_service.jobs.access import JobAccess
from parser_service.markup.content_type import Markup
from parser_service.page import PageOptions
from parser_service.parser import ParsedPage, RawPage, parse
from parser_service.redis_queue.host_limits import HostLimits
from parser_service.redis_queue.job_queue import JobQueue, TakenMessage
from parser_service.redis_queue.messages import Job, SuccessResult, encode_with_html_apart


async def run_parser_stages(watch: Stopwatch, settings: Settings, *, jobs: int, batch: int) -> None:
    """Take jobs from the list, run every stage on them, and store their results."""
    async with open_redis(settings) as redis:
        queue = make_job_queue(redis, settings, name="bench")
        taken = await _take(watch, queue, jobs, batch)
        await _visit(watch, redis, settings, taken, batch)
        pages = await _fetch(watch, settings, taken, batch)
        facts = _parse(watch, pages)
        results = _write(watch, taken, pages, facts)
        await _store(watch, queue, taken, results, batch)


async def _take(
    watch: Stopwatch, queue: JobQueue, jobs: int, batch: int
) -> list[tuple[TakenMessage, Job]]:
    found: list[tuple[TakenMessage, Job]] = []
    while len(found) < jobs:
        with watch.stage("pop", 0):
            some = await queue.take(batch)
        with watch.stage("pop", len(some)):
            found += [(taken, Job.model_validate_json(taken.raw)) for taken in some]
        assert some, f"{len(found)} of {jobs} jobs are on the list"
    return found


async def _visit(
    watch: Stopwatch,
    redis: aioredis.Redis,
    settings: Settings,
    taken: Sequence[tuple[TakenMessage, Job]],
    batch: int,
) -> None:
    limits = make_host_limits_if_set(redis, settings)
    assert isinstance(limits, HostLimits)
    guard = _guard(settings)

    async def one(message: TakenMessage, job: Job) -> None:
        async with JobAccess(limits, message.raw, token=job.token) as access:
            await access.obtain_host_access(guard.vet(job.url), [])

    with watch.stage("slot of the host, taken and left", len(taken)):
        await run_concurrently(batch, [partial(one, *item) for item in taken])


async def _fetch(
    watch: Stopwatch, settings: Settings, taken: Sequence[tuple[TakenMessage, Job]], batch: int
) -> list[FetchedPage]:
    guard = _guard(settings)
    async with GuardedTransport(
        guard,
        connect_timeout=settings.fetch_connect_timeout,
        dns_timeout=settings.fetch_dns_timeout,
        max_header=settings.fetch_max_header,
        max_idle=settings.fetch_max_idle_connections,
        ssl_context=make_client_tls_context(),
    ) as transport:
        fetcher = Fetcher(transport=transport, guard=guard, settings=settings)

        async def one(message: TakenMessage, job: Job) -> FetchedPage:
            async with JobAccess(None, message.raw) as access:
                return await fetcher.fetch(job.url, access=access, options=PageOptions.of(job))

        with watch.stage("fetch", len(taken)):
            return await run_concurrently(batch, [partial(one, *item) for item in taken])


def _parse(watch: Stopwatch, pages: Sequence[FetchedPage]) -> list[ParsedPage]:
    with watch.stage("parse", len(pages)):
        return [parse(RawPage(page.body, Markup.HTML, page.final_url, "utf-8")) for page in pages]


def _write(
    watch: Stopwatch,
    taken: Sequence[tuple[TakenMessage, Job]],
    pages: Sequence[FetchedPage],
    facts: Sequence[ParsedPage],
) -> list[bytes]:
    results = []
    with watch.stage("result into bytes", len(pages)):
        for (_, job), page, fact in zip(taken, pages, facts, strict=True):
            result = SuccessResult(
                token=job.token,
                title=fact.title,
                title_source=fact.title_source,
                html=fact.html,
                metadata=fact.metadata,
                final_url=page.final_url,
                redirects=[],
                http_status=page.status,
                content_type=page.content_type,
                charset=fact.charset,
                bytes=len(page.body),
                elapsed_ms=1,
                fetched_at=datetime.now(UTC),
            )
            results.append(encode_with_html_apart(result))
    return results


async def _store(
    watch: Stopwatch,
    queue: JobQueue,
    taken: Sequence[tuple[TakenMessage, Job]],
    results: Sequence[bytes],
    batch: int,
) -> None:
    calls = [
        partial(queue.finish, job.id, result, token=job.token, reply=job.reply)
        for (_, job), result in zip(taken, results, strict=True)
    ]
    with watch.stage("store and announce", len(taken)):
        await run_concurrently(batch, calls)


def _guard(settings: Settings) -> UrlGuard:
    return UrlGuard(
        allowed_networks=settings.fetch_allowed_networks,
        allowed_ports=settings.fetch_allowed_ports,
    )

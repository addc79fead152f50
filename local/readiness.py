"""Wait until the system answers, and say why it does not."""

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from urllib.request import ProxyHandler, build_opener

from local.errors import StartError
from local.logs import last_fault
from local.supervisor import SupervisedProcess

READY_TIMEOUT_SECONDS = 50
"""A start that cannot succeed ends within a minute, stopping included."""
ANSWER_TIMEOUT_SECONDS = 5
MAX_ANSWER_BYTES = 64 * 1024
MAX_ENDS_BEFORE_READY = 3
"""A service that ended so often before the system was ready will not run."""
OPENER_WITHOUT_PROXY = build_opener(ProxyHandler({}))
"""Asks our own API, whatever proxy the environment names."""


async def wait_until_ready(
    urls: Sequence[str],
    *,
    services: Sequence[SupervisedProcess],
    check_servers: Callable[[], None],
    stopping: asyncio.Event,
    logs: Path,
) -> bool:
    """Wait until everything answers; return False if a stop was requested before.

    Args:
        urls: what must answer.
        services: those that must keep running.
        check_servers: raises StartError if a server that the system needs is gone.
        stopping: set when a stop is requested.
        logs: the folder of logs, for the message.

    Raises:
        StartError: the system does not get ready.
    """
    end = monotonic() + READY_TIMEOUT_SECONDS
    waiting = "Nothing answered yet."
    while (left := end - monotonic()) > 0:
        if stopping.is_set():
            return False
        reason = await asyncio.to_thread(_why_not_ready, urls, min(ANSWER_TIMEOUT_SECONDS, left))
        if not reason:
            return True
        waiting = reason
        await asyncio.to_thread(check_servers)
        for service in services:
            if len(service.ends) >= MAX_ENDS_BEFORE_READY:
                raise StartError(_describe_ends(service))
        await asyncio.sleep(0.1)
    ended = [_describe_ends(service) for service in services if service.ends]
    raise StartError(
        " ".join(
            [f"Not ready within {READY_TIMEOUT_SECONDS} s: {waiting}", *ended, f"Logs: {logs}."]
        )
    )


def _describe_ends(service: SupervisedProcess) -> str:
    spec, ends = service.spec, service.ends
    times = "once" if len(ends) == 1 else f"{len(ends)} times"
    return (
        f"{spec.name} ended {times} during the start, with status {ends[-1]}: "
        f"{last_fault(spec.log) or 'it wrote nothing'} ({spec.log})"
    )


def _why_not_ready(urls: Sequence[str], timeout: float) -> str:
    """Return what is missing; empty if everything answers."""
    for url in urls:
        try:
            with OPENER_WITHOUT_PROXY.open(url, timeout=timeout) as response:
                if not _is_ours(response.read(MAX_ANSWER_BYTES)):
                    return f"{url} is answered by another program."
        except OSError as error:
            body = getattr(error, "read", lambda: b"")()
            return f"{body.decode(errors='replace')[:300] or error}"
    return ""


def _is_ours(body: bytes) -> bool:
    """Return whether a body is that of `/ready` or `/health`: any HTTP server may answer 200."""
    try:
        answer = json.loads(body)
    except ValueError:
        return False
    return isinstance(answer, dict) and "status" in answer

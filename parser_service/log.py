"""Write structured logs: one JSON object a line on standard output."""

import contextlib
import io
import json
import logging
import sys
from typing import Any, TextIO, cast
from urllib.parse import urlsplit

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger


def configure(service: str, level: str) -> None:
    """Send the logs of this process and its libraries through structlog."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _make_service_processor(service),
        # Without the values of variables: URLs with their queries and credentials are among them.
        structlog.processors.ExceptionRenderer(
            structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        ),
    ]
    output = cast("TextIO", _Output(sys.stdout))
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=output),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_dumps),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    # It logs every request at INFO; our own lines do that with more context.
    logging.getLogger("httpx").setLevel(logging.WARNING)


def loggable_url(url: str) -> str:
    """Return a URL without what a log must not hold: user information, query, fragment.

    It is cut at 300 characters; a URL that cannot be read is "?".
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "?"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"[:300]


class _Output(io.TextIOBase):
    """Drop the lines that a file does not take: the work that they tell of is done all the same.

    A disk may be full, a pipe may have lost its reader, and standard output may be closed.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._file.flush()


def _make_service_processor(service: str) -> Any:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    return add


def _dumps(event: EventDict, **_: Any) -> str:
    """Never raise: a line that cannot be written must not cost the work that it tells of."""
    try:
        return orjson.dumps(event, default=_str_or_type_name).decode()
    except Exception:  # noqa: BLE001 - also what an object says of itself
        # orjson refuses numbers beyond 64 bits and lone surrogates, among others.
        readable = {
            _str_or_type_name(name)[:100]: _str_or_type_name(value)[:2000]
            for name, value in event.items()
        }
        return json.dumps(readable)


def _str_or_type_name(value: object) -> str:
    try:
        return value if isinstance(value, str) else str(value)
    except Exception as error:  # noqa: BLE001 - what it is was not ours to choose
        return f"<{type(value).__name__} without text: {type(error).__name__}>"

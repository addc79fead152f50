"""Lists by keyset: a cursor names the last row of a page, so each page costs the same."""

import base64
import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Protocol, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

MAX_LIMIT, DEFAULT_LIMIT = 200, 50
"""Items of a page."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_BYTES = 8
_CURSOR = re.compile(r"[A-Za-z0-9_-]{32}")


@dataclass(frozen=True, slots=True)
class Position:
    """A row's place in a list that is sorted by time, then by id."""

    created_at: datetime
    id: UUID


class Listed(Protocol):
    """A row of such a list."""

    @property
    def created_at(self) -> datetime:
        """When it was created."""
        ...

    @property
    def id(self) -> UUID:
        """Its id."""
        ...


Row = TypeVar("Row", bound=Listed)


def encode_cursor(position: Position) -> str:
    """Write a position as 32 URL-safe characters."""
    microseconds = (position.created_at - _EPOCH) // timedelta(microseconds=1)
    raw = microseconds.to_bytes(_TIME_BYTES, "big", signed=True) + position.id.bytes
    return base64.urlsafe_b64encode(raw).decode()


def decode_cursor(text: str) -> Position:
    """Read what `encode_cursor` wrote.

    Raises:
        ValueError: it is something else.
    """
    if _CURSOR.fullmatch(text):
        raw = base64.urlsafe_b64decode(text)
        microseconds = int.from_bytes(raw[:_TIME_BYTES], "big", signed=True)
        with contextlib.suppress(OverflowError):
            created_at = _EPOCH + timedelta(microseconds=microseconds)
            return Position(created_at, UUID(bytes=raw[_TIME_BYTES:]))
    raise ValueError("must be the next_cursor of an earlier answer")


def _require_cursor(text: str) -> str:
    decode_cursor(text)
    return text


class ListQuery(BaseModel):
    """The query of a list."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Items of a page, at most.")] = (
        DEFAULT_LIMIT
    )
    cursor: Annotated[
        str | SkipJsonSchema[None],
        AfterValidator(_require_cursor),
        Field(description="`next_cursor` of the page before.", max_length=64),
    ] = None

    @property
    def after(self) -> Position | None:
        """Return where the page before ended."""
        return None if self.cursor is None else decode_cursor(self.cursor)


def cut_page(rows: Sequence[Row], limit: int) -> tuple[Sequence[Row], str | None]:
    """Return a page and the cursor of the next, from rows that were asked for with `limit + 1`."""
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    return rows[:limit], encode_cursor(Position(last.created_at, last.id))

"""Cursors of lists."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from api_service.edge.lists import Position, cut_page, decode_cursor, encode_cursor

TIMES = [
    datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime.max.replace(tzinfo=UTC),
]


@dataclass(frozen=True)
class _Row:
    created_at: datetime
    id: UUID


@pytest.mark.parametrize("time", TIMES)
def test_a_cursor_keeps_its_position(time: datetime) -> None:
    position = Position(time, uuid4())
    cursor = encode_cursor(position)
    assert len(cursor) == 32
    assert decode_cursor(cursor) == position


@pytest.mark.parametrize(
    "text", ["", "x", "A" * 31, "A" * 36, "/" * 32, "8" * 32, "é" * 32, "A" * 28]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="next_cursor"):
        decode_cursor(text)


def test_the_last_page_has_no_cursor() -> None:
    rows = [_Row(TIMES[0] - timedelta(seconds=n), uuid4()) for n in range(5)]
    assert cut_page(rows, 5) == (rows, None)
    page, cursor = cut_page(rows, 4)
    assert page == rows[:4]
    assert decode_cursor(cursor or "") == Position(rows[3].created_at, rows[3].id)

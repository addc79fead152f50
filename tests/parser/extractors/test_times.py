"""Times are read in every format that leaves no doubt, and in no other."""

import pytest

from parser_service.extractors.month_names import month_number
from parser_service.extractors.time_formats import as_iso_8601, days_in


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-01-02", "2024-01-02"),
        ("20240102", "2024-01-02"),
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05+00:00"),
        ("2024-01-02 03:04:05 +0100", "2024-01-02T03:04:05+01:00"),
        ("2024-01-02T03:04:05+01:00[Europe/Berlin]", "2024-01-02T03:04:05+01:00"),
        ("1705051200", "2024-01-12T09:20:00+00:00"),
        ("1705051200000", "2024-01-12T09:20:00+00:00"),
        ("1705051200.5", "2024-01-12T09:20:00+00:00"),
        ("20240102030405", "2024-01-02T03:04:05"),
        ("Jan 2, 2024", "2024-01-02"),
        ("2nd of January 2024", "2024-01-02"),
        ("02-Jan-2024", "2024-01-02"),
        ("July 4, 2024 10:30 PM", "2024-07-04T22:30:00"),
        ("July 4, 2024 at 12:30 a.m.", "2024-07-04T00:30:00"),
        ("July 4, 2024 12:30 PM", "2024-07-04T12:30:00"),
        ("10:30 PM EDT, Thu July 4, 2024", "2024-07-04T22:30:00-04:00"),
        ("Thu, 4 Jul 2024 22:30:00 PST", "2024-07-04T22:30:00-08:00"),
        ("Tue Jan 02 10:00:00 CET 2024", "2024-01-02T10:00:00+01:00"),
        ("Tue Jan  2 10:00:00 2024", "2024-01-02T10:00:00"),
        ("2024-07-04 10:30 GMT+2", "2024-07-04T10:30:00+02:00"),
        ("2024-07-04 10:30 UTC-05:30", "2024-07-04T10:30:00-05:30"),
        (
            "Thu Jul 04 2024 22:30:00 GMT+0200 (Central European Summer Time)",
            "2024-07-04T22:30:00+02:00",
        ),
        ("2.1.2024", "2024-01-02"),
        ("Dienstag, 2. Januar 2024, 10:30 Uhr", "2024-01-02T10:30:00"),
        ("mardi 2 janvier 2024 à 10h30", "2024-01-02T10:30:00"),
        ("1er janvier 2024", "2024-01-01"),
        ("2 de enero de 2024", "2024-01-02"),
        ("2 января 2024", "2024-01-02"),
        ("2024年1月2日", "2024-01-02"),
        ("2024/1/2", "2024-01-02"),
        ("13/2/2024", "2024-02-13"),
        ("2/13/2024", "2024-02-13"),
        ("5/5/2024", "2024-05-05"),
    ],
)
def test_the_true_time_is_read(text: str, time: str) -> None:
    assert as_iso_8601(f" {text} ") == time


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("July 4, 2024 10:30 PM IST", "2024-07-04"),  # India's, Ireland's or Israel's
        ("Tue Jan 02 10:00:00 CST 2024", "2024-01-02"),  # China's or America's
        ("2024-07-04 10:30 XYZ", "2024-07-04"),
        ("2024-07-04 10:30 EST+2", "2024-07-04"),
        ("2024-07-04 10:30 +99:00", "2024-07-04"),
    ],
)
def test_of_an_offset_in_doubt_the_day_remains(text: str, day: str) -> None:
    assert as_iso_8601(text) == day


@pytest.mark.parametrize(
    "text",
    [
        *("last Tuesday", "2024", "2024-01", "12:30", "-1", "", "1/2/2024", "01-02-2024"),
        *("2024-02-30", "31 February 2024", "99999-99-99", "0001-01-01", "2024-13-01"),
        *("0", "0000000000", "1970-01-01T00:00:00Z", "17050512000000", "123456789012"),
        *("July 4, 2024 22:30 PM", "July 4, 2024 0:30 AM", "July 4, 2024 25:00"),
        *("not before 2 January 2024", "Jan 2, 2024 - Jan 5, 2024", "2 Foobar 2024"),
        *("2024-01-02T03:04:05 or so", "x" * 200, "1" * 5000),
    ],
)
def test_what_is_in_doubt_is_none(text: str) -> None:
    assert as_iso_8601(text) is None


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("Posted on Jan 2, 2024 by A. Uthor", ["2024-01-02"]),
        ("Stand: 02.01.2024 | 5 Kommentare", ["2024-01-02"]),
        ("1/2/2024", []),
        ("Version 10.2.20245", []),
        ("in May 2024", []),
    ],
)
def test_days_are_found_in_texts(text: str, days: list[str]) -> None:
    assert [day.isoformat() for day in days_in(text)] == days


def test_months_of_all_languages_are_told_apart() -> None:
    assert [month_number(name) for name in ("Mai", "juil.", "августа", "MÄRZ", "abr")] == [
        5,
        7,
        8,
        3,
        4,
    ]
    assert month_number("Monday") is month_number("mon") is None

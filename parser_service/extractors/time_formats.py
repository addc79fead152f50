"""Read a time in the formats that leave no doubt of what they mean.

A format is ISO 8601, a Unix time, or a date with a time and an offset at most, in numbers or
with the name of the month. Of a date such as 1/2/2024 nobody knows which is the month.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo

from parser_service.extractors.month_names import month_number

MAX_LENGTH = 100
FIRST_YEAR, LAST_YEAR = 1800, 2100
FIRST_UNIX_YEAR = 1990

_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d(?!\d)|\d{8}(?=T)")
_DIGITS = re.compile(r"\d{8,14}(?:\.\d+)?")
_WORD = r"[^\W\d_]{3,12}"
_YEAR = r"(?P<year>(?:19|20)\d\d)(?!\d)"
_DAY = r"(?<!\d)(?P<day>\d\d?)"
_ORDINAL = r"(?:st|nd|rd|th|er|ª|º|°|\.)?"
_LINK = r"(?:\s+(?:de|del|of|do))?"
_DATES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<s>[-/.])\s?(?P<month>\d\d?)(?P=s)\s?(?P<day>\d\d?)(?!\d)",
        rf"{_DAY}\.\s?(?P<month>\d\d?)\.\s?{_YEAR}",
        rf"(?<!\d)(?P<first>\d\d?)(?P<s>[-/])(?P<second>\d\d?)(?P=s){_YEAR}",
        rf"{_DAY}{_ORDINAL}{_LINK}[\s-]+(?P<name>{_WORD})\.?,?{_LINK}[\s-]+{_YEAR}",
        rf"(?P<name>{_WORD})\.?\s+(?P<day>\d\d?)(?:st|nd|rd|th)?(?:,\s*|\s+|,?\s+de\s+){_YEAR}",
        r"(?P<year>(?:19|20)\d\d)\s*[年년]\s*(?P<month>\d\d?)\s*[月월]\s*(?P<day>\d\d?)\s*[日일]",
    )
)
# As Java, C and `date` write it: the year is last.
_YEAR_LAST = re.compile(
    rf"(?:{_WORD},?\s+)?(?P<name>{_WORD})\s+(?P<day>\d\d?)\s+(?P<clock>\d\d:\d\d(?::\d\d)?)"
    r"(?:\s+(?P<zone>[A-Z]{1,5}(?:[+-]\d\d:?\d\d)?|[+-]\d{4}))?\s+(?P<year>\d{4})"
)
_CLOCK = re.compile(
    r"(?P<hour>\d\d?)(?:[:.h](?P<minute>\d\d)(?:[:.](?P<second>\d\d)(?:[.,]\d{1,9})?)?)?"
    r"\s*(?:(?P<half>[ap])\.?\s?m\b\.?)?(?:\s*(?:Uhr|hrs?|h)\b)?",
    re.IGNORECASE,
)
_OFFSET = re.compile(
    r"(?P<zone>Z|[A-Z]{2,5})?\s*(?:(?P<sign>[+-])(?P<hours>\d\d?)(?::?(?P<minutes>\d\d))?)?"
    r"(?:\s*[(\[][^()\[\]]*[)\]])?"
)
_WEEKDAY = re.compile(rf"(?:{_WORD}(?:-feira)?\.?,?\s+)?")
_BETWEEN = re.compile(
    r"[\s,;|T–-]*(?:(?:at|um|à|às|a las|alle|om|kl\.?|klo|в|@)\s+)?", re.IGNORECASE
)
_WEEKDAY_STARTS = (
    *("mon", "tue", "wed", "thu", "fri", "sat", "sun", "die", "mit", "don", "fre", "sam", "son"),
    *("lun", "mar", "mer", "mié", "mie", "jue", "jeu", "ven", "vie", "sáb", "sab", "dim", "dom"),
    *("gio", "ter", "qua", "qui", "sex", "seg", "maa", "din", "woe", "vri", "zat", "zon", "пон"),
    *("вто", "сре", "чет", "пят", "суб", "вос"),
)
_ZONES = {
    **dict.fromkeys(("Z", "UTC", "GMT", "WET"), 0),
    **dict.fromkeys(("CET", "MEZ", "WEST"), 1),
    **dict.fromkeys(("CEST", "MESZ", "EET", "SAST"), 2),
    "EEST": 3,
    "MSK": 3,
    "JST": 9,
    "KST": 9,
    "AEST": 10,
    "AEDT": 11,
    "NZST": 12,
    "NZDT": 13,
    "EDT": -4,
    "EST": -5,
    "CDT": -5,
    "CST": -6,
    "MDT": -6,
    "MST": -7,
    "PDT": -7,
    "PST": -8,
}
"""Hours of the offsets whose names mean one thing. RFC 5322 defines those of America."""


def as_iso_8601(text: str) -> str | None:
    """Return the same time in ISO 8601; None if the format is ambiguous or unknown.

    A date alone stays one. If the name of an offset is unknown or ambiguous, only the date is
    returned, because it is true all the same.
    """
    text = text.strip()
    if not 6 <= len(text) <= MAX_LENGTH:
        return None
    found = _of_digits(text) if _DIGITS.fullmatch(text) else _of_iso(text) or _of_words(text)
    if found is None or not _is_plausible(found):
        return None
    return found.isoformat()


def days_in(text: str) -> Iterator[date]:
    """Return the dates within a text whose format leaves no doubt, in no particular order."""
    return (day for day, _ in days_and_starts(text))


def days_and_starts(text: str) -> Iterator[tuple[date, int]]:
    """Return the same dates, each with where it begins."""
    for pattern in _DATES:
        for found in pattern.finditer(text):
            if (day := _day(found)) and _is_plausible(day):
                yield day, found.start()


def _is_plausible(found: date) -> bool:
    # Zero as a Unix time stands for no time at all.
    day = date(found.year, found.month, found.day)
    return FIRST_YEAR <= day.year <= LAST_YEAR and day != date(1970, 1, 1)


def _of_digits(text: str) -> date | None:
    whole = text.partition(".")[0]
    try:
        if len(whole) == 8 and whole == text:
            return date(int(whole[:4]), int(whole[4:6]), int(whole[6:]))
        if len(whole) in (12, 14) and whole == text:
            return datetime.fromisoformat(f"{whole[:8]}T{whole[8:]}")
        seconds = float(text) / 1000 if len(whole) == 13 else float(text)
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    is_whole = len(whole) in (9, 10, 13) and moment.year >= FIRST_UNIX_YEAR
    return moment.replace(microsecond=0) if is_whole else None


def _of_iso(text: str) -> date | None:
    if not _ISO_DATE.match(text):
        return None
    try:
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError:
        return None


def _of_words(text: str) -> date | None:
    if found := _YEAR_LAST.fullmatch(text):
        return _with_year_last(found)
    for pattern in _DATES:
        if (found := pattern.search(text)) and (day := _day(found)):
            before, after = text[: found.start()], text[found.end() :]
            return _at_clock(day, before.strip(), after.strip())
    return None


def _day(found: re.Match[str]) -> date | None:
    parts = found.groupdict()
    month: int | None
    if name := parts.get("name"):
        month, day = month_number(name), int(parts["day"])
    elif parts.get("first"):
        first, second = int(parts["first"]), int(parts["second"])
        if first <= 12 and second <= 12 and first != second:
            return None
        month, day = (second, first) if first > 12 else (first, second)
    else:
        month, day = int(parts["month"]), int(parts["day"])
    try:
        return date(int(parts["year"]), month or 0, day)
    except ValueError:
        return None


def _with_year_last(found: re.Match[str]) -> date | None:
    month = month_number(found["name"])
    try:
        day = date(int(found["year"]), month or 0, int(found["day"]))
        clock = time.fromisoformat(found["clock"])
    except ValueError:
        return None
    zone = found["zone"]
    if not zone:
        return datetime.combine(day, clock)
    # Java writes China's time as CST too.
    offset = None if zone == "CST" else _offset(zone)
    return datetime.combine(day, clock, offset) if offset else day


def _at_clock(day: date, before: str, after: str) -> date | None:
    """Join a date with the time that stands before or after it, and with nothing else."""
    if before and not _is_weekday(before):
        clock, _, rest = _clock_and_rest(before)
        if clock is None or not (not rest or _is_weekday(rest)):
            return None
        if after:
            return None
        return _joined(day, *_clock_and_rest(before)[:2])
    if not after:
        return day
    clock, offset, rest = _clock_and_rest(after)
    return None if clock is None or rest else _joined(day, clock, offset)


def _joined(day: date, clock: time | None, offset: str) -> date | None:
    if clock is None:
        return None
    if not offset:
        return datetime.combine(day, clock)
    zone = _offset(offset)
    return datetime.combine(day, clock, zone) if zone else day


def _is_weekday(text: str) -> bool:
    return bool(_WEEKDAY.fullmatch(text + " ")) and text[:3].casefold() in _WEEKDAY_STARTS


def _clock_and_rest(text: str) -> tuple[time | None, str, str]:
    """Return the time that a text begins with, the text of its offset, and what follows."""
    start = _BETWEEN.match(text)
    at = start.end() if start else 0
    found = _CLOCK.match(text, at)
    if not found or not (found["minute"] or found["half"]):
        return None, "", text
    rest = text[found.end() :].lstrip()
    zone = _OFFSET.match(rest)
    offset = zone[0].strip() if zone else ""
    return _clock(found), offset, (rest[zone.end() :] if zone else rest).strip(" ,")


def _clock(found: re.Match[str]) -> time | None:
    hour, half = int(found["hour"]), (found["half"] or "").lower()
    if half and not 1 <= hour <= 12:
        return None
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    try:
        return time(hour, int(found["minute"] or 0), int(found["second"] or 0))
    except ValueError:
        return None


def _offset(text: str) -> tzinfo | None:
    """Return the offset with a name or in numbers; None if it is not known for sure."""
    found = _OFFSET.fullmatch(text)
    if not found:
        return None
    if not found["sign"]:
        hours = _ZONES.get(found["zone"] or "")
        return None if hours is None else timezone(timedelta(hours=hours))
    if found["zone"] not in (None, "Z", "UTC", "GMT"):
        return None
    offset = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"] or 0))
    if offset >= timedelta(hours=15):
        return None
    return timezone(-offset if found["sign"] == "-" else offset)

"""Parse mutated pages: only declared errors occur, and time is bounded.

    python -m tests.data.fuzz [SECONDS] [SEED]

The originals are the real pages if they are present (see `tests/support/cases.py`), else the
golden pages of the tests. `make fuzz` runs it; `test_fuzz.py` runs it for a few seconds.
"""

import asyncio
import random
import sys
import tarfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, perf_counter

from parser_service.exceptions import FetchTimeoutError, TooLargeError
from parser_service.markup.content_type import Markup
from parser_service.parser import RawPage
from parser_service.sandbox.pool import CHILD_PARSE_TIMEOUT_SECONDS, ParseRunner
from tests.support.cases import FOLDER

GOLDEN = Path(__file__).resolve().parent.parent / "parser" / "extractors" / "golden"
CHARSETS = (None, "utf-8", "utf-16", "shift_jis", "gbk", "iso-2022-jp", "windows-1252", "x", "big5")
TOKENS = (
    *(b"<title>", b"</title>", b"<svg>", b"<math>", b"<template>", b"<table>", b"<select>"),
    *(b"<![CDATA[", b"]]>", b"<!--", b"-->", b"<plaintext>", b"<frameset>", b"<base href='"),
    *(b"<meta charset=", b"utf-16", b"&#0;", b"&#xD800;", b"\0", b"\xff\xfe", b"\xef\xbb\xbf"),
    *(b"<script type=application/ld+json>", b'{"a":', b"[[[[", b"1e999", b"\\ud800", b"\x1b$B"),
    *(b"<meta property=og:image content=", b"<link rel=canonical href=", b"//[::1", b"<?xml "),
)


def pages() -> list[bytes]:
    """Return the pages to mutate."""
    archive = FOLDER / "real_pages.tar.xz"
    if not archive.exists():
        return [path.read_bytes() for path in sorted(GOLDEN.glob("*.*html"))]
    with tarfile.open(archive) as opened:
        return [file.read() for member in opened if (file := opened.extractfile(member))]


def mutate(page: bytes, chance: random.Random) -> bytes:
    """Return a page with a few random faults."""
    body = bytearray(page[: chance.choice((2_000, 20_000, 300_000))])
    for _ in range(chance.randint(1, 12)):
        at = chance.randrange(len(body) + 1)
        length = chance.randint(1, 200)
        match chance.randrange(6):
            case 0:
                body[at : at + length] = b""
            case 1:
                body[at:at] = chance.choice(TOKENS) * chance.choice((1, 1, 1, 3, 500))
            case 2:
                body[at:at] = body[at : at + length] * chance.choice((1, 2, 50))
            case 3:
                body[at : at + length] = chance.randbytes(length)
            case 4:
                other = chance.randrange(len(body) + 1)
                body[at:at] = body[other : other + length * 10]
            case _:
                if at < len(body):
                    body[at] ^= 1 << chance.randrange(8)
    return bytes(body)


async def fuzz(seconds: float, seed: int, originals: Sequence[bytes]) -> Counter[str]:
    """Parse mutated pages for `seconds`, and count the outcomes.

    Raises:
        AssertionError: a page raised an undeclared error or took too long.
    """
    chance = random.Random(seed)
    pool = ParseRunner()
    outcomes: Counter[str] = Counter()
    end = monotonic() + seconds
    while monotonic() < end:
        source = RawPage(
            body=mutate(chance.choice(originals), chance),
            markup=chance.choice((*[Markup.HTML] * 5, Markup.XHTML)),
            url="https://example.com/a",
            declared_charset=chance.choice(CHARSETS),
            title_fallback=chance.random() < 0.5,
        )
        started = perf_counter()
        try:
            facts = await pool.parse(source)
            (facts.html + facts.title + facts.metadata.model_dump_json()).encode()
            assert "\0" not in facts.html + facts.title, "NUL in the text"
            outcomes["parsed"] += 1
        except (FetchTimeoutError, TooLargeError) as error:
            outcomes[error.code] += 1
        except Exception as error:
            page = f"{source.markup}, {source.declared_charset}, {source.body[:2000]!r}"
            raise AssertionError(f"{error!r} (seed {seed}): {page}") from error
        took = perf_counter() - started
        assert took < CHILD_PARSE_TIMEOUT_SECONDS + 2, f"{took:.1f} s (seed {seed})"
    await pool.close()
    return outcomes


if __name__ == "__main__":
    duration = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    chosen = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(2**32)
    print(f"seed {chosen}, {duration:g} s", flush=True)
    print(dict(asyncio.run(fuzz(duration, chosen, pages()))))

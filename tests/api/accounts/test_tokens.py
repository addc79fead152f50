"""Tokens: told by their prefix and checksum, and stored as digests only."""

import hashlib

import asyncpg
import pytest

from api_service.accounts.tokens import TokenKind, make_token, read_token
from tests.api.accounts.people import People


@pytest.mark.parametrize("kind", TokenKind)
def test_a_token_is_what_its_prefix_says(kind: TokenKind) -> None:
    token = make_token(kind)
    assert token.startswith(f"{kind}_")
    assert len(token) == 42
    read = read_token(token)
    assert read is not None
    assert (read.kind, read.digest) == (kind, hashlib.sha256(token.encode()).digest())
    assert token not in repr(read)


def test_no_two_tokens_are_alike() -> None:
    assert len({make_token(TokenKind.KEY) for _ in range(1000)}) == 1000


def test_every_changed_character_breaks_the_checksum() -> None:
    token = make_token(TokenKind.SESSION)
    for place in range(4, len(token)):
        other = "a" if token[place] != "a" else "b"
        assert read_token(f"{token[:place]}{other}{token[place + 1 :]}") is None
    assert read_token("ppk" + token[3:]) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pps_",
        "x" * 6000,
        "pps_" + "é" * 38,
        "pps_\ud800",
        "pps_" + "0" * 38 + "\n",
        "pps_" + "٣" * 38,
    ],
)
def test_anything_else_is_no_token(text: str) -> None:
    assert read_token(text) is None


async def test_only_digests_are_stored(people: People, connection: asyncpg.Connection) -> None:
    session = await people.join()
    key = (await people.create_key(session))["key"]
    dump = ""
    for table in ("users", "sessions", "api_keys"):
        dump += str(await connection.fetch(f"SELECT t::text FROM {table} t"))
    assert hashlib.sha256(session.encode()).hexdigest() in dump
    assert hashlib.sha256(key.encode()).hexdigest() in dump
    for secret in (session, key, session[4:], key[4:], "seven wet owls"):
        assert secret not in dump

"""Lua scripts are files that include each other by name."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis.asyncio as aioredis

from parser_service.redis_queue import scripts
from parser_service.redis_queue.scripts import INCLUDE_LINE, LUA_FOLDER, read_script

SOURCES = [path for path in LUA_FOLDER.parent.glob("*.py") if path.name != "scripts.py"]
ALL = sorted(path.stem for path in LUA_FOLDER.glob("*.lua"))
LOADED = sorted(
    name for path in SOURCES for name in re.findall(r'read_script\("(\w+)"\)', path.read_text())
)
INCLUDED = sorted(
    {
        name
        for file in ALL
        for name in INCLUDE_LINE.findall((LUA_FOLDER / f"{file}.lua").read_text())
    }
)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(scripts, "LUA_FOLDER", tmp_path)
    read_script.cache_clear()
    yield tmp_path
    read_script.cache_clear()


def test_every_file_is_a_script_that_is_loaded_or_an_include() -> None:
    assert sorted(LOADED + INCLUDED) == ALL


@pytest.mark.parametrize("name", LOADED)
async def test_every_script_compiles(redis: aioredis.Redis, name: str) -> None:
    assert await redis.script_load(read_script(name))


@pytest.mark.parametrize("name", LOADED)
def test_nothing_is_included_twice_and_all_of_it_is_replaced(name: str) -> None:
    text = read_script(name)
    assert not INCLUDE_LINE.search(text)
    for included in INCLUDED:
        opening = (LUA_FOLDER / f"{included}.lua").read_text().splitlines()[0]
        assert text.splitlines().count(opening) <= 1, included


@pytest.mark.parametrize("name", LOADED)
def test_scripts_run_in_a_full_redis_and_only_a_result_waits_for_memory(name: str) -> None:
    allows = read_script(name).startswith("#!lua flags=allow-oom\n")
    assert allows == (name != "finish_job")
    assert read_script(name).count("#!") == 1


@pytest.mark.parametrize("name", LOADED)
def test_every_script_names_its_keys_and_arguments(name: str) -> None:
    header = (LUA_FOLDER / f"{name}.lua").read_text()
    assert "-- KEYS: " in header
    assert " ARGV: " in header


@pytest.mark.parametrize("name", INCLUDED)
def test_an_include_leaves_the_first_line_to_the_script(name: str) -> None:
    assert not (LUA_FOLDER / f"{name}.lua").read_text().startswith("#!")


def test_includes_are_put_in_their_places_however_deep(folder: Path) -> None:
    (folder / "script.lua").write_text("#!lua\n-- @include outer\nreturn 1\n")
    (folder / "outer.lua").write_text("local a\n-- @include inner\nlocal c\n")
    (folder / "inner.lua").write_text("local b\n")
    assert read_script("script") == "#!lua\nlocal a\nlocal b\nlocal c\nreturn 1\n"


def test_an_unknown_include_is_an_error_that_names_it(folder: Path) -> None:
    (folder / "script.lua").write_text("-- @include clokc\n")
    with pytest.raises(LookupError, match=r"clokc\.lua"):
        read_script("script")


def test_an_unknown_script_is_an_error_that_names_it(folder: Path) -> None:
    with pytest.raises(LookupError, match=r"nothing\.lua"):
        read_script("nothing")

"""Lua scripts are loaded by name, with their includes in place."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis.asyncio as aioredis

from api_service.parser_client import scripts

FOLDER = Path(scripts.__file__).with_name("lua")
INCLUDED = {"clock"}
NAMES = sorted(path.stem for path in FOLDER.glob("*.lua"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(scripts, "_LUA_FOLDER", tmp_path)
    scripts.read_script.cache_clear()
    yield tmp_path
    scripts.read_script.cache_clear()


def test_an_include_is_replaced_by_the_file(folder: Path) -> None:
    (folder / "time.lua").write_text("local now = 1\n")
    (folder / "one.lua").write_text("#!lua\n-- @include time\nreturn now\n")
    assert scripts.read_script("one") == "#!lua\nlocal now = 1\nreturn now\n"


def test_a_backslash_in_an_include_stays_one(folder: Path) -> None:
    (folder / "two.lua").write_text("local feed = '\\n\\1'\n")
    (folder / "one.lua").write_text("-- @include two\n")
    assert scripts.read_script("one") == "local feed = '\\n\\1'\n"


@pytest.mark.parametrize("text", [None, "-- @include nothing\n"])
def test_an_unknown_name_is_refused(folder: Path, text: str | None) -> None:
    if text is not None:
        (folder / "one.lua").write_text(text)
    with pytest.raises(LookupError, match=r"There is no script (one|nothing)\.lua"):
        scripts.read_script("one")


@pytest.mark.parametrize("name", NAMES)
async def test_every_script_is_complete_and_valid(name: str, redis: aioredis.Redis) -> None:
    text = scripts.read_script(name)
    assert "@include" not in text
    assert text.startswith("#!lua flags=") == (name not in INCLUDED)
    if name not in INCLUDED:
        assert "\n-- KEYS: 1" in text
        await redis.script_load(text)


def test_scripts_that_free_memory_run_when_there_is_none_left() -> None:
    flags = {name: scripts.read_script(name).splitlines()[0] for name in set(NAMES) - INCLUDED}
    assert {name for name, flag in flags.items() if flag == "#!lua flags=allow-oom"} == {
        "acknowledge",
        "announce",
        "expired_leases",
        "heartbeat",
        "reclaim_announcements",
        "take_announcements",
    }
    assert {name for name, flag in flags.items() if flag == "#!lua flags=no-writes"} == {
        "count_alive",
        "depths",
        "result_heads",
    }

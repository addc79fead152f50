"""The commands of the README's quick start, run as they stand, answer what it shows.

Only addresses differ: the system is on a port of its own, and the page is on the test's site.
"""

import asyncio
import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from api_service.config import Settings as ApiSettings
from api_service.main import create_app
from local.addresses import read_address
from parser_service.config import Settings as ParserSettings
from tests.support.site import Site
from tests.support.system import ROOT, RunningSystem

README = (ROOT / "README.md").read_text()
USE_IT = README.partition("\n## Use it\n")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", USE_IT, re.DOTALL | re.MULTILINE)
PAGE = '<!doctype html><html lang="en"><title>Example Domain</title><p>text'

Run = Callable[[str], str]
"""Run a command of the README and return what it prints."""


@pytest.fixture
def run(system: RunningSystem, site: Site, tmp_path: Path) -> Run:
    page = site.page("/", PAGE)
    site.page("/?a=1&b=2", PAGE)

    def started(command: str) -> str:
        there = command.replace("http://127.0.0.1:8000", system.url)
        there = there.replace("https://example.com/", page)
        assert there != command, command
        result = subprocess.run(
            ["bash", "-euc", there],
            cwd=tmp_path,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "no_proxy": "*"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    return started


def _commands() -> list[str]:
    return [text for language, text in BLOCKS if language == "sh"]


def test_the_quick_start_has_the_commands_that_are_run_here() -> None:
    assert [shlex.split(command, comments=True)[0] for command in _commands()] == ["curl"] * 4
    assert [language for language, _ in BLOCKS] == ["sh", "", "sh", "json", "sh", "sh"]


async def test_the_answers_are_those_shown(run: Run) -> None:
    later, result, now, _ = _commands()
    shown_head, _, shown_body = BLOCKS[1][1].partition("\n\n")
    accepted = await asyncio.to_thread(run, later)
    head, _, body = accepted.replace("\r", "").partition("\n\n")
    request_id = json.loads(body)["request_id"]
    lines = {line.partition(":")[0]: line for line in head.splitlines()}
    for line in shown_head.splitlines():
        assert lines[line.partition(":")[0]] == line.replace("/status/1", f"/status/{request_id}")
    assert body.strip() == shown_body.strip().replace(
        '"request_id":1', f'"request_id":{request_id}'
    )

    found = json.loads(
        await asyncio.to_thread(run, result.replace("/result/1", f"/result/{request_id}"))
    )
    shown = json.loads(BLOCKS[3][1])
    assert sorted(found) == sorted(shown)
    for name in ("status", "title", "title_source", "redirects", "http_status", "error"):
        assert found[name] == shown[name], name
    assert (found["content_type"], found["charset"]) == (
        f"{shown['content_type']}; charset=utf-8",
        "utf-8",
    )
    assert found["html"] == PAGE
    assert found["metadata"]["language"] == shown["metadata"]["language"]
    assert {type(found[name]) for name in ("bytes", "elapsed_ms")} == {int}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", found["fetched_at"])

    assert json.loads(await asyncio.to_thread(run, now))["title"] == "Example Domain"


async def test_a_key_is_sent_as_shown(run: Run) -> None:
    *_, keyed = _commands()
    answer = await asyncio.to_thread(run, f"KEY=ppk_unknown\n{keyed}")
    assert answer.startswith("HTTP/1.1 401 ")
    assert json.loads(answer.splitlines()[-1])["code"] == "not_authenticated"


def test_the_table_of_calls_has_those_of_the_schema() -> None:
    named = set(re.findall(r"`(GET|POST) (/[a-z_]+)", USE_IT))
    schema = create_app().openapi()["paths"]
    calls = {
        (method.upper(), path)
        for path, item in schema.items()
        for method in item
        if not path.startswith(("/auth/", "/admin/"))  # one line of the table is for all of these
    }
    assert {(method, path.partition("/{")[0]) for method, path in calls} | {
        ("GET", "/metrics")
    } == named


def test_the_settings_shown_have_their_defaults() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| ([^|]+) \|", README, re.MULTILINE))
    for settings in (ApiSettings, ParserSettings):
        for name, field in settings.model_fields.items():
            if name.upper() in rows and isinstance(field.default, int):
                assert int(rows[name.upper()]) == field.default
    assert rows["FETCH_ALLOWED_PORTS"] == "80,443"
    for prefix, port in (("API", 8000), ("PARSER", 8001)):
        names = re.escape(f"| `{prefix}_HOST`, `{prefix}_PORT` | ")
        shown = re.search(rf"{names}(\S+), (\d+) ", README)
        assert shown
        assert (shown[1], int(shown[2])) == read_address({}, prefix, port)

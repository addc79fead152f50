"""Both services do what their OpenAPI descriptions say, on generated requests."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.loopback import leads_elsewhere
from tests.support.site import Site
from tests.support.system import ROOT, RunningSystem, running

pytestmark = pytest.mark.slow

EXAMPLES = "40"
SEED = "1"
CONFIG = str(Path(__file__).with_name("schemathesis.toml"))
PAGE = """<!doctype html><html lang="en"><title>A page</title><meta name="description" content="d">
<meta property="og:site_name" content="Site"><meta name="twitter:card" content="summary">
<meta name="robots" content="noindex"><link rel="alternate" type="application/rss+xml" href="/feed">
<script type="application/ld+json">{"@type": "Thing", "x": [1, null]}</script><h1>Heading</h1>"""


@pytest.fixture
def closed_system(tmp_path_factory: pytest.TempPathFactory, site: Site) -> Iterator[RunningSystem]:
    """Start a system that resolves no name and dials no port but the site's."""
    site.page("/", PAGE)
    site.page("/bare", "<h1>Heading</h1>")
    site.page("/private", "<title>Private</title>")
    site.respond("/moved", 301, b"", {"Location": "/"})
    site.respond("/image", 200, b"GIF89a", {"Content-Type": "image/gif"})
    site.respond("/robots.txt", 200, b"User-agent: *\nDisallow: /private", {})
    environment = {
        "FETCH_NAMESERVERS": "127.0.0.1:9",
        "FETCH_DNS_TIMEOUT": "0.2",
        "FETCH_ALLOWED_NETWORKS": "127.0.0.0/8",
        "FETCH_ALLOWED_PORTS": str(site.port),
    }
    with running(tmp_path_factory.mktemp("closed"), **environment) as system:
        yield system


async def _examine(url: str, site: Site, folder: Path) -> set[str]:
    """Return the operations that were called, each with a status that it answered."""
    answers = folder / "answers"
    result = await asyncio.to_thread(
        subprocess.run,
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIG),
            *("run", f"{url}/openapi.json"),
            *("--checks", "all", "--max-examples", EXAMPLES),
            *("--request-timeout", "35", "--no-color", "--seed", SEED),
        ],
        cwd=folder,
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "SITE_URL": site.url(""), "ANSWERS_FILE": str(answers)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
    return set(answers.read_text().splitlines())


async def test_the_api_keeps_its_word(
    closed_system: RunningSystem, site: Site, tmp_path: Path
) -> None:
    answered = await _examine(closed_system.url, site, tmp_path)
    assert {"parse_async 202", "parse_async 422"} <= answered
    assert {"get_status 200", "get_status 404", "get_status 422"} <= answered
    assert {"get_result 200", "get_result 404", "get_result 422"} <= answered
    assert {"parse_sync 200", "parse_sync 422", "parse_sync 502"} <= answered
    assert {"get_health 200", "get_readiness 200"} <= answered


async def test_the_parser_keeps_its_word(
    closed_system: RunningSystem, site: Site, tmp_path: Path
) -> None:
    answered = await _examine(closed_system.parser_url, site, tmp_path)
    assert {"fetch 200", "fetch 422", "fetch 502", "get_health 200"} <= answered


@pytest.mark.parametrize(
    ("text", "elsewhere"),
    [
        ("http://192.0.2.1:9/", True),
        ("http://3221225985:9/", True),
        ("https://[2001:db8::1]/", True),
        ("http://127.0.0.1:9/", False),
        ("http://0x7f.1:9/", False),
        ("http://[::1]/", False),
        ("http://a.test/", False),
        ("no URL", False),
        (None, False),
    ],
)
def test_addresses_of_other_machines_are_replaced(text: object, elsewhere: bool) -> None:
    assert leads_elsewhere(text) == elsewhere

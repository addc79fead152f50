"""The API behind a proxy that serves it below a path, whether the proxy strips that path or not."""

import subprocess
import sys

import httpx
import pytest

from api_service.config import Settings
from tests.support.app_client import OpenApp
from tests.support.system import ROOT


@pytest.mark.parametrize("seen", ["", "/pages"])
async def test_paths_in_answers_begin_with_the_prefix(open_api: OpenApp, seen: str) -> None:
    async with open_api(root_path="/pages") as client:
        accepted = await client.post(f"{seen}/parse_async", json={"url": "https://example.com/"})
        assert accepted.status_code == 202
        location = accepted.headers["location"]
        assert location == f"/pages/status/{accepted.json()['request_id']}"
        status = await client.get(location.removeprefix("/pages" if not seen else ""))
        assert status.json()["status"] == "pending"
        schema = (await client.get(f"{seen}/openapi.json")).json()
        assert schema["servers"] == [{"url": "/pages"}]


async def test_without_a_prefix_paths_are_as_ever(open_api: OpenApp) -> None:
    async with open_api() as client:
        accepted = await client.post("/parse_async", json={"url": "https://example.com/"})
        assert accepted.headers["location"] == f"/status/{accepted.json()['request_id']}"
        assert "servers" not in (await client.get("/openapi.json")).json()


@pytest.mark.parametrize("path", ["/health/", "/status/1/", "/docs/", "//evil.example/"])
async def test_a_slash_too_many_leads_nowhere_else(client: httpx.AsyncClient, path: str) -> None:
    """A redirect would name the host and port that the proxy calls, not those of the client."""
    answer = await client.get(path, headers={"Host": "localhost:8765"})
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_path")
    assert "location" not in answer.headers
    assert "8765" not in answer.text


@pytest.mark.parametrize("root_path", ["/status", "/docs/api", "/metrics", "/parse_async"])
def test_a_prefix_that_is_a_path_of_the_api_is_refused(settings: Settings, root_path: str) -> None:
    program = (
        "import asyncio; from api_service.main import app\n"
        "async def start():\n    async with app.router.lifespan_context(app): pass\n"
        "asyncio.run(start())"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"ROOT_PATH": root_path, "DATABASE_URL": settings.database_url, "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr.startswith(f"ROOT_PATH is {root_path!r}; it must not begin as a path")
    assert len(run.stderr.splitlines()) == 1

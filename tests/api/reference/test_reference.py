"""`/docs` needs no other host: the page, its script and its style come from the API."""

import re
from hashlib import sha256

import httpx
import pytest

from api_service.reference.page import FILE_MEDIA_TYPES, SWAGGER_UI_FOLDER
from tests.support.app_client import OpenApp


def _sources(page: str) -> list[str]:
    return re.findall(r'<(?:script|link)[^>]* (?:src|href)="([^"]+)"', page)


@pytest.mark.parametrize("root_path", ["", "/pages", "/a/b"])
async def test_the_page_loads_everything_from_where_it_is(
    open_api: OpenApp, root_path: str
) -> None:
    async with open_api(root_path=root_path) as client:
        page = await client.get(f"{root_path}/docs")
        assert page.status_code == 200
        loaded = [source for source in _sources(page.text) if source != "data:,"]
        assert len(loaded) == 3
        schema = ""
        for source in loaded:
            address = httpx.URL(f"http://localhost{root_path}/docs").join(source)
            assert str(address).startswith(f"http://localhost{root_path}/docs/")
            found = await client.get(address)
            assert (found.status_code, found.headers["x-content-type-options"]) == (200, "nosniff")
            kind = "text/css" if source.endswith(".css") else "text/javascript"
            assert found.headers["content-type"].startswith(kind)
            if source.endswith("start.js"):
                [schema] = re.findall(r'url: "([^"]+)"', found.text)
        there = httpx.URL(f"http://localhost{root_path}/docs").join(schema)
        assert (await client.get(there)).json()["openapi"]


async def test_the_page_runs_scripts_from_its_own_files_only(open_api: OpenApp) -> None:
    async with open_api() as client:
        page = await client.get("/docs")
    policy = dict(
        part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";")
    )
    assert (policy["default-src"], policy["script-src"]) == ("'none'", "'self'")
    assert policy["connect-src"] == "'self'"
    assert not re.search(r"<script(?![^>]* src=)|\son\w+=|https?:", page.text)


async def test_only_the_files_of_the_page_are_served(open_api: OpenApp) -> None:
    async with open_api() as client:
        for name in ("SHA256SUMS", "..%2fpage.py", "nothing.js"):
            answer = await client.get(f"/docs/{name}")
            assert (answer.status_code, answer.json()["code"]) == (404, "no_such_path")
        assert (await client.get("/redoc")).status_code == 404


def test_the_copy_of_swagger_ui_is_unchanged_and_has_its_licence() -> None:
    lines = (SWAGGER_UI_FOLDER / "SHA256SUMS").read_text().splitlines()[1:]
    sums = {name: digest for digest, name in (line.split() for line in lines)}
    assert sums.keys() >= FILE_MEDIA_TYPES.keys() | {"LICENSE", "NOTICE"}
    assert sums.keys() | {"SHA256SUMS"} == {path.name for path in SWAGGER_UI_FOLDER.iterdir()}
    for name, digest in sums.items():
        assert sha256((SWAGGER_UI_FOLDER / name).read_bytes()).hexdigest() == digest, name

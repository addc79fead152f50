"""Real pages from public corpora go through the whole system and get the stated titles."""

import tarfile
from collections import Counter

import pytest

from tests.data.conformance import collapse
from tests.support.cases import cases, located
from tests.support.site import Site
from tests.support.system import RunningSystem, results, submit


@pytest.fixture
def pages() -> list[tuple[dict[str, str], bytes]]:
    described = cases("real_pages.jsonl")
    with tarfile.open(located("real_pages.tar.xz")) as archive:
        bodies = {}
        for member in archive:
            if opened := archive.extractfile(member):
                bodies[member.name] = opened.read()
    return [(case, bodies[case["path"]]) for case in described]


@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.slow)])
async def test_every_real_page_ends_with_its_title(
    system: RunningSystem, site: Site, pages: list[tuple[dict[str, str], bytes]], step: int
) -> None:
    pages = pages[::step]
    urls = [
        site.respond(f"/{n}", 200, body, {"Content-Type": case["http_content_type"]})
        for n, (case, body) in enumerate(pages)
    ]
    async with system.client() as client:
        ids = [await submit(client, url) for url in urls]
        titles = [collapse(case["expected_title"]) for case, _ in pages]
        expected = dict(zip(ids, titles, strict=True))
        outcome: Counter[str] = Counter()
        wrong = []
        async for result in results(client, ids, seconds=120):
            right = result["title"] == expected[int(str(result["request_id"]))]
            outcome[str(result["status"])] += 1
            if not right:
                wrong.append((result["final_url"], result["title"], result["error"]))
    assert wrong == []
    assert outcome == {"success": len(pages)}

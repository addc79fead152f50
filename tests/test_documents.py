"""What documents name exists: files, headings, tests, targets of make; figures agree."""

import re
from pathlib import Path

import pytest

from api_service.exceptions import PAGE_ERROR_CODES
from tests.support.system import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TESTS = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
README = (ROOT / "README.md").read_text()
NAMES = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS]

every_document = pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)


@every_document
def test_the_targets_of_make_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(), re.MULTILINE)
    assert set(named) - targets == set()


@every_document
def test_the_files_and_headings_of_links_exist(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if link.startswith("http"):
            continue
        file, _, heading = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        if heading:
            titles = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles}
            assert heading in anchors, link


@every_document
def test_the_tests_exist(path: Path) -> None:
    for name in re.findall(r"`(test_\w+)`", path.read_text()):
        assert re.search(rf"def {name}\b", TESTS), name
    for name in re.findall(r"`(tests/[\w/.]+\.py)`", path.read_text()):
        assert (ROOT / name).is_file(), name


@every_document
def test_the_modules_exist(path: Path) -> None:
    folders = "api_service|parser_service|local|benchmarks|monitoring|alembic"
    for name in re.findall(rf"`((?:{folders})/[\w/.-]+)`", path.read_text()):
        assert (ROOT / name).exists(), name


def test_the_map_names_rooms_that_exist() -> None:
    text = README.partition("## The map\n")[2].partition("```\n\n")[0]
    for service in ("api_service", "parser_service"):
        part = text.partition(f"\n{service}/")[2]
        part = re.split(r"\n\w", part)[0]
        named = set(re.findall(r"(?:^  | )(\w+)/", part, re.MULTILINE))
        rooms = {folder.parent.name for folder in (ROOT / service).glob("*/__init__.py")}
        assert named <= rooms, service
        assert rooms <= set(re.findall(r"\w+", part)), service


def test_the_codes_of_pages_are_those_of_the_code() -> None:
    section = (ROOT / "docs" / "wire-contract.md").read_text().partition("\n## Codes\n")[2]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == PAGE_ERROR_CODES


def test_the_figures_of_the_readme_are_those_of_the_benchmark() -> None:
    measured = (ROOT / "docs" / "performance.md").read_text()

    def best(kind: str) -> float:
        found = re.search(rf"^\| {kind}, 20 KiB +\|(.+)\|$", measured, re.MULTILINE)
        assert found
        return max(map(float, found[1].split("|")))

    said = " ".join(README.split())
    jobs = re.search(r"about ([\d,]+) jobs per second", said)
    calls = re.search(r"about ([\d,]+) synchronous requests", said)
    latency = re.search(r"takes (\d+) ms \(median\)", said)
    median = re.search(
        r"^\| `GET /status/\{id\}\?wait=30` +\| +([\d.]+) \|", measured, re.MULTILINE
    )
    assert jobs
    assert calls
    assert latency
    assert median
    assert float(jobs[1]) == pytest.approx(best("async"), rel=0.05)
    assert float(calls[1]) == pytest.approx(best("sync"), rel=0.05)
    assert float(latency[1]) == pytest.approx(float(median[1]), rel=0.05)

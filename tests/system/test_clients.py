"""The program of docs/clients.md works, with the client that its command generates.

Only addresses differ: the system is on a port of its own, and the page is on the test's site.
"""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.site import Site
from tests.support.system import ROOT, RunningSystem

pytestmark = pytest.mark.slow

DOCUMENT = (ROOT / "docs" / "clients.md").read_text()
COMMAND, PROGRAM = (
    re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)
    for language in ("sh", "python")
)


async def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    scripts = Path(sys.executable).parent  # the generator runs ruff by its name
    return await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=folder,
        env=os.environ
        | {"PATH": f"{scripts}:{os.environ['PATH']}", "PYTHONPATH": str(folder), "no_proxy": "*"},
        capture_output=True,
        text=True,
        check=False,
    )


async def _generated(folder: Path, url: str, package: str) -> Path:
    """Generate a client as the document says, and return the folder of its package."""
    [command] = COMMAND
    command = command.replace("http://127.0.0.1:8000", url)
    result = await _run(folder, *command.split(), "--fail-on-warning")
    output = result.stdout + result.stderr
    assert result.returncode == 0, output
    assert "warning" not in output.lower()
    assert "error" not in output.lower()
    return folder / package.replace("_", "-") / package


async def test_the_program_of_the_document_reads_a_page(
    system: RunningSystem, site: Site, tmp_path: Path
) -> None:
    package = await _generated(tmp_path, system.url, "page_parser_client")
    [text] = PROGRAM
    program = package.parent / "program.py"
    program.write_text(text.replace("http://127.0.0.1:8000", system.url))

    checked = await _run(package.parent, sys.executable, "-m", "mypy", "--strict", "program.py")
    assert checked.returncode == 0, checked.stdout

    page = site.page("/", '<html lang="en"><title>A page</title>')
    outcome = await _run(package.parent, sys.executable, "program.py", page)
    assert (outcome.stdout, outcome.stderr) == ("A page\nen\n", "")
    outcome = await _run(package.parent, sys.executable, "program.py", site.url("/missing"))
    assert outcome.stderr == "http_status: The site answered with HTTP status 404.\n"
    outcome = await _run(package.parent, sys.executable, "program.py", "no URL")
    assert outcome.stderr.startswith("not accepted: url must begin with http://")


async def test_a_client_of_the_api_has_a_class_for_each_answer_and_no_more(
    system: RunningSystem, tmp_path: Path
) -> None:
    package = await _generated(tmp_path, system.url, "page_parser_client")
    assert _modules(package / "api" / "pages") == {
        *("get_result", "get_status", "parse_async", "parse_sync"),
    }
    assert _modules(package / "models") == {
        *("accepted_answer", "error_facts", "feed", "health", "metadata", "metadata_json_ld_item"),
        *("metadata_open_graph", "metadata_twitter_card", "parse_async_body", "parse_sync_answer"),
        *("problem", "readiness", "readiness_checks", "readiness_status", "redirect"),
        *("result_answer", "status_answer", "status_enum"),
    }


async def test_a_client_of_the_parser_has_a_class_for_each_answer_and_no_more(
    system: RunningSystem, tmp_path: Path
) -> None:
    package = await _generated(tmp_path, system.parser_url, "parser_service_client")
    assert _modules(package / "api" / "pages") == {"fetch"}
    assert _modules(package / "models") == {
        *("feed", "fetch_answer", "health", "metadata", "metadata_json_ld_item"),
        *("metadata_open_graph", "metadata_twitter_card", "problem", "redirect", "title_source"),
    }


def _modules(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.py")} - {"__init__"}

"""docs/operations.md names each alive file, its watchers, and times, as they are in the code."""

import re
from pathlib import Path

from api_service.celery_app import SWEEP_PERIOD_SECONDS
from api_service.parser_client.census import ALIVE_WITHIN_SECONDS
from api_service.process.alive import TOUCH_PERIOD_SECONDS
from api_service.worker.pulse import PULSE_PERIOD_SECONDS
from api_service.worker.result_loop import MAX_ANNOUNCEMENT_WAIT_SECONDS
from api_service.worker.watchdog import MAX_CELERY_IDLE_SECONDS
from local.supervisor import WATCH_SECONDS
from parser_service.alive import TOUCH_PERIOD_SECONDS as PARSER_TOUCH_SECONDS
from parser_service.jobs.heartbeat import HEARTBEAT_SECONDS

ROOT = Path(__file__).resolve().parent.parent
SECTION = (
    (ROOT / "docs" / "operations.md")
    .read_text()
    .split("\n## How a process shows that it is alive\n")[1]
    .split("\n## ")[0]
)
FLAT = " ".join(SECTION.split())


def _rows() -> dict[str, tuple[str, str, str]]:
    rows = re.findall(r"^\| (.+?) \| `(\w+)` \| (.+?) \| (.+?) \|$", SECTION, re.MULTILINE)
    return {process: (file, touched, watcher) for process, file, touched, watcher in rows}


def test_every_alive_file_is_in_the_table() -> None:
    watched = set(re.findall(r"\$\{(\w*ALIVE_FILE):-\}", (ROOT / "process_pair.sh").read_text()))
    assert {file for file, _, _ in _rows().values()} == watched
    compose = (ROOT / "docker-compose.yml").read_text()
    files = re.findall(r"^ +(\w*ALIVE_FILE):", compose, re.MULTILINE)
    assert sorted(files) == sorted(file for file, _, _ in _rows().values())


def test_processes_touch_their_files_as_often_as_documented() -> None:
    touched = {process: text for process, (_, text, _) in _rows().items()}
    assert f"every {TOUCH_PERIOD_SECONDS:g} s" in touched["API"]
    assert f"every {SWEEP_PERIOD_SECONDS:g} s" in touched["beat"]
    assert f"every {PULSE_PERIOD_SECONDS:g} s" in touched["worker, Celery"]
    assert f"at most {MAX_ANNOUNCEMENT_WAIT_SECONDS:g} s" in touched["worker, results"]
    assert f"every {PARSER_TOUCH_SECONDS:g} s" in touched["parser, HTTP side"]
    assert f"every {HEARTBEAT_SECONDS:g} s" in touched["parser, listener"]


def test_watchers_wait_as_long_as_documented() -> None:
    script = (ROOT / "process_pair.sh").read_text()
    assert f"${{WATCH_SECONDS:-{WATCH_SECONDS}}}" in script
    assert f"After `WATCH_SECONDS` (default {WATCH_SECONDS})" in FLAT
    assert f"does not touch its file for {MAX_CELERY_IDLE_SECONDS:g} s" in FLAT
    assert f"those of the last {ALIVE_WITHIN_SECONDS} s" in FLAT


def test_health_checks_of_containers_use_the_documented_ages() -> None:
    ages = re.findall(r"newermt '-(\d+) seconds'", (ROOT / "docker-compose.yml").read_text())
    worker, beat, parser = ages
    assert worker == parser
    assert f"file of a parser or worker is older than {parser} s" in FLAT
    assert f"that of beat older than {beat} s" in FLAT

"""Names of capabilities, tasks and entries of the schedule that are taken end a start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.system import ROOT

START = """
import api_service.capabilities as listed
from api_service.capabilities import Capability
listed.CAPABILITIES += ({capabilities},)
{start}
"""
WORKER = """
from api_service.celery_app import celery_app
celery_app.loader.import_default_modules()
"""
API = "import api_service.main as main; main.create_app(main.Settings.load_or_exit())"
OPERATION = "Capability(name='operation')"
NOWHERE = "Capability(name='nowhere')"
MAIL = "Capability(name='mail', task_modules=('mail',), beat_schedule={'%s': {'task': 'mail'}})"
TASK = """
from api_service.celery_app import celery_app
@celery_app.task(name="api.sweep")
def sweep(): ...
"""


@pytest.mark.parametrize(
    ("start", "capability", "sentence"),
    [
        (WORKER, OPERATION, "Two capabilities are named 'operation'."),
        (API, OPERATION, "Two capabilities are named 'operation'."),
        (WORKER, NOWHERE, "The capability 'nowhere' has no room."),
        (API, NOWHERE, "The capability 'nowhere' has no room."),
        (WORKER, MAIL % "sweep", "names an entry of beat's schedule 'sweep', as another does."),
        (WORKER, MAIL % "mail", "mail names a task 'api.sweep', as api_service.tasks does."),
    ],
)
def test_a_taken_name_ends_the_start(
    tmp_path: Path, start: str, capability: str, sentence: str
) -> None:
    (tmp_path / "mail.py").write_text(TASK)
    code = START.format(capabilities=capability, start=start)
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 1

"""What a full disk must not touch is in memory, and what it stops goes on when it has room."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local import memory_folder
from local.memory_folder import SHARED_MEMORY, make_memory_folder
from local.supervisor import CANNOT_START_STATUS, ProcessSpec, SupervisedProcess
from local.system import System
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
SHARE_METRICS = 'source ./process_pair.sh; share_metrics; ls -d "$PROMETHEUS_MULTIPROC_DIR"'


def test_files_of_metrics_are_not_with_the_data(tmp_path: Path) -> None:
    system = System({"DATA_DIR": str(tmp_path)})
    specs = [system._prepare_spec(name, [], {}) for name in ("parser", "worker")]
    one, other = [Path(spec.environment["PROMETHEUS_MULTIPROC_DIR"]) for spec in specs]
    assert one != other
    assert one.parent == other.parent
    assert one.is_relative_to(SHARED_MEMORY)
    system._memory_folder.cleanup()
    system._api_socket.close()
    assert not one.parent.exists()


def test_a_machine_without_shared_memory_gets_a_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_folder, "SHARED_MEMORY", tmp_path / "nowhere")
    with make_memory_folder() as folder:
        assert Path(folder).is_dir()


def test_a_start_script_keeps_metrics_in_memory_and_deletes_them_at_its_end() -> None:
    environment = {"PATH": os.environ["PATH"]}
    ended = subprocess.run(
        ["bash", "-c", SHARE_METRICS], cwd=ROOT, env=environment, capture_output=True, check=True
    )
    folder = Path(ended.stdout.decode().strip())
    assert folder.is_relative_to(SHARED_MEMORY)
    assert not folder.exists()


async def test_a_process_whose_log_cannot_be_opened_is_started_when_it_can(
    tmp_path: Path,
) -> None:
    log = tmp_path / "logs" / "x.log"
    supervised = SupervisedProcess(ProcessSpec("x", [sys.executable, "-c", "print(7)"], log))
    supervised.start()
    await until(lambda: bool(supervised.ends))
    log.parent.mkdir()
    await until(lambda: log.exists() and b"7" in log.read_bytes(), seconds=20)
    await asyncio.wait_for(supervised.stop(5), 10)
    assert supervised.ends[0] == CANNOT_START_STATUS

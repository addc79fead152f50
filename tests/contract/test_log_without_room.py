"""A line of the log that cannot be written costs nothing, in any process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.api_process import running_api

ROOT = Path(__file__).resolve().parents[2]
FULL = "/dev/full"

WRITE_LINES = """
import logging, sys, structlog
from {module} import configure
configure("x", "INFO")
for _ in range(1000):
    structlog.get_logger().info("ours", filler="x" * 100)
    logging.getLogger("celery").error("theirs", exc_info=ValueError("x" * 100))
    logging.getLogger("uvicorn.error").warning("theirs")
if {is_closed}:
    sys.stdout.close()
    structlog.get_logger().info("after the end")
sys.stderr.write("done")
"""


def _run(module: str, *, is_closed: bool) -> str:
    """Return what a process writes to standard error."""
    text = WRITE_LINES.format(module=module, is_closed=is_closed)
    with open(FULL, "w") as output:  # noqa: PTH123 - a device
        ended = subprocess.run(
            [sys.executable, "-c", text],
            stdout=output,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            text=True,
            check=False,
        )
    assert is_closed or ended.returncode == 0
    return ended.stderr


@pytest.mark.parametrize("is_closed", [False, True])
@pytest.mark.parametrize("module", ["api_service.process.log", "parser_service.log"])
def test_lines_without_room_are_dropped(module: str, is_closed: bool) -> None:
    assert _run(module, is_closed=is_closed) == "done"


async def test_clients_are_answered_while_the_log_has_no_room(
    database_url: str, redis_url: str
) -> None:
    urls = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    async with running_api(log=FULL, PYTHONUNBUFFERED="1", **urls) as api, api.client() as client:
        accepted = await client.post("/parse_async", json={"url": "https://a.example/"})
        assert accepted.status_code == 202
        path = f"/status/{accepted.json()['request_id']}"
        assert (await client.get(path)).status_code == 200
        assert (await client.get("/nowhere")).status_code == 404

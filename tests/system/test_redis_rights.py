"""The rights that docs/operations.md asks for are enough, on a Redis with a user of its own."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from local.valkey import Valkey
from tests.support.site import Site
from tests.support.system import ROOT, results, running, submit

INSTALLATIONS = {
    "default": {},
    "another": {"TASK_QUEUE": "other:tasks", "RESULT_PREFIX": "other:results:"},
}


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path / "valkey", durable=False, password="admin")
    server.start()
    yield server
    server.stop()


def _rights(name: str) -> list[str]:
    """Read a line `ACL SETUSER {name} …` of the document."""
    text = (ROOT / "docs" / "operations.md").read_text()
    found = re.search(rf"^ACL SETUSER {name} on >\S+ (.+)$", text, re.MULTILINE)
    assert found
    return found[1].split()


@pytest.mark.slow
@pytest.mark.parametrize("name", INSTALLATIONS)
async def test_the_documented_rights_are_enough(
    name: str, valkey: Valkey, tmp_path: Path, site: Site
) -> None:
    user = "page-parser" if name == "default" else "other"
    with redis.Redis(port=valkey.port, password="admin", decode_responses=True) as admin:
        admin.execute_command("ACL", "SETUSER", user, "on", ">limited", *_rights(user))
        url = site.page("/", "<title>allowed</title>")
        variables = {"REDIS_URL": f"redis://{user}:limited@127.0.0.1:{valkey.port}/0"}
        with running(tmp_path / "system", **variables, **INSTALLATIONS[name]) as system:
            async with system.client() as client:
                ids = [await submit(client, url) for _ in range(20)]
                ended = [result async for result in results(client, ids)]
                assert {result["status"] for result in ended} == {"success"}
                assert (await client.get("/parse_sync", params={"url": url})).status_code == 200
                assert 'queue="unacked"' in (await client.get("/metrics")).text
        assert admin.execute_command("ACL", "LOG") == []

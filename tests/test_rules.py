"""The check of the house rules finds each breach."""

from pathlib import Path

import pytest

from tests.support.keys import LEASES, RESULTS
from tests.support.rules import ROOT, broken_rules

FUNCTION = "def f() -> None:\n" + "    f()\n" * 45
CLASS = "class A:\n" + "    a = 1\n" * 200
ROOM = '"""Hold things that belong together."""'


def test_the_tree_keeps_its_rules() -> None:
    assert list(broken_rules(ROOT)) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("api_service/service.py", "await session.commit()"),
        ("api_service/routes.py", "task.apply_async()"),
        ("api_service/routes.py", "send = task.delay"),
        ("api_service/routes.py", "app.send_task (\n    'it.do'\n)"),
        ("api_service/it/tasks.py", "(\n    task\n    . apply_async\n)()"),
        ("api_service/routes.py", "getattr(task, 'delay')()"),
        ("api_service/routes.py", "from celery import group"),
        ("alembic/__init__.py", ""),
        ("api_service/routes.py", "from api_service.worker import results"),
        ("api_service/routes.py", "from api_service.worker.results import (\n    run,\n)"),
        ("parser_service/routes.py", "import parser_service.redis_listener"),
        ("benchmarks/load.py", "from local.__main__ import main"),
        ("tests/parser/test_it.py", "from parser_service.redis_listener import Listener"),
        ("tests/support/it.py", "def f() -> None:\n    import api_service.worker.beat"),
        ("local/utils.py", ""),
        ("tests/support/helpers.py", ""),
        ("tests/common/__init__.py", ""),
        ("api_service/routes.py", "a = 1\n" * 301),
        ("parser_service/routes.py", CLASS),
        ("local/system.py", FUNCTION),
        ("local/system.py", f"async {FUNCTION}"),
        ("local/system.py", f"class A:\n    {FUNCTION.replace(chr(10), chr(10) + '    ')}"),
        ("api_service/routes.py", "import os\n\nos.environ['A']"),
        ("parser_service/routes.py", "import os\n\nos.getenv('A')"),
        ("api_service/worker/loop.py", "from os import environ"),
        ("api_service/worker/loop.py", "import os as system\n\nsystem.environ['A']"),
        ("parser_service/jobs/it.py", "from os import getenv as read\n\nread('A')"),
        ("parser_service/jobs/it.py", "from os import *"),
        ("api_service/service.py", "import os\n\ngetattr(os, 'environ')"),
        ("api_service/service.py", "import urllib.request"),
        ("api_service/service.py", "from urllib import request"),
        ("api_service/service.py", "import requests"),
        ("api_service/webhooks/service.py", "def f() -> None:\n    from http import client"),
        ("parser_service/extractors/title.py", "import http.client as web"),
        ("parser_service/extractors/title.py", "from urllib.request import urlopen"),
        ("parser_service/extractors/title.py", "from socket import create_connection"),
        ("api_service/webhooks/service.py", "import asyncpg"),
        ("api_service/endings/repository.py", "from asyncpg.exceptions import DataError"),
        ("tests/api/test_it.py", f'KEY = "{LEASES}"'),
        ("tests/system/test_it.py", f"key = f'{RESULTS}{{number}}'"),
    ],
)
def test_a_breach_is_found(tmp_path: Path, path: str, text: str) -> None:
    _write(tmp_path, path, text)
    assert len(list(broken_rules(tmp_path))) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("api_service/database.py", "await session.commit()"),
        ("api_service/queueing/enqueue.py", "task.apply_async()"),
        ("api_service/tasks.py", "from api_service.worker.result_loop import ResultLoop"),
        ("api_service/routes.py", "a = 1\n" * 300),
        ("parser_service/routes.py", CLASS.removesuffix("    a = 1\n")),
        ("local/system.py", FUNCTION.removesuffix("    f()\n")),
        ("api_service/config.py", "import os\n\nos.environ['A']"),
        ("parser_service/metrics.py", "import os\n\nos.environ['PROMETHEUS_MULTIPROC_DIR']"),
        ("local/system.py", "import os\n\nos.environ['A']"),
        ("api_service/endings/wakeups.py", "import asyncpg"),
        ("parser_service/fetching/resolver.py", "import socket"),
        ("api_service/routes.py", "from api_service.requests import ParseAsyncBody"),
        ("api_service/routes.py", "from http import HTTPStatus\nfrom urllib.parse import urlsplit"),
        ("tests/support/keys.py", f'LEASES = "{LEASES}"'),
    ],
)
def test_what_is_allowed_is_no_breach(tmp_path: Path, path: str, text: str) -> None:
    _write(tmp_path, path, text)
    assert list(broken_rules(tmp_path)) == []


@pytest.mark.parametrize(("service", "limit"), [("api_service", 20), ("parser_service", 16)])
def test_the_top_of_a_service_has_an_end(tmp_path: Path, service: str, limit: int) -> None:
    _write(tmp_path, f"{service}/__init__.py", "")
    for number in range(limit):
        _write(tmp_path, f"{service}/module_{number}.py", "")
    assert list(broken_rules(tmp_path)) == []
    _write(tmp_path, f"{service}/one_more.py", "")
    assert len(list(broken_rules(tmp_path))) == 1


@pytest.mark.parametrize(
    ("text", "is_fine"),
    [
        (ROOM, True),
        ('"""Read config.py\nand more.\n\nA story. It goes on.\n"""', True),
        ("", False),
        ('"""Things"""', False),
        ('"""Hold things. Hold others."""', False),
    ],
)
def test_a_room_opens_with_one_sentence(tmp_path: Path, text: str, *, is_fine: bool) -> None:
    _write(tmp_path, "api_service/edge/__init__.py", text)
    _write(tmp_path, "tests/api/edge/test_problems.py", "")
    assert len(list(broken_rules(tmp_path))) == (not is_fine)


def test_a_room_has_tests_of_its_own(tmp_path: Path) -> None:
    _write(tmp_path, "parser_service/markup/__init__.py", ROOM)
    _write(tmp_path, "tests/api/markup/test_charset.py", "")
    _write(tmp_path, "tests/parser/markup/pages.py", "")
    assert len(list(broken_rules(tmp_path))) == 1
    _write(tmp_path, "tests/parser/markup/test_charset.py", "")
    assert list(broken_rules(tmp_path)) == []


def _write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)

"""The rules of the house are really looked for."""

from pathlib import Path

import pytest

from tests.support.rules import ROOT, broken_rules


def test_the_tree_keeps_its_rules() -> None:
    assert list(broken_rules(ROOT)) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("api_service/service.py", "await session.commit()"),
        ("api_service/routes.py", "task.apply_async()"),
        ("api_service/routes.py", "from api_service import results"),
        ("parser_service/routes.py", "import parser_service.redis_listener"),
        ("local/utils.py", ""),
        ("alembic/__init__.py", ""),
    ],
)
def test_a_breach_is_found(tmp_path: Path, path: str, text: str) -> None:
    (tmp_path / path).parent.mkdir()
    (tmp_path / path).write_text(text)
    assert len(list(broken_rules(tmp_path))) == 1

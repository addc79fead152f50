"""What is no password: short, long, or one of the commonest."""

import hashlib

import pytest

from api_service.accounts.exceptions import WeakPasswordError
from api_service.accounts.password_rules import COMMON_PASSWORDS_FILE, require_strong_password


@pytest.mark.parametrize(
    "password", ["x7-q.9Zk", "ж" * 8, "a b c d e", "correct horse battery", "x" * 256]
)
def test_others_are_taken(password: str) -> None:
    require_strong_password(password)


@pytest.mark.parametrize(
    ("password", "word"),
    [
        *(("", "fewer"), ("1234567", "fewer"), ("x" * 257, "more")),
        *(("password", "commonest"), ("PassWord1", "commonest"), ("12345678", "commonest")),
    ],
)
def test_a_weak_one_is_refused_with_the_reason(password: str, word: str) -> None:
    with pytest.raises(WeakPasswordError, match=word):
        require_strong_password(password)


def test_the_commonest_ten_thousand_are_all_refused() -> None:
    common = COMMON_PASSWORDS_FILE.read_text().splitlines()
    assert len(set(common)) == 10_000
    for password in common:
        with pytest.raises(WeakPasswordError):
            require_strong_password(password)


def test_the_list_is_that_of_its_source() -> None:
    folder = COMMON_PASSWORDS_FILE.parent
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    sums = dict(line.split()[::-1] for line in lines if not line.startswith("#"))
    files = {path.name for path in folder.iterdir()}
    assert sums.keys() == files - {"SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest

"""Refuse passwords that are guessed first."""

from functools import cache
from pathlib import Path

from api_service.accounts.exceptions import WeakPasswordError

MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH = 8, 256
"""Characters of a password."""
COMMON_PASSWORDS_FILE = Path(__file__).with_name("common_passwords") / "passwords.txt"
"""The commonest 10,000; SHA256SUMS beside it names their source."""


def require_strong_password(password: str) -> None:
    """Refuse a password that is short, long or common.

    Raises:
        WeakPasswordError: it says which.
    """
    if len(password) < MIN_PASSWORD_LENGTH:
        raise WeakPasswordError(f"The password has fewer than {MIN_PASSWORD_LENGTH} characters.")
    if len(password) > MAX_PASSWORD_LENGTH:
        raise WeakPasswordError(f"The password has more than {MAX_PASSWORD_LENGTH} characters.")
    if password.casefold() in _common_passwords():
        raise WeakPasswordError("The password is among the commonest 10,000; choose another.")


@cache
def _common_passwords() -> frozenset[str]:
    lines = COMMON_PASSWORDS_FILE.read_text(encoding="ascii").splitlines()
    return frozenset(lines)

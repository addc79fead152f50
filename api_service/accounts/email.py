"""Read e-mail addresses: two that differ in case only are one account."""

import unicodedata

MAX_EMAIL_LENGTH = 254
"""Characters of an address, as RFC 5321 limits a path."""


def normalise_email(text: str) -> str:
    """Return the address as it is stored and compared: stripped, and in lower case.

    Raises:
        ValueError: it is no address; the message follows the member's name.
    """
    address = unicodedata.normalize("NFC", text.strip()).lower()
    if len(address) > MAX_EMAIL_LENGTH:
        raise ValueError(f"must have at most {MAX_EMAIL_LENGTH} characters")
    local, at, domain = address.rpartition("@")
    # Categories C and Z: control characters (NUL among them), surrogates, spaces.
    is_readable = not any(unicodedata.category(one)[0] in "CZ" for one in address)
    if not (local and at and domain and is_readable) or "@" in local or domain.startswith("."):
        raise ValueError("must be an address, such as ada@example.org")
    return address

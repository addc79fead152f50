"""Name the credential that a caller showed, in `Caller.credential_id`."""

from uuid import UUID

SESSION, KEY = "session", "key"


def name_credential(kind: str, id: UUID) -> str:
    """Return the name of a session or a key."""
    return f"{kind}-{id}"


def is_key(credential_id: str | None) -> bool:
    """Return whether the caller showed a key."""
    return (credential_id or "").startswith(f"{KEY}-")


def session_id_of(credential_id: str | None) -> UUID | None:
    """Return the id of a session; None for a key and for nothing."""
    kind, _, id = (credential_id or "").partition("-")
    return UUID(id) if kind == SESSION else None

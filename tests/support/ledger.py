"""Record every change of a request's status, by a trigger of PostgreSQL."""

from collections.abc import Collection

import asyncpg

from tests.support.servers import dsn

_TABLE = """
CREATE TABLE status_changes (
    number bigint GENERATED ALWAYS AS IDENTITY, request_id bigint, was text, became text,
    at timestamptz DEFAULT clock_timestamp()
);
CREATE INDEX ON status_changes (request_id);
CREATE FUNCTION note_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO status_changes (request_id, became) VALUES (NEW.id, NEW.status);
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO status_changes (request_id, was) VALUES (OLD.id, OLD.status);
    ELSIF OLD.status <> NEW.status OR OLD.status IN ('success', 'failure') THEN
        -- An ended row must not be updated, not even to the same status.
        INSERT INTO status_changes (request_id, was, became)
            VALUES (NEW.id, OLD.status, NEW.status);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note_status AFTER INSERT OR UPDATE OR DELETE ON parse_requests
    FOR EACH ROW EXECUTE FUNCTION note_status();
"""

_LEGAL = {(None, "pending"), ("pending", "processing")}
_LEGAL |= {("processing", end) for end in ("success", "failure")}


class Ledger:
    """Report illegal changes of rows."""

    def __init__(self, database_url: str) -> None:
        self._dsn = dsn(database_url)

    async def open(self) -> None:
        """Start to record."""
        connection = await asyncpg.connect(self._dsn)
        await connection.execute(_TABLE)
        await connection.close()

    async def breaches(self, ids: Collection[int]) -> list[str]:
        """Return a sentence for each illegal move and each row that did not end exactly once."""
        connection = await asyncpg.connect(self._dsn)
        try:
            changes = await connection.fetch(
                "SELECT request_id, was, became FROM status_changes ORDER BY number"
            )
        finally:
            await connection.close()
        ends = dict.fromkeys(ids, 0)
        found = []
        for request_id, was, became in changes:
            if (was, became) not in _LEGAL:
                found.append(f"{request_id} went from {was} to {became}")
            elif became in ("success", "failure") and request_id in ends:
                ends[request_id] += 1
        found += [f"{request_id} ended {n} times" for request_id, n in ends.items() if n != 1]
        return found

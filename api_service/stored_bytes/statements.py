"""The SQL of stored bytes."""

from sqlalchemy import text

ADD_CHANGES = text("""
    INSERT INTO stored_bytes_changes (owner_id, bytes)
    SELECT owner_id, bytes
    FROM unnest(CAST(:owner_ids AS uuid[]), CAST(:bytes AS bigint[])) AS v(owner_id, bytes)
""")

# One statement, so that a difference is deleted and added together or not at all. Owners are
# taken in their order: two folds at once do not wait for each other in a circle.
FOLD = text("""
    WITH gone AS (
        DELETE FROM stored_bytes_changes
        WHERE id = ANY(ARRAY(
            SELECT id FROM stored_bytes_changes
            WHERE id >= :first ORDER BY id LIMIT :limit
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING id, owner_id, bytes
    ), added AS (
        INSERT INTO stored_bytes AS s (owner_id, bytes)
        SELECT owner_id, sum(bytes) FROM gone GROUP BY owner_id ORDER BY owner_id
        ON CONFLICT (owner_id) DO UPDATE SET bytes = s.bytes + excluded.bytes
        RETURNING 1
    )
    SELECT count(*) AS folded, min(id) AS first FROM gone
""")

READ = text("""
    SELECT owner_id, greatest(bytes, 0) AS bytes FROM stored_bytes
    WHERE owner_id = ANY(CAST(:owner_ids AS uuid[]))
""")

FORGET = text("""
    DELETE FROM stored_bytes WHERE owner_id = :owner_id AND (bytes = 0 OR NOT :only_zero)
""")

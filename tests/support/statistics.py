"""Give PostgreSQL statistics of another day: statements to execute as a superuser."""

TABLES = (
    *("parse_requests", "idempotency_keys"),
    *("stored_bytes_changes", "stored_bytes", "owners_to_delete"),
)

# As of a table of one page and no row. Autovacuum would soon replace them.
AGE_STATISTICS = "".join(
    f"""
    ALTER TABLE {table} SET (autovacuum_enabled = off);
    DELETE FROM pg_statistic WHERE starelid = '{table}'::regclass;
    UPDATE pg_class SET relpages = 1, reltuples = 0, relallvisible = 0
        WHERE oid = '{table}'::regclass OR oid IN (
            SELECT indexrelid FROM pg_index WHERE indrelid = '{table}'::regclass
        );
"""
    for table in TABLES
)
# As of a table of a thousand rows, none of which had ended.
OF_A_BUSY_DAY = """
    UPDATE pg_class SET relpages = 20, reltuples = 1000
        WHERE oid IN (
            SELECT indexrelid FROM pg_index WHERE indrelid = 'parse_requests'::regclass
            UNION ALL VALUES ('parse_requests'::regclass::oid)
        );
    SELECT pg_restore_attribute_stats(
        'schemaname', 'public', 'relname', 'parse_requests', 'attname', 'status',
        'inherited', false, 'null_frac', 0::real, 'avg_width', 4, 'n_distinct', 1::real,
        'most_common_vals', '{processing}', 'most_common_freqs', '{1}'::real[]
    );
"""

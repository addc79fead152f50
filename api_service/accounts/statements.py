"""The statements of accounts, as PostgreSQL gets them."""

# ruff: noqa: S608 - the texts are put together from ours, values are parameters

from sqlalchemy import text

from api_service.schema import LAST_TIME_SQL, age_in_seconds, readable_time

_USER_COLUMNS = f"""
    id, email, password_hash, password_version, role, is_active, limits::text AS limits,
    {readable_time("created_at")} AS created_at
"""

ADD_USER = text(f"""
    INSERT INTO users (email, password_hash, role) VALUES (:email, :password_hash, :role)
    ON CONFLICT (email) DO NOTHING
    RETURNING {_USER_COLUMNS}
""")

FIND_USER_BY_EMAIL = text(f"SELECT {_USER_COLUMNS} FROM users WHERE email = :email")

FIND_USER = text(f"SELECT {_USER_COLUMNS} FROM users WHERE id = :id AND deleted_at IS NULL")

LOCK_USER = text(f"""
    SELECT {_USER_COLUMNS} FROM users WHERE id = :id AND deleted_at IS NULL FOR NO KEY UPDATE
""")

# In one order, so that two changes at once do not wait for each other.
LOCK_ACTIVE_ADMINS = text("""
    SELECT id FROM users WHERE role = 'admin' AND is_active AND deleted_at IS NULL
    ORDER BY id FOR NO KEY UPDATE
""")

# Ordered by the columns: the output of this name is the nearest time that Python can read.
LIST_USERS = text(f"""
    SELECT {_USER_COLUMNS} FROM users
    WHERE deleted_at IS NULL ORDER BY users.created_at DESC, users.id DESC LIMIT :limit
""")

LIST_USERS_AFTER = text(f"""
    SELECT {_USER_COLUMNS} FROM users
    WHERE deleted_at IS NULL
        AND (created_at, id) < (CAST(:created_at AS timestamptz), CAST(:id AS uuid))
    ORDER BY users.created_at DESC, users.id DESC LIMIT :limit
""")

UPDATE_USER = text(f"""
    UPDATE users SET role = :role, is_active = :is_active, limits = CAST(:limits AS jsonb)
    WHERE id = :id
    RETURNING {_USER_COLUMNS}
""")

SET_PASSWORD = text("""
    UPDATE users SET password_hash = :password_hash,
        password_version = CASE WHEN password_version < 2147483647 THEN password_version + 1
            ELSE 0 END
    WHERE id = :id AND password_version = :version AND deleted_at IS NULL
    RETURNING 1
""")

RENEW_HASH = text("""
    UPDATE users SET password_hash = :password_hash
    WHERE id = :id AND password_version = :version AND deleted_at IS NULL
""")

MARK_USER_DELETED = text("""
    UPDATE users SET email = NULL, password_hash = NULL, is_active = false, limits = '{}',
        role = 'user', deleted_at = now()
    WHERE id = :id AND deleted_at IS NULL
""")

FIND_DELETED_AT = text("SELECT deleted_at FROM users WHERE id = :id AND deleted_at IS NOT NULL")

# Locks the user: a password that is changed meanwhile, or a user who is made inactive, has its way.
LOCK_USER_FOR_LOGIN = text("""
    SELECT id FROM users
    WHERE id = :id AND password_version = :version AND is_active AND deleted_at IS NULL
    FOR NO KEY UPDATE
""")

ADD_SESSION = text("""
    INSERT INTO sessions (user_id, token_digest, expires_at)
    VALUES (:user_id, :token_digest, now() + CAST(:lifetime AS interval))
    RETURNING id, expires_at
""")

DELETE_SURPLUS_SESSIONS = text("""
    DELETE FROM sessions
    WHERE user_id = :user_id AND (expires_at <= now() OR id = ANY(ARRAY(
        SELECT id FROM sessions WHERE user_id = :user_id ORDER BY created_at DESC OFFSET :kept
    )))
""")

DELETE_SESSIONS = text("""
    DELETE FROM sessions WHERE user_id = :user_id AND id IS DISTINCT FROM CAST(:but AS uuid)
""")

DELETE_SESSION = text("DELETE FROM sessions WHERE id = :id RETURNING user_id")

DELETE_SESSION_BY_DIGEST = text("""
    DELETE FROM sessions WHERE token_digest = :token_digest RETURNING user_id
""")

_KEY_COLUMNS = f"""
    id, name, prefix, scopes, {readable_time("created_at")} AS created_at,
    CASE WHEN expires_at IS NOT NULL THEN {readable_time("expires_at")} END AS expires_at,
    CASE WHEN last_used_at IS NOT NULL THEN {readable_time("last_used_at")} END AS last_used_at
"""

ADD_KEY = text(f"""
    INSERT INTO api_keys (user_id, name, prefix, token_digest, scopes, expires_at)
    SELECT CAST(:user_id AS uuid), CAST(:name AS text), CAST(:prefix AS text),
        CAST(:token_digest AS bytea), CAST(:scopes AS text[]), CAST(:expires_at AS timestamptz)
    WHERE (
        SELECT count(*) FROM (
            SELECT 1 FROM api_keys WHERE user_id = CAST(:user_id AS uuid) LIMIT :most
        ) AS counted
    ) < :most
    RETURNING {_KEY_COLUMNS}
""")

LIST_KEYS = text(f"""
    SELECT {_KEY_COLUMNS} FROM api_keys WHERE user_id = :user_id
    ORDER BY api_keys.created_at DESC, api_keys.id DESC LIMIT :limit
""")

LIST_KEYS_AFTER = text(f"""
    SELECT {_KEY_COLUMNS} FROM api_keys
    WHERE user_id = :user_id
        AND (created_at, id) < (CAST(:created_at AS timestamptz), CAST(:id AS uuid))
    ORDER BY api_keys.created_at DESC, api_keys.id DESC LIMIT :limit
""")

DELETE_KEY = text("DELETE FROM api_keys WHERE id = :id AND user_id = :user_id RETURNING id")

DELETE_KEYS = text("DELETE FROM api_keys WHERE user_id = :user_id")

# Rows that another process writes at the same moment are left to it.
TOUCH_KEYS = text("""
    UPDATE api_keys SET last_used_at = now()
    WHERE id = ANY(ARRAY(
        SELECT id FROM api_keys
        WHERE id = ANY(CAST(:ids AS uuid[]))
            AND (last_used_at IS NULL OR last_used_at < now() - CAST(:pause AS interval))
        FOR NO KEY UPDATE SKIP LOCKED
    ))
""")


def _seconds_until(column: str) -> str:
    return f"extract(epoch FROM least({column}, {LAST_TIME_SQL}) - now())::float8"


# One look at an index for each token, whatever the statistics say: LIMIT keeps the planner from
# joining whole tables.
FIND_CALLERS = text(f"""
    SELECT wanted.digest, found.id, found.kind, found.scopes, found.seconds_left, found.unused_for,
        u.id AS user_id, u.role, u.limits::text AS limits
    FROM unnest(CAST(:digests AS bytea[])) AS wanted(digest)
    CROSS JOIN LATERAL (
        (
            SELECT s.id, 'session' AS kind, s.user_id, CAST(NULL AS text[]) AS scopes,
                {_seconds_until("s.expires_at")} AS seconds_left,
                CAST(0 AS float8) AS unused_for
            FROM sessions s WHERE s.token_digest = wanted.digest AND s.expires_at > now() LIMIT 1
        ) UNION ALL (
            SELECT k.id, 'key', k.user_id, k.scopes,
                CASE WHEN k.expires_at IS NOT NULL THEN {_seconds_until("k.expires_at")} END,
                CASE WHEN k.last_used_at IS NOT NULL
                    THEN {age_in_seconds("k.last_used_at")} END
            FROM api_keys k
            WHERE k.token_digest = wanted.digest AND (k.expires_at IS NULL OR k.expires_at > now())
            LIMIT 1
        )
    ) AS found
    CROSS JOIN LATERAL (
        SELECT id, role, limits FROM users
        WHERE id = found.user_id AND is_active AND deleted_at IS NULL LIMIT 1
    ) AS u
""")

NOTIFY_CHANGE = text("SELECT pg_notify(CAST(:channel AS text), CAST(:user_id AS text))")

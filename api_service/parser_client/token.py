"""Read the token of an attempt: `{request id}-{hex}`, such as `42-9f86d081884c7d65`.

SQL makes tokens, with `NEW_TOKEN_SQL` in `repository.py`. Other producers number their
jobs as they like, so a token of theirs may have any form.
"""

import re

# 18 digits always fit into the id's column, a bigint; no id of ours is longer. Printable ASCII, so
# that the database takes it as a text.
_ID_PREFIX = re.compile(r"(-?[0-9]{1,18})-[!-~]*")


def request_id_of(token: str) -> int | None:
    """Return the id of the request that a token belongs to, or None for a foreign token."""
    found = _ID_PREFIX.fullmatch(token)
    return int(found[1]) if found else None

"""Give schemathesis URLs that can be fetched, and keep it off every other machine.

Loaded by schemathesis as its hooks. The test's site is at `SITE_URL`, and each answer is added to
`ANSWERS_FILE` as a line with the operation's id and the status.
"""

import os
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import schemathesis
from hypothesis import strategies as st

from tests.support.loopback import leads_elsewhere

SITE_URL = os.environ["SITE_URL"]
ANSWERS_FILE = Path(os.environ["ANSWERS_FILE"])
PATHS = ["/", "/bare", "/moved", "/image", "/private", "/missing"]
"""What the site has; `/private` is disallowed by its robots.txt."""
REFUSED_URL = "http://127.0.0.1:1/"
"""Leads to a port that the parser may not connect to."""

_seen_keys: set[str] = set()

# A schema can say no more than that a text is a URI, of which few are pages.
_queries = st.just("") | st.text("abc=&+", max_size=20).map("?{}".format)
schemathesis.openapi.format(
    "uri", st.builds(lambda path, query: SITE_URL + path + query, st.sampled_from(PATHS), _queries)
)


@schemathesis.hook
def before_call(
    _: schemathesis.HookContext, case: schemathesis.Case[Any], __: dict[str, Any]
) -> None:
    """Change what a schema cannot rule out.

    The parser's name server does not answer, so only addresses could lead to other machines.
    """
    for part in (case.query, case.body):
        if isinstance(part, dict) and leads_elsewhere(part.get("url")):
            part["url"] = REFUSED_URL
    key = case.headers.get("Idempotency-Key") if case.headers else None
    if key and re.fullmatch(r"[!-~]{1,255}", key):
        if key in _seen_keys:  # with another body the answer would be 422
            case.headers["Idempotency-Key"] = str(uuid4())
        _seen_keys.add(key)


@schemathesis.hook
def after_call(
    _: schemathesis.HookContext, case: schemathesis.Case[Any], response: schemathesis.Response
) -> None:
    """Note what was answered."""
    operation_id = case.operation.definition.raw["operationId"]
    with ANSWERS_FILE.open("a") as answers:
        answers.write(f"{operation_id} {response.status_code}\n")

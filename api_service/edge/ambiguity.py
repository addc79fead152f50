"""Refuse requests that say one thing twice: a client and a proxy may each believe another one."""

from collections import Counter

from fastapi import Request

from api_service.edge.exceptions import InvalidRequestError
from api_service.edge.sentences import MAX_MEMBER_NAME_LENGTH

_KEY_HEADER = "Idempotency-Key"


async def refuse_repetitions(request: Request) -> None:
    """Refuse a parameter of the query, or an `Idempotency-Key`, that is given more than once.

    Raises:
        InvalidRequestError: one is.
    """
    names = Counter(name for name, _ in request.query_params.multi_items())
    repeated = next((name for name, count in names.items() if count > 1), None)
    if len(request.headers.getlist(_KEY_HEADER)) > 1:
        repeated = _KEY_HEADER
    if repeated is not None:
        name = repeated.encode(errors="replace").decode()[:MAX_MEMBER_NAME_LENGTH]
        raise InvalidRequestError(f"{name} is given more than once; send it once.")

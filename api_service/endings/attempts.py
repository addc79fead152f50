"""Values that describe the end of an attempt, and the change of its request."""

from dataclasses import dataclass
from uuid import UUID

from api_service.page.facts import ErrorFacts, PageFacts
from api_service.status_enum import StatusEnum


@dataclass(frozen=True, slots=True)
class SucceededAttempt:
    """A successful attempt.

    Attributes:
        token: names the attempt; None for the current one.
    """

    request_id: int
    token: str | None
    title: str
    html: str
    facts: PageFacts


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """An attempt without a page.

    Attributes:
        token: names the attempt; None for the current one.
        retry_after: seconds that must pass before the next attempt; None for no other attempt.
    """

    request_id: int
    token: str | None
    error: ErrorFacts
    retry_after: float | None


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """A request whose attempt has just ended.

    Attributes:
        owner_id: whose request it is; None for anonymous callers.
        status: its status now: a final one, or `processing` if another attempt follows.
        age: seconds since the request was accepted.
        stored_bytes: of the page that was stored; a capability counts what it stores itself.
    """

    request_id: int
    owner_id: UUID | None
    status: StatusEnum
    age: float
    stored_bytes: int = 0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Limits of retries.

    Attributes:
        max_attempts: attempts after which the request fails.
        base_delay: seconds of the first pause, which doubles each time; all are jittered.
        max_delay: seconds of the longest pause.
    """

    max_attempts: int
    base_delay: float
    max_delay: float

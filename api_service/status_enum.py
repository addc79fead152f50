"""The statuses of a parse request and the moves between them."""

from enum import StrEnum


class StatusEnum(StrEnum):
    """The status of a parse request, as clients see it."""

    PENDING = "pending"
    """Accepted and committed; not yet handed to a parser."""
    PROCESSING = "processing"
    """Queued for a parser, being fetched, or waiting for its next attempt."""
    SUCCESS = "success"
    FAILURE = "failure"

    @property
    def is_final(self) -> bool:
        """Return whether the request has ended: a final status never changes."""
        return not LEGAL_MOVES[self]


LEGAL_MOVES: dict[StatusEnum, frozenset[StatusEnum]] = {
    StatusEnum.PENDING: frozenset({StatusEnum.PROCESSING}),
    StatusEnum.PROCESSING: frozenset({StatusEnum.SUCCESS, StatusEnum.FAILURE}),
    StatusEnum.SUCCESS: frozenset(),
    StatusEnum.FAILURE: frozenset(),
}


def origins_of(status: StatusEnum) -> frozenset[StatusEnum]:
    """Return the statuses from which a request may move to this one."""
    return frozenset(origin for origin, moves in LEGAL_MOVES.items() if status in moves)

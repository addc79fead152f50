"""Recognise keys that hold a value of another type than ours: somebody else wrote them."""

from collections.abc import Sequence

from redis.exceptions import ResponseError


def is_wrong_type_error(answer: object) -> bool:
    """Return whether Redis refused a command because of the type of a key's value."""
    return isinstance(answer, ResponseError) and str(answer).startswith("WRONGTYPE")


def raise_unless_wrong_type(answers: Sequence[object]) -> None:
    """Raise the first error among a pipeline's answers that is not about a value's type."""
    for answer in answers:
        if isinstance(answer, Exception) and not is_wrong_type_error(answer):
            raise answer

"""Pauses between attempts."""

from api_service.process.backoff import Backoff


def test_pauses_double_up_to_the_limit() -> None:
    backoff = Backoff(first=0.1, limit=5.0)
    assert [round(backoff.next_pause(), 3) for _ in range(8)] == [
        0.1,
        0.2,
        0.4,
        0.8,
        1.6,
        3.2,
        5.0,
        5.0,
    ]


def test_a_success_begins_with_the_first_pause_again() -> None:
    backoff = Backoff(first=1, limit=4)
    assert [backoff.next_pause(), backoff.next_pause()] == [1, 2]
    backoff.reset()
    assert backoff.next_pause() == 1

"""A pace is judged window by window."""

from api_service.edge.connection_limits import ConnectionLimits, RateCheck


def test_a_window_with_too_little_is_too_slow_and_the_next_begins_anew() -> None:
    pace = RateCheck(10, rate=100)
    assert not pace.check_and_renew_window(1000.0), "it has not begun"
    pace.begin(0.0)
    pace.count(100_000)
    assert not pace.check_and_renew_window(9.9)
    assert not pace.check_and_renew_window(10.0)
    pace.count(999)
    assert not pace.check_and_renew_window(19.9)
    assert pace.check_and_renew_window(20.0)
    pace.count(1000)
    assert not pace.check_and_renew_window(30.0)


def test_short_limits_are_looked_at_often_and_long_ones_once_a_second() -> None:
    assert ConnectionLimits().check_interval_seconds == 1
    assert ConnectionLimits(header_seconds=1).check_interval_seconds == 0.1

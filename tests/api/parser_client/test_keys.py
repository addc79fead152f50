"""The names of keys follow from the settings; the contract's test holds them to its table."""

from api_service.config import Settings
from api_service.parser_client.keys import Keys


def test_names_follow_from_the_settings() -> None:
    keys = Keys.of(Settings(task_queue="q", result_prefix="r:"))
    assert keys == Keys("q", "r:")
    assert (keys.result(7), keys.reply_bytes) == ("r:7", "q:done:bytes")


def test_a_name_is_its_parts_put_together() -> None:
    keys = Keys("q", "r:")
    assert keys.host_waiting_jobs("a.example:81") == "q:host:a.example:81:waiting"
    assert keys.host_waiting_jobs("h") == f"{keys.host_prefix}h{keys.waiting_suffix}"
    assert keys.taken_announcements("one:1") == f"{keys.taken_prefix}one:1" == "q:taken:one:1"

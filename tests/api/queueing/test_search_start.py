"""Where the sweep's repeated searches start, on a real database and Redis."""

from datetime import timedelta

from api_service.queueing.search_start import SearchStart
from tests.support.pipeline_steps import PipelineSteps


def test_a_search_starts_where_the_last_but_one_found_the_first_row() -> None:
    start = SearchStart[int]()
    assert start.get() is None
    start.record_first(5)
    assert start.get() is None
    start.record_first(9)
    assert start.get() == 5
    start.reset()
    assert start.get() is None


async def test_a_request_committed_after_later_ones_is_found_within_a_minute(
    steps: PipelineSteps,
) -> None:
    late = await steps.add()
    await steps.connection.execute("DELETE FROM parse_requests WHERE id = $1", late)
    for _ in range(4):
        await steps.start()
        await steps.later(1)
    await steps.connection.execute(
        "INSERT INTO parse_requests (id, url) OVERRIDING SYSTEM VALUE VALUES ($1, $2)",
        *(late, "https://a.example/"),
    )
    found = [(await steps.later(10)).stranded for _ in range(7)]
    assert sum(found) == 1


async def test_a_retry_committed_late_is_pushed(steps: PipelineSteps) -> None:
    for _ in range(4):
        await steps.later(1)
    request_id = await steps.start()
    await steps.connection.execute(
        "UPDATE parse_requests SET next_attempt_at = now() - $1::interval WHERE id = $2",
        *(timedelta(seconds=50), request_id),
    )
    assert (await steps.later(1)).due == 1

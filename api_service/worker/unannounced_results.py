"""Find results without an announcement: a foreign parser stores them and does nothing else."""

from collections.abc import Callable, Sequence
from time import monotonic

from api_service.database import Database
from api_service.endings.service import Endings
from api_service.parser_client.results import ResultStore
from api_service.queueing.repository import LOWEST_ID, QueueRepository

POLL_PERIOD_SECONDS = 1.0
MAX_IDS_PER_POLL_QUERY = 500
MAX_RESULTS_PER_BATCH = 200


class UnannouncedResultPoller:
    """Polls the result keys of pushed requests, and persists what has no token.

    Args:
        clock: running time in seconds.
    """

    def __init__(
        self,
        *,
        database: Database,
        results: ResultStore,
        endings: Endings,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._database = database
        self._results = results
        self._endings = endings
        self._clock = clock
        self._next_poll = 0.0
        self._polled_up_to = 0

    async def persist_if_due(self) -> None:
        """Look once a second: at the oldest requests, and further through the rest each time."""
        if self._clock() < self._next_poll:
            return
        self._next_poll = self._clock() + POLL_PERIOD_SECONDS
        found = list(
            await self._results.sizes_of_plain_json_results(await self._choose_ids_and_advance())
        )
        for start in range(0, len(found), MAX_RESULTS_PER_BATCH):
            await self._persist_and_delete_tokenless(found[start : start + MAX_RESULTS_PER_BATCH])

    async def _choose_ids_and_advance(self) -> list[int]:
        ids = await self._read_ids_after(after=LOWEST_ID)
        if len(ids) == MAX_IDS_PER_POLL_QUERY:
            further = max(self._polled_up_to, ids[-1])
            more = await self._read_ids_after(after=further)
            self._polled_up_to = more[-1] if len(more) == MAX_IDS_PER_POLL_QUERY else 0
            ids += more
        return ids

    async def _read_ids_after(self, *, after: int) -> list[int]:
        async with self._database.transaction() as session:
            return await QueueRepository(session).find_next_ids_to_poll(
                after=after, limit=MAX_IDS_PER_POLL_QUERY
            )

    async def _persist_and_delete_tokenless(self, request_ids: Sequence[int]) -> None:
        async for results in self._results.read_in_portions(request_ids):
            foreign = {i: result for i, result in results.items() if result.token is None}
            if foreign:
                await self._endings.record(foreign)
                await self._results.delete_unannounced_results(list(foreign))

"""Share the turns of the event loop between the pages that are parsed on it and everything else.

Pages that are ready at the same moment would all be parsed in one turn, each within its bound and
all together far above it. What answers health checks and renews leases would wait for all of them.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from time import monotonic

MAX_SECONDS_PER_TURN = 0.010
"""Seconds of parsing after which the next page waits for a later turn."""
TURNS_FOR_OTHERS = 4
"""Turns that others have then: from a connection to its answer there are about as many."""
MAX_SECONDS_ON_LOOP = 0.030
"""Seconds of the processor after which a site's pages are parsed elsewhere."""
SECONDS_ELSEWHERE = 600.0
MAX_SITES_ELSEWHERE = 1000


class LoopTurns:
    """Let pages wait for a turn that has time for them, first come, first served."""

    def __init__(self) -> None:
        self._spent = 0.0
        self._ends_turn = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def wait(self) -> None:
        """Return when this turn, or a later one, has time for a page."""
        is_first = not self._waiting
        while self._spent >= MAX_SECONDS_PER_TURN or not is_first:
            is_first = True
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future

    def note(self, seconds: float) -> None:
        """Note how long a page took."""
        self._spent += seconds
        self._end_turn_soon(1)

    def _end_turn_soon(self, passed: int) -> None:
        if not self._ends_turn:
            self._ends_turn = True
            asyncio.get_running_loop().call_soon(self._end_turn, passed)

    def _end_turn(self, passed: int) -> None:
        self._ends_turn = False
        if self._spent >= MAX_SECONDS_PER_TURN and passed < TURNS_FOR_OTHERS:
            self._end_turn_soon(passed + 1)
            return
        self._spent = 0.0
        while self._waiting:
            if not (future := self._waiting.popleft()).done():  # else its page was given up
                future.set_result(None)
                break
        if self._waiting:
            self._end_turn_soon(1)


class SlowSites:
    """Remember sites of which a page took long on the event loop, whatever the checks said.

    The checks in `triage.py` are bounds of what is known to cost much. This one holds for what
    nobody has thought of: the first such page holds everything up, the next ones do not.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._ends: OrderedDict[str, float] = OrderedDict()

    def note(self, site: str, seconds: float) -> None:
        """Note how long a page of a site took."""
        if seconds > MAX_SECONDS_ON_LOOP:
            self._ends[site] = self._clock() + SECONDS_ELSEWHERE
            self._ends.move_to_end(site)
            if len(self._ends) > MAX_SITES_ELSEWHERE:
                self._ends.popitem(last=False)

    def __contains__(self, site: str) -> bool:
        return self._ends.get(site, 0.0) > self._clock()

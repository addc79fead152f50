"""Keep a server running: start it again whenever it ends unasked."""

import asyncio
from time import monotonic

from local.errors import StartError
from local.say import say
from local.server import Server
from local.supervisor import FIRST_RESTART_PAUSE_SECONDS, HEALTHY_SECONDS, MAX_RESTART_PAUSE_SECONDS

END_CHECK_PERIOD_SECONDS = 0.1


class KeptServer:
    """Watch a server that has been started, until it is stopped."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._keeping: asyncio.Task[None] | None = None

    def start_watching(self) -> None:
        """Begin to watch."""
        self._keeping = asyncio.create_task(self._restart_whenever_ended())

    async def stop(self) -> None:
        """Stop the server; its data stays."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        await asyncio.to_thread(self._server.stop)

    async def _restart_whenever_ended(self) -> None:
        server, pause = self._server, FIRST_RESTART_PAUSE_SECONDS
        while True:
            started = monotonic()
            status = await self._wait_for_end()
            if monotonic() - started > HEALTHY_SECONDS:
                pause = FIRST_RESTART_PAUSE_SECONDS
            say(
                f"{server.name} ended with status {status}; restarting in {pause:g} s "
                f"({server.log})",
            )
            await asyncio.sleep(pause)
            pause = min(pause * 2, MAX_RESTART_PAUSE_SECONDS)
            try:
                await self._start_again()
            except (StartError, OSError) as error:
                say(error)
            else:
                say(f"{server.name} is running again")

    async def _wait_for_end(self) -> int:
        while True:
            if self._server.process is None:
                return -1
            if (status := self._server.process.poll()) is not None:
                return status
            await asyncio.sleep(END_CHECK_PERIOD_SECONDS)

    async def _start_again(self) -> None:
        """Start the server once more, with the data that it had.

        It is launched by the main thread: a child gets its signal when the thread that made it
        ends, see `parent_death.py`.

        Raises:
            StartError: it ended again.
        """
        await asyncio.to_thread(self._server.take_over_folder)
        self._server.launch()
        while True:
            try:
                await asyncio.to_thread(self._server.wait_until_ready)
            except StartError as error:
                if self._server.process is None or self._server.process.poll() is not None:
                    raise
                say(error)  # a long recovery: it must not be interrupted
            else:
                return

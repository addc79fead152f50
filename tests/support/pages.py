"""Fetching single pages, without regard to hosts' limits."""

from contextlib import AsyncExitStack

from parser_service.fetching.host_access import JobAccess
from parser_service.pipeline import PagePipeline
from parser_service.responses import Page


class Pages:
    """A handler, asked as an entrance of the parser asks it."""

    def __init__(self, handler: PagePipeline) -> None:
        self.handler = handler

    async def get(
        self, url: str, *, respect_robots: bool = False, title_fallback: bool = False
    ) -> Page:
        visit = JobAccess(None, b"", respect_robots=respect_robots)
        async with AsyncExitStack() as holding:
            return await self.handler.handle(
                url, visit=visit, holding=holding, title_fallback=title_fallback
            )

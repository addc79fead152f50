"""Fetch single pages without hosts' limits."""

from parser_service.jobs.access import JobAccess
from parser_service.page import Page, PageOptions
from parser_service.pipeline import PagePipeline


class Pages:
    """Ask a pipeline for pages, as an entrance of the parser does."""

    def __init__(self, pipeline: PagePipeline) -> None:
        self.pipeline = pipeline

    async def get(
        self, url: str, *, respect_robots: bool = False, title_fallback: bool = False
    ) -> Page:
        options = PageOptions(respect_robots=respect_robots, title_fallback=title_fallback)
        async with JobAccess(None, b"") as access:
            return await self.pipeline.run(url, access=access, options=options)

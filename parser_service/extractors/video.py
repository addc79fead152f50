"""Extract the video of a page."""

from itertools import islice

from parser_service.markup.document import Document
from parser_service.markup.json_ld_values import text_of, types_of

MAX_VIDEOS = 20
"""Nodes of videos that are looked at."""


def video(document: Document) -> str | None:
    """Return the video for previews of the page, a file or a player, as an absolute URL."""
    candidates = (
        document.first_meta("og:video:secure_url", "og:video:url", "og:video"),
        document.first_meta("twitter:player:stream", "twitter:player"),
        document.json_ld.first_text("video", "contentUrl", "embedUrl"),
        _json_ld_video_url(document),
    )
    return next(filter(None, map(document.absolute_url, candidates)), None)


def _json_ld_video_url(document: Document) -> str | None:
    videos = (node for node in document.json_ld.nodes if "VideoObject" in types_of(node))
    looked_at = islice(videos, MAX_VIDEOS)
    return next(
        (url for node in looked_at if (url := text_of(node, "contentUrl", "embedUrl"))), None
    )

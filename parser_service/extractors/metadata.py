"""What a page says of itself, fact by fact: one pure function for each."""

from parser_service.extractors.author import author
from parser_service.extractors.canonical_url import canonical_url
from parser_service.extractors.description import description
from parser_service.extractors.favicon import favicon
from parser_service.extractors.feeds import feeds
from parser_service.extractors.image import image
from parser_service.extractors.json_ld import json_ld
from parser_service.extractors.keywords import keywords
from parser_service.extractors.language import language
from parser_service.extractors.robots import robots
from parser_service.extractors.site_name import site_name
from parser_service.extractors.social import open_graph, twitter_card
from parser_service.extractors.times import modified_time, published_time
from parser_service.markup.document import Document
from parser_service.page import Feed, Metadata


def metadata(document: Document) -> Metadata:
    """All facts of a page; markup that is wrong yields null or nothing, never an error."""
    objects = json_ld(document)
    return Metadata(
        description=description(document, objects),
        canonical_url=canonical_url(document),
        language=language(document),
        site_name=site_name(document, objects),
        author=author(document, objects),
        published_time=published_time(document, objects),
        modified_time=modified_time(document, objects),
        image=image(document, objects),
        favicon=favicon(document),
        keywords=keywords(document, objects),
        open_graph=open_graph(document),
        twitter_card=twitter_card(document),
        json_ld=objects,
        feeds=[Feed(url=url, type=kind, title=title) for url, kind, title in feeds(document)],
        robots=robots(document),
    )

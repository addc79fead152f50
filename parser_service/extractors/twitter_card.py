"""Extract the Twitter card of a page."""

from parser_service.extractors.social_properties import prefixed_properties
from parser_service.markup.document import Document


def twitter_card(document: Document) -> dict[str, str]:
    """Return the first value of each `twitter:` property, without the prefix."""
    return {name: values[0] for name, values in prefixed_properties(document, "twitter:").items()}

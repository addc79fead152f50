"""Read names of authors out of the texts that pages write them in."""

import re
from collections.abc import Iterator

from parser_service.markup.json_ld_values import decoded

MIN_LENGTH, MAX_LENGTH = 2, 60
MAX_WORDS = 6
MAX_TEXT_LENGTH = 1000
"""Characters that are looked at for names."""

_LEADING = re.compile(
    r"^[\s\W]*(?:(?:(?:written|posted|published|words|story|text|reported|reviewed|created|article"
    r"|post|submitted|photos?|veröffentlicht|geschrieben|erstellt|verfasst|gespeichert|publié|écrit"
    r"|publicado|escrito|artikel|bericht|beitrag|interview|author|autore?|autorin|auteure?|autor/in"
    r"|автор|texte?|redacción|opinión|opinion|verfasser|eingestellt)s?\b\s*[:|]?\s*)*"
    r"(?:(?:by|von|par|por|per|di|door|av|af|od|från|de)\b\s*[:|]?)?\s*)[\s:|,–-]*",
    re.IGNORECASE,
)
# Whatever follows one of these is a role, a place, a date or another column.
_END = re.compile(
    r"\s*(?:[|•·»›/(\[{<\n\t]|\s[–—-]{1,2}\s|\b(?:on|am|um|le|el|em|in|at|for|from|für|vom)\s"
    r"|\bvia\b|(?<!\w)\d|:|@|,\s*(?:ph\.?\s?d|md|m\.d|mba|rd|rn|jr|sr|msc|ma|ba|dds|esq)\b)",
    re.IGNORECASE,
)
_BYLINE = re.compile(
    r"\W*(?:By|BY|by|Von|von|VON|Par|par|Por|POR|Di|Door|Text|Autor|Autorin|Author|Autor\(in\))\b:?\s+"
    r"(?P<name>[^\W\d_a-zß-ÿ][\w.'’-]*(?:\s(?:van|von|de|der|den|la|le|del|da|di|y))*"
    r"(?:\s[^\W\d_a-zß-ÿ][\w.'’-]*){1,3})\s*(?:$|[|,•·–(/-])"
)
_BETWEEN = re.compile(r"\s*[;&]\s*|\s+(?:and|und|et|y|e|en|och|og|и)\s+", re.IGNORECASE)
_COMMA = re.compile(r"\s*,\s*")
_PLAIN_BY = re.compile(r"^\s*(?:(?:written|posted)\s+)?by[\s:]+", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
# Separators, words between names in small letters, and what is never in names.
_MORE_THAN_NAME = re.compile(
    r"[,;|/:@&()\[\]{}<>«»„“”\"!?#%=•·\n]|\s[\u2013\u2014-]{1,2}\s|\d{3}"
    r"|\b(?:and|und|et|och|og|for|from|at|via|in|on|am|um|für|by|staff|team|editors?|redaktion)\b"
)
_ROLE = re.compile(
    r"\b(?:reporter|writer|editor|correspondent|contributor|journalist\w*|redakt\w+|columnist"
    r"|producer|staff|author|autor\w*|director|professor|bureau|news|team|agenc\w+|desk|chief"
    r"|periodista|corresponsal|rédact\w+|correspondant\w*|senior|manager|fotograf\w*|photograph\w*)\b",
    re.IGNORECASE,
)
_NEVER_IN_NAMES = re.compile('[„“”"«»!?%#=<>]')
_PARTICLES = frozenset(
    {
        *("van", "von", "vom", "zu", "zum", "zur", "de", "der", "den", "des", "del", "della"),
        *("delle", "di", "da", "das", "do", "dos", "du", "d", "la", "le", "las", "los", "el", "al"),
        *("bin", "ibn", "ben", "bint", "ter", "ten", "op", "het", "y", "e", "i", "und", "af", "av"),
    }
)
_REFUSED = re.compile(
    r"^(?:\W*|admin\w*|administrator|root|user|guest|gast|redaktion|die redaktion|redaktionsteam"
    r"|redaction|la rédaction|rédaction|redacción|la redacción|redazione|redação|da redação"
    r"|editor(?:ial)?|editors|editorial (?:team|staff|board)|staff|staff writer|web ?master|team"
    r"|null|none|undefined|nan|unknown|unbekannt|n/?a|anonym\w*|author|authors|autor|autoren"
    r"|verfasser|by|von|super user|news ?desk|online|onlineredaktion|online-redaktion|presse"
    r"|pressestelle|newsroom|contributor|guest author|gastautor|about the author|profile?"
    r"|datum|date|stand|notes?|a note|(?:last )?updated?|follow author"
    r"|tags?|kategorie\w*|category|posted|info|comments?|kommentare?"
    r"|share|follow|twitter|facebook|more|read more|view all posts|all posts|posts|website)$",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"^(?:https?:)?//|^www\.|^@|\S@\S|^\S+\.(?:com|org|net|de|co\.uk|fr|es|it)/")
_ORGANISATION = re.compile(
    r"\b(?:inc|ltd|gmbh|llc|e\.\s?v|corp|ag|s\.a|verlag|media|média|news|zeitung|redaktion|agentur"
    r"|agency|agencia|university|universität|institut\w*|verein|verband|magazin\w*|press|online"
    r"|newspaper|times|post|editorial|team|group|foundation|stiftung|nachrichten|presse|bund)\b\.?",
    re.IGNORECASE,
)


def people_in(text: str) -> Iterator[str]:
    """Return the names in a text, such as a byline, without the words round them."""
    text = _without_lead(" ".join(decoded(text[:MAX_TEXT_LENGTH]).split()))
    parts = _BETWEEN.split(text)
    if ";" not in text and any(" " not in part.strip() for part in parts):
        parts = [text]  # as in the names of firms and bands
    for part in parts:
        yield from filter(None, map(_name, _commas(part)))


def person_named(text: str) -> Iterator[str]:
    """Return the name that a page states as a person's: as it stands, if it is one name.

    Names may have words that stand before or behind names in bylines, such as Le, El and Von.
    """
    plain = " ".join(_PLAIN_BY.sub("", _TAG.sub(" ", decoded(text[:MAX_TEXT_LENGTH]))).split())
    if (
        MIN_LENGTH <= len(plain) <= MAX_LENGTH
        and len(plain.split()) <= MAX_WORDS
        and plain[0].isalpha()
        and not _MORE_THAN_NAME.search(plain)
        and not _REFUSED.match(plain)
        and not is_address(plain)
    ):
        yield plain
    else:
        yield from people_in(text)


def name_after_by(line: str) -> str | None:
    """Return what a line is made of besides `By`, if it is a name in full."""
    found = _BYLINE.match(line)
    return found["name"] if found else None


def is_address(text: str) -> bool:
    """Return whether a text is the address of a profile, or a handle, rather than a name."""
    return bool(_ADDRESS.search(text[:MAX_TEXT_LENGTH].strip().lower()))


def looks_like_organisation(name: str) -> bool:
    """Return whether a name has a word that people's names do not have."""
    return bool(_ORGANISATION.search(name))


def folded(name: str) -> str:
    """Return a name in the form in which names are compared."""
    return " ".join(re.findall(r"\w+", name.casefold()))


def _without_lead(text: str) -> str:
    return text[found.end() :] if (found := _LEADING.match(text)) else text


def _commas(text: str) -> Iterator[str]:
    """Split at commas, if whole names are between them; else what follows is a role or a title."""
    parts = [part for part in _COMMA.split(text) if part]
    names = [part for part in parts if " " in part and not _ROLE.search(part)]
    yield from names if len(names) > 1 and len(names) == len(parts) else parts[:1]


def _name(text: str) -> str | None:
    end = _END.search(text)
    if end and _is_within_name(text, end):
        return None
    name = (text[: end.start()] if end and end.start() else text).strip(" .,;:|-–—_*\"'")
    return name if MIN_LENGTH <= len(name) <= MAX_LENGTH and _is_name(name) else None


def _is_within_name(text: str, end: re.Match[str]) -> bool:
    """Return whether what looks like the end is within a name, as in those of societies."""
    is_word_after_word = end[0].strip().isalpha() and " " not in text[: end.start()].strip()
    return is_word_after_word and text[end.end() :].lstrip()[:1].isalpha()


def _is_name(text: str) -> bool:
    if (
        is_address(text)
        or _REFUSED.match(text)
        or not text[0].isalpha()
        or _NEVER_IN_NAMES.search(text)
    ):
        return False
    words = text.split()
    small = [word for word in words if word[0].islower()]
    if len(words) <= 2 and len(small) == len(words):
        return True  # as people call themselves who write in small letters
    return len(words) <= MAX_WORDS and (
        not words[-1][0].islower() and all(word.casefold() in _PARTICLES for word in small)
    )

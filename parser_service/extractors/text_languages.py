"""Guess the language of a short text by its script and by its commonest words."""

import re
from collections import Counter

MIN_LETTERS = 8
"""Letters below which a text is too short to tell its script."""
MAX_LETTERS = 300
"""Characters whose script is looked at."""
MIN_OWN_WORDS = 2
"""Common words of a language that confirm it."""
MIN_WORDS, MIN_LEAD = 3, 2
"""Common words that a language needs, and how many more than the next one."""

_SCRIPTS = {
    "he": "\u0590-\u05ff",
    "ja": "\u3040-\u30ff",
    "ko": "\uac00-\ud7a3",
    "th": "\u0e00-\u0e7f",
    "el": "\u0370-\u03ff",
    "hy": "\u0530-\u058f",
    "ka": "\u10a0-\u10ff",
    "zh": "\u4e00-\u9fff",
    "Arab": "\u0600-\u06ff",
    "Deva": "\u0900-\u097f",
    "Cyrl": "\u0400-\u04ff",
    "Latn": "A-Za-z\u00c0-\u024f",
}
"""Characters of each script, by the language if only one is written in it."""
_CHARACTERS = re.compile("|".join(f"(?P<{name}>[{range_}]+)" for name, range_ in _SCRIPTS.items()))
_NON_LATIN_CHARACTER = re.compile("[\u0370-\u1fff\u3040-\U0010ffff]")
_WORDS = re.compile(r"[^\W\d_]+")

_LANGUAGES_OF_SCRIPTS = {
    "he": "he yi iw",
    "ja": "ja",
    "ko": "ko",
    "th": "th",
    "el": "el",
    "hy": "hy",
    "ka": "ka",
    "zh": "zh ja ko",
    "Arab": "ar fa ur ps ckb ug sd ku",
    "Deva": "hi mr ne sa bho",
    "Cyrl": "ru uk be bg sr mk kk ky mn tg uz ba tt az bs sh",
}
_COMMON = {
    "en": "the and of to in is that for with on this are was you from have by at not what how",
    "de": "der die das und ist nicht mit von den ein eine für auf zu im dem sich auch wie wir des",
    "fr": "le la les des et est un une dans pour que qui du sur par au avec ce pas plus vous",
    "es": "el la los las de que y en un una por con para del se su como más lo este al",
    "it": "il la di che e un una per non con del della sono nel gli le è dei più da alla",
    "pt": "o a os as de que e um uma em do da para com não por no na se mais dos",
    "nl": "de het een van en is dat niet op voor met zijn te aan ook er bij naar uit om",
    "pl": "i w na z się nie do jest to że o po za od jak dla przez przy który jego",
    "sv": "och att det som en är på för av med den till inte har ett om i de från",
    "da": "og at det som en er på for af med den til ikke har et om i de fra",
    "tr": "ve bir bu için ile da de çok en olarak daha olan gibi ne kadar sonra var",
    "ro": "și în de la un o cu pe care nu este din pentru mai sunt ce se au",
    "cs": "a se na je v že z do o ve jako pro by si ale s za k po jsou",
    "id": "yang dan di ini itu dengan untuk dari tidak dalam pada akan ke oleh juga",
}
GUESSED = frozenset({*_COMMON, "ru", "uk"})
"""Languages that are told from those with the same script."""
_COMMON_WORDS = {language: frozenset(words.split()) for language, words in _COMMON.items()}
_LANGUAGES_OF_WORD: dict[str, list[str]] = {}
for _language, _words in _COMMON.items():
    for _word in _words.split():
        _LANGUAGES_OF_WORD.setdefault(_word, []).append(_language)


def fits_script(language: str, text: str) -> bool:
    """Return whether a language can be that of a text, as far as its script tells."""
    if text.isascii() or not (script := _script(text)) or script == "Latn":
        return True
    return language.lower()[:2] in _LANGUAGES_OF_SCRIPTS[script].split()


def fits_words(language: str, text: str) -> bool:
    """Return whether a text has common words of a language, or whether those are not known."""
    words = _COMMON_WORDS.get(language)
    return words is None or len(words.intersection(text.lower().split())) >= MIN_OWN_WORDS


def guessed_language(text: str) -> str | None:
    """Return the language of a text; None if there is doubt."""
    script = _script(text)
    if script == "Cyrl":
        return _of_cyrillic(text.lower())
    if script == "Latn":
        return _of_words(text.lower())
    return script if script in ("he", "ja", "ko", "th", "el", "hy", "ka", "zh") else None


def _script(text: str) -> str | None:
    """Return the name of the script that most letters of a text are of."""
    text = text[:MAX_LETTERS]
    if len(_NON_LATIN_CHARACTER.findall(text)) * 4 < len(text):  # the usual case, told at once
        return "Latn" if len(text) >= MIN_LETTERS else None
    letters: Counter[str] = Counter()
    for run in _CHARACTERS.finditer(text):
        letters[run.lastgroup or ""] += len(run[0])
    if letters["ja"] > letters["zh"] / 10:  # Japanese mixes its own characters with Chinese ones
        letters["ja"] += letters.pop("zh", 0)
    total = sum(letters.values())
    if total < MIN_LETTERS:
        return None
    script, count = letters.most_common(1)[0]
    return script if count > total / 2 else None


def _of_cyrillic(text: str) -> str | None:
    ukrainian, russian = (len(re.findall(letters, text)) for letters in ("[іїєґ]", "[ыэъё]"))
    if (ukrainian and russian) or not (ukrainian or russian):
        return None
    return "uk" if ukrainian else "ru"


def _of_words(text: str) -> str | None:
    counts: Counter[str] = Counter()
    for word in _WORDS.findall(text):
        for language in _LANGUAGES_OF_WORD.get(word, ()):
            counts[language] += 1
    (first, most), (_, next_) = [*counts.most_common(2), ("", 0), ("", 0)][:2]
    return first if most >= MIN_WORDS and most - next_ >= MIN_LEAD else None

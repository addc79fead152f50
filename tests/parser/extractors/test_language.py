"""The language is the declared one where that can be true."""

import pytest

from tests.parser.extractors.facts import fact, json_ld

GERMAN = "<title>Das ist nicht der Titel von einem Buch und auch nicht die Zeitung</title>"
ENGLISH = "<title>This is not the title of a book and it is not the paper</title>"
HEBREW = "<title>\u05d6\u05d4 \u05dc\u05d0 \u05e9\u05dd \u05d4\u05e1\u05e4\u05e8</title>"


@pytest.mark.parametrize(
    ("html", "language"),
    [
        ("<html lang=de-CH>" + GERMAN, "de-CH"),
        ("<html lang=en>" + ENGLISH, "en"),
        ("<html lang=en>" + GERMAN, "de"),
        ("<html lang=en><title>Brot</title>", "en"),
        ("<html lang=en><meta property=og:locale content=de_AT>" + GERMAN, "de-AT"),
        ("<html lang=en><meta property=og:locale content=de_AT>" + ENGLISH, "en"),
        ("<html lang=ca>" + GERMAN, "ca"),
        ("<html lang=en>" + HEBREW, "he"),
        ("<html lang=he-IL>" + HEBREW, "he-IL"),
        ("<html lang=nb><meta property=og:locale content=no_NO><title>x</title>", "nb"),
        (json_ld('{"@type": "Article", "inLanguage": {"name": "German", "alternateName": "de"}}'), "de"),
        (GERMAN, "de"),
        (HEBREW, "he"),
        ("<title>\u042d\u0442\u043e \u0431\u044b\u043b \u043f\u043e\u0435\u0437\u0434</title>", "ru"),
        ("<title>\u0426\u0435 \u0457\u0436\u0430 \u0456 \u043d\u0456\u0447\u043e\u0433\u043e</title>", "uk"),
        ("<title>\u3053\u308c\u306f\u672c\u306e\u984c\u540d\u3067\u3059</title>", "ja"),
        ("<title>\u8fd9\u662f\u4e00\u672c\u4e66\u7684\u6807\u9898\u4e4b\u4e00</title>", "zh"),
        ("<title>Brot</title>", None),
        ("", None),
    ],
)  # fmt: skip
def test_the_language_is_told(html: str, language: str | None) -> None:
    assert fact("language", html) == language

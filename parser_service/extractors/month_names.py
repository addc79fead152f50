"""Name the months in the languages whose dates are read."""

_META_NAMES = {
    "en": "january february march april may june july august september october november december",
    "de": "januar februar märz april mai juni juli august september oktober november dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre"
    " diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre"
    " dicembre",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro"
    " dezembro",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "ru": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "uk": "січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня",
    "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października"
    " listopada grudnia",
    "tr": "ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık",
    "sv": "januari februari mars april maj juni juli augusti september oktober november december",
    "da": "januar februar marts april maj juni juli august september oktober november december",
    "cs": "ledna února března dubna května června července srpna září října listopadu prosince",
}
_LANGUAGES_WITH_SHORT_FORMS = frozenset({"en", "de", "fr", "es", "it", "pt", "nl", "ru"})
"""Languages in which the first letters of a name are a usual short form."""
# Short forms that are not the first three or four letters of a name, and other spellings.
_OTHERS = {
    "jänner": 1,
    "feber": 2,
    "maerz": 3,
    "setiembre": 9,
    "fevrier": 2,
    "aout": 8,
    "decembre": 12,
    "janv": 1,
    "févr": 2,
    "fevr": 2,
    "avr": 4,
    "juil": 7,
    "mrz": 3,
    "mär": 3,
    "mrt": 3,
    "sept": 9,
    "okt": 10,
    "dez": 12,
    "déc": 12,
    "dic": 12,
    "ene": 1,
    "abr": 4,
    "ago": 8,
}


def _numbers() -> dict[str, int]:
    numbers: dict[str, int] = {}
    short: dict[str, set[int]] = {}
    for language, names in _META_NAMES.items():
        for number, name in enumerate(names.split(), start=1):
            numbers[name] = number
            for length in (3, 4) if language in _LANGUAGES_WITH_SHORT_FORMS else ():
                short.setdefault(name[:length], set()).add(number)
    for name, meant in short.items():
        if len(meant) == 1:
            numbers.setdefault(name, next(iter(meant)))
    return numbers | _OTHERS


_NUMBERS = _numbers()


def month_number(word: str) -> int | None:
    """Return the number of the month with a name or a short form; None for other words."""
    return _NUMBERS.get(word.casefold().rstrip("."))

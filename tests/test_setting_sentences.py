"""Every wrong setting is explained in one sentence: the variable, its value, what to write."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from api_service.config import Settings as ApiSettings
from local.addresses import free_port
from parser_service.config import Settings as ParserSettings
from tests.support.system import ROOT

Services = dict[str, type[ApiSettings | ParserSettings]]
SERVICES: Services = {"api_service": ApiSettings, "parser_service": ParserSettings}
FOREIGN = re.compile(
    r"[Ii]nput|valid (string|integer|number)|[Vv]alue error|pattern|unable to parse"
    r"|octet|appear|pydantic"
)
"""Phrases of the libraries that read the values."""

SECONDS = "it must be seconds above 0, at most"


@dataclass(frozen=True)
class Wrong:
    """Values that a setting does not take, and words that its sentence must have."""

    words: str
    values: tuple[str, ...]


def _seconds(most: int) -> Wrong:
    return Wrong(f"{SECONDS} {most}.", ("abc", "0", "-1", "inf", "nan", str(most + 1), "5s"))


def _whole(words: str, *values: str) -> Wrong:
    return Wrong(f"it must be a whole number {words}.", ("many", "1.5", "-1", *values))


SHARE = Wrong("it must be a number above 0, at most 1.", ("abc", "0", "-1", "nan", "1.5"))
FILE = Wrong("/nowhere/file", ("/nowhere/file",))
CERTIFICATES = Wrong("certificates", ("/nowhere/file", "/", os.devnull))
KEY = Wrong("1 to 200 visible ASCII characters, without spaces.", ("a b", "ä", "x" * 201))
BIND = Wrong("it must be an address or a name, such as 127.0.0.1", ("a b", "http://x", "[x]"))
TERABYTE = "of bytes from 1 to 1099511627776"

SHARED = {
    "REDIS_URL": Wrong("write ", ("nonsense", "http://:hushhush@x/", "redis://:hushhush@x/abc")),
    "REDIS_CA_BUNDLE": CERTIFICATES,
    "TASK_QUEUE": KEY,
    "RESULT_PREFIX": KEY,
    "LOG_LEVEL": Wrong("it must be DEBUG, INFO, WARNING or ERROR.", ("loud", "5")),
    "ALIVE_FILE": FILE,
}
API = SHARED | {
    "DATABASE_URL": Wrong("", ("nonsense", "mysql://:hushhush@x/y", "postgres://a:hushhush@x:0/")),
    "DATABASE_CA_BUNDLE": CERTIFICATES,
    "PARSER_URL": Wrong(
        "write http://127.0.0.1:8001.",
        ("nonsense", "127.0.0.1:8001", "http://", "http://x:hushhush", "http://x:0", "http://x/?a"),
    ),
    "ROOT_PATH": Wrong("begins with a slash and does not end", ("pages", "/", "/a/", "/a b")),
    "FORWARDED_ALLOW_IPS": Wrong("10.0.0.0/8", ("10.0.0.1/8", "127.0.0.1,10.0.0.1/8")),
    "AUTH": Wrong("it must be auto, open or required.", ("yes", "Open", "none")),
    "API_HOST": BIND,
    "API_BIND": BIND,
    "ALLOWED_HOSTS": Wrong(
        "write names and addresses without ports",
        ("localhost:8000", "*", "*.example.org", "http://x", "a b", "localhost.", "[::1]:8000"),
    ),
    "METRICS_TOKEN": Wrong(
        "16 to 256 visible ASCII characters, without spaces.", ("hushhush", "hushhush" * 40)
    ),
    "PARSER_TIMEOUT": _seconds(86400),
    "DATABASE_TIMEOUT": _seconds(86400),
    "JOB_TIMEOUT": _seconds(86400),
    "PUBLISH_TIMEOUT": _seconds(86400),
    "REQUEST_HEADER_TIMEOUT": _seconds(86400),
    "REQUEST_BODY_TIMEOUT": _seconds(86400),
    "RESPONSE_TIMEOUT": _seconds(86400),
    "RETRY_DELAY": _seconds(86400),
    "MAX_RETRY_DELAY": _seconds(86400),
    "LOST_AFTER": _seconds(86400),
    "MAX_QUEUE_DEPTH": _whole("from 1 to 1000000000", "0", "1000000001"),
    "REGISTRATION": Wrong("it must be auto, open or closed.", ("yes", "OPEN")),
    "REQUESTS_PER_MINUTE": _whole("from 1 to 1000000000", "0", "1000000001"),
    "USER_MAX_UNFINISHED": _whole("from 1 to 1000000000", "0", "1000000001"),
    "USER_MAX_STORED_BYTES": _whole(TERABYTE, "0", "100 GiB"),
    "LEAST_RATE": _whole(TERABYTE, "0", "1 KiB"),
    "MAX_ANSWER_BYTES": _whole(TERABYTE, "0", "1e6"),
    "LARGEST_RESULT_BYTES": _whole(TERABYTE, "0", "64MB"),
    "MAX_ATTEMPTS": _whole("from 1 to 100", "0", "101"),
    "RETENTION_DAYS": _whole("of days from 1 to 36500", "0", "36501"),
    "METRICS_HOST": Wrong(
        "it must be an address or a name, such as 127.0.0.1", ("a b", "http://x")
    ),
    "METRICS_PORT": _whole("from 0 to 65534", "65535", "http"),
    "RESULTS_ALIVE_FILE": FILE,
    "BEAT_ALIVE_FILE": FILE,
}
PARSER = SHARED | {
    "RESULT_TTL": _whole("of seconds from 60 to 2592000", "59", "1h"),
    "MAX_RESULT_BYTES": _whole(TERABYTE, "0", "64MB"),
    "FETCH_CONCURRENCY": _whole("from 1 to 1024", "0", "1025"),
    "FETCH_ALLOWED_NETWORKS": Wrong("10.", ("everything", "10.0.0.1/8", "10.0.0.0/8;fd00::/8")),
    "FETCH_ALLOWED_PORTS": Wrong("write ports as 80,443,8000-8080.", ("http", "0", "9-8", ",")),
    "FETCH_TIMEOUT": _seconds(600),
    "FETCH_QUEUE_TIMEOUT": _seconds(60),
    "FETCH_CONNECT_TIMEOUT": _seconds(600),
    "FETCH_DNS_TIMEOUT": _seconds(600),
    "FETCH_MAX_BODY": _whole("of bytes from 1024 to 1073741824", "1023", "10M"),
    "FETCH_BODY_BUDGET": _whole("of bytes from 1048576 to 68719476736", "1048575", "1M"),
    "FETCH_MIN_RATE": _whole("of bytes from 1 to 1073741824", "0", "1M"),
    "FETCH_MAX_HEADER": _whole("of bytes from 8192 to 16777216", "8191", "1M"),
    "FETCH_MAX_IDLE_CONNECTIONS": _whole("from 0 to 10000", "10001"),
    "FETCH_NAMESERVERS": Wrong("write 192.0.2.1 or 192.0.2.1:53.", ("garbage", "1.1.1.1:0")),
    "FETCH_CA_BUNDLE": CERTIFICATES,
    "FETCH_MAX_REDIRECTS": _whole("from 0 to 20", "21"),
    "FETCH_USER_AGENT": Wrong("1 to 300 visible ASCII characters.", ("ä", "x" * 301, "a\nb")),
    "HOST_MAX_CONCURRENT": _whole("from 0 to 100000", "100001"),
    "HOST_MIN_INTERVAL": Wrong("it must be seconds from 0 to 3600.", ("abc", "-1", "nan", "3601")),
    "HOST_FETCH_SHARE": SHARE,
    "HOST_JOB_SHARE": SHARE,
    "RESPECT_ROBOTS": Wrong("it must be true or false.", ("perhaps", "2")),
    "FOLLOW_REFRESH": Wrong("it must be true or false.", ("perhaps", "2")),
    "SHUTDOWN_GRACE": _seconds(10),
    "HTTP_ALIVE_FILE": FILE,
}
TABLES = {"api_service": API, "parser_service": PARSER}
CASES = [
    (service, variable, value)
    for service, table in TABLES.items()
    for variable, wrong in table.items()
    for value in wrong.values
]


@pytest.mark.parametrize("service", TABLES)
def test_the_table_has_every_setting(service: str) -> None:
    assert {name.upper() for name in SERVICES[service].model_fields} == TABLES[service].keys()


@pytest.mark.parametrize(("service", "variable", "value"), CASES)
def test_a_wrong_value_is_explained(
    monkeypatch: pytest.MonkeyPatch, service: str, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as ended:
        SERVICES[service].load_or_exit()
    _is_explained(str(ended.value), variable, value, TABLES[service][variable].words)


def _is_explained(sentence: str, variable: str, value: str, words: str) -> None:
    assert len(sentence.splitlines()) == 1
    if variable.endswith("_URL"):
        assert sentence.startswith(f"{variable}: ")
        assert "hushhush" not in sentence
    elif variable.endswith("_TOKEN"):
        assert sentence.startswith(f"{variable} is wrong; it must be ")
        assert "hushhush" not in sentence
    else:
        assert re.match(
            rf"{variable} is {re.escape(repr(value[:100]))}(: |; it must be )", sentence
        )
    assert words in sentence
    assert re.search(r"\S[.?]$", sentence)
    assert not FOREIGN.search(sentence), sentence


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        (
            "FETCH_TIMEOUT",
            "abc",
            "FETCH_TIMEOUT is 'abc'; it must be seconds above 0, at most 600.",
        ),
        (
            "FETCH_ALLOWED_NETWORKS",
            "10.0.0.1/8",
            (
                "FETCH_ALLOWED_NETWORKS is '10.0.0.1/8': "
                "10.0.0.1/8 is an address; did you mean 10.0.0.0/8?"
            ),
        ),
    ],
)
def test_a_sentence_word_for_word(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit, match=f"^{re.escape(sentence)}$"):
        ParserSettings.load_or_exit()


@pytest.mark.parametrize(
    "value", ["*", "127.0.0.1", "10.0.0.0/8, ::1", "fd00::/8,192.0.2.1", "10.1.2.3/32"]
)
def test_proxies_are_addresses_and_networks(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", value)
    assert ApiSettings.load_or_exit().forwarded_allow_ips == value


LOCAL = {
    "API_HOST": Wrong("API_HOST", ("no host", "http://x", "192.0.2.1", "name.invalid")),
    "PARSER_HOST": Wrong("PARSER_HOST", ("no host", "192.0.2.1")),
    "API_PORT": Wrong("it must be a whole number from 1 to 65535.", ("web", "0", "65536", "-1")),
    "PARSER_PORT": Wrong("it must be a whole number from 1 to 65535.", ("web", "²")),
    "WATCH_SECONDS": Wrong("a whole number of seconds from 1 to 86400.", ("soon", "0", "86401")),
    "END_SECONDS": Wrong("a whole number of seconds from 1 to 86400.", ("soon", "0", "86401")),
    "DATA_DIR": Wrong("set DATA_DIR to a writable folder.", ("/proc/nowhere",)),
    "FETCH_TIMEOUT": Wrong("it must be seconds above 0, at most 600.", ("abc",)),
}


@pytest.mark.parametrize(
    ("variable", "value"), [(name, v) for name, wrong in LOCAL.items() for v in wrong.values]
)
def test_make_run_explains_what_only_it_reads(tmp_path: Path, variable: str, value: str) -> None:
    own = {"DATA_DIR": str(tmp_path), "API_PORT": str(free_port()), "PARSER_PORT": str(free_port())}
    run = subprocess.run(
        [sys.executable, "-m", "local"],
        cwd=ROOT,
        env=os.environ | own | {variable: value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stdout) == (1, "")
    [sentence] = run.stderr.splitlines()
    assert variable in sentence
    assert value in sentence
    assert LOCAL[variable].words in sentence
    assert sentence.endswith(".")
    assert not FOREIGN.search(sentence), sentence


@pytest.mark.parametrize("script", ["start_parser.sh", "start_worker.sh", "start_watched.sh"])
@pytest.mark.parametrize("variable", ["WATCH_SECONDS", "END_SECONDS"])
@pytest.mark.parametrize("value", ["soon", "0", "1.5", "86401"])
def test_the_start_scripts_explain_what_only_they_read(
    script: str, variable: str, value: str
) -> None:
    run = subprocess.run(
        [ROOT / script, "true"],
        env=os.environ | {variable: value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr == (
        f"{variable} is '{value}'; it must be a whole number of seconds from 1 to 86400.\n"
    )

"""Golden messages hold both services to the wire between them.

The services share no code, so each has its own models of the messages. Both must understand the
examples in `golden.jsonl`. Lines are only ever added to that file: an old parser may meet a new
API, and a new parser an old API.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from api_service.parser_client import messages
from api_service.responses import ParseSyncAnswer
from parser_service import responses
from parser_service.markup.json_ld import JsonLd
from parser_service.redis_queue import messages as parser_messages
from parser_service.responses import FetchAnswer

GOLDEN = Path(__file__).with_name("golden.jsonl")

# For each released version: the number of its lines, and their checksum.
RELEASED: dict[str, tuple[int, str]] = {}

Read = type[BaseModel] | TypeAdapter[Any]
READERS: dict[str, Read] = {
    "job": parser_messages.Job,
    "result": messages.RESULT_READER,
    "announcement": messages.ResultAnnouncement,
    "page": messages.FetchAnswer,
    "problem": messages.ParserProblem,
}
WRITERS: dict[str, Read] = {
    "job": messages.Job,
    "result": TypeAdapter(parser_messages.SuccessResult | parser_messages.FailureResult),
    "announcement": parser_messages.ResultAnnouncement,
    "page": responses.FetchAnswer,
    "problem": responses.Problem,
}


def _lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in GOLDEN.read_text().splitlines()]


def _messages() -> Iterator[Any]:
    for number, line in enumerate(_lines(), 1):
        yield pytest.param(line["kind"], line["message"], id=f"{number}-{line['kind']}")


def _latest(kind: str) -> dict[str, dict[str, Any]]:
    """Return the newest example of a kind; results have two forms."""
    forms = {}
    for line in _lines():
        if line["kind"] == kind:
            forms[line["message"]["status"] if kind == "result" else ""] = line["message"]
    return forms


def _read(model: Read, message: dict[str, Any]) -> BaseModel:
    adapter: TypeAdapter[Any] = model if isinstance(model, TypeAdapter) else TypeAdapter(model)
    read: BaseModel = adapter.validate_json(json.dumps(message))
    return read


@pytest.mark.parametrize(("kind", "message"), list(_messages()))
def test_every_golden_message_is_understood(kind: str, message: dict[str, Any]) -> None:
    read = _read(READERS[kind], message).model_dump(mode="json", exclude_unset=True)
    understood = {name: value for name, value in message.items() if name in read}
    assert {name: read[name] for name in understood} == understood


@pytest.mark.parametrize(("kind", "message"), list(_messages()))
def test_members_that_are_not_known_are_ignored(kind: str, message: dict[str, Any]) -> None:
    grown = message | {"of_the_future": {"a": [1]}}
    assert _read(READERS[kind], grown) == _read(READERS[kind], message)


@pytest.mark.parametrize("kind", WRITERS)
def test_what_is_written_is_the_newest_golden_message(kind: str) -> None:
    for message in _latest(kind).values():
        written = _read(WRITERS[kind], message).model_dump(mode="json", exclude_none=True)
        assert written == message


def test_golden_messages_are_only_ever_added() -> None:
    lines = GOLDEN.read_text().splitlines(keepends=True)
    for version, (count, checksum) in RELEASED.items():
        assert sha256("".join(lines[:count]).encode()).hexdigest() == checksum, version


HTML = '7\n{"title": "no JSON"}\n<p title="a \\ b">\N{GRINNING FACE}\u2028\r\n</p>'


def test_html_that_comes_apart_is_read_as_if_it_came_inside() -> None:
    message = _latest("result")["success"] | {"html": HTML}
    written = parser_messages.SuccessResult.model_validate(message)
    inside = messages.read_result(written.model_dump_json().encode())
    apart = messages.read_result(parser_messages.encode_with_html_apart(written))
    assert apart.model_dump() == inside.model_dump()
    assert isinstance(apart, messages.SuccessResult)
    assert apart.html == HTML


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"7",
        b"7\n",
        b"99999999999999999999\n{}",
        b"2\n{}<html>",
        b'22\n{"status": "success"}<p>',
        b'36\n{"status": "success", "title": "half"}\xff<p>',
        b"1" * 5000,
    ],
)
def test_what_is_no_result_reads_as_a_failure(value: bytes) -> None:
    assert messages.read_result(value) == messages.log_and_make_unreadable_result(
        "for another reason"
    )


def test_the_parsers_answer_has_the_members_of_the_apis() -> None:
    ours = ParseSyncAnswer.model_json_schema()["properties"]
    assert FetchAnswer.model_json_schema()["properties"].keys() == ours.keys()


@pytest.mark.parametrize("levels", [10, 19, 25, 64, 200, 900, 100_000])
def test_json_ld_of_any_depth_reaches_the_api_as_the_parser_wrote_it(levels: int) -> None:
    text = '{"@type":"Thing","x":%s}' % ("[" * levels + "]" * levels)
    objects = list(JsonLd.parse([text, '{"@type":"Person"}']).objects)
    assert objects[-1] == {"@type": "Person"}
    message = _latest("result")["success"]
    message["metadata"]["json_ld"] = objects
    written = parser_messages.SuccessResult.model_validate(message)
    for value in (
        written.model_dump_json().encode(),
        parser_messages.encode_with_html_apart(written),
    ):
        read = messages.read_result(value)
        assert isinstance(read, messages.SuccessResult)
        assert read.metadata is not None
        assert read.metadata.json_ld == objects

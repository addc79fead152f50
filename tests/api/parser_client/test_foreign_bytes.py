"""Whatever bytes stand under a key or in an announcement, reading them never raises."""

import json
import tracemalloc
from collections.abc import AsyncIterator
from time import process_time

import pytest
import redis.asyncio as aioredis
from hypothesis import example, given
from hypothesis import strategies as st

from api_service.page.facts import Metadata, PageFacts
from api_service.page.foreign import MAX_FACT_DEPTH, read_facts
from api_service.parser_client.census import RedisCensus
from api_service.parser_client.keys import Keys
from api_service.parser_client.messages import (
    FailureResult,
    Result,
    SuccessResult,
    UnreadableResult,
    read_fetch_answer,
    read_result,
)
from api_service.parser_client.results import ResultStore
from api_service.responses import ResultAnswer
from api_service.status_enum import StatusEnum
from tests.support.keys import DONE, DONE_BYTES, HOSTS, QUEUE, RESULTS, result_key, waiting_key

PAGE = '{"status":"success","title":"A","html":"<p>","token":"1-a"%s}'
DEPTHS = [50, 190, 200, 220, 260, 500, 990, 1000, 5000, 100_000]


@pytest.fixture
async def raw(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url) as client:
        yield client


def _nested(levels: int, *, opening: str = "[", closing: str = "]") -> str:
    return opening * levels + closing * levels


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in text:
        depth += (character in "[{") - (character in "]}")
        deepest = max(deepest, depth)
    return deepest


def _can_be_stored_and_answered(result: Result) -> None:
    if isinstance(result, FailureResult):
        assert result.reason is None or result.reason.code
        result.model_dump_json().encode()
        return
    written = result.facts.model_dump_json(exclude_none=True)
    assert "\\u0000" not in written
    assert _depth(json.dumps(json.loads(written))) <= MAX_FACT_DEPTH + 2
    facts = read_facts(written)
    assert facts == PageFacts.model_validate_json(written)
    answer = ResultAnswer(
        request_id=1,
        status=StatusEnum.SUCCESS,
        title=result.title,
        html=result.html,
        error=None,
        **dict(facts),
    )
    json.loads(answer.model_dump_json())


@pytest.mark.parametrize("levels", DEPTHS)
@pytest.mark.parametrize(
    "members",
    [
        ',"metadata":{"language":"en","json_ld":[{"deep":%s,"flat":1}]}',
        ',"metadata":{"language":"en","another":%s}',
        ',"another":%s,"metadata":{"language":"en"}',
    ],
)
@pytest.mark.parametrize("is_apart", [False, True])
def test_what_is_nested_too_deep_does_not_cost_the_page(
    levels: int, members: str, *, is_apart: bool
) -> None:
    text = PAGE % (members % _nested(levels))
    value = f"{len(text)}\n{text}<p>" if is_apart else text
    result = read_result(value.encode())
    assert isinstance(result, SuccessResult)
    assert (result.title, result.token) == ("A", "1-a")
    assert result.metadata is not None
    assert result.metadata.language == "en"
    if result.metadata.json_ld:
        assert result.metadata.json_ld[0]["flat"] == 1
    _can_be_stored_and_answered(result)


@pytest.mark.parametrize("levels", DEPTHS)
@pytest.mark.parametrize(
    "value", ["%s", (PAGE % "").replace('"A"', "%s"), '{"status":%s}', '9\n{"a":%s}']
)
def test_what_is_no_result_at_any_depth_is_a_failure(levels: int, value: str) -> None:
    for nested in (_nested(levels), "[" * levels, '{"a":' * levels, _nested(levels)[:-1]):
        result = read_result(value.replace("%s", nested).encode())
        assert isinstance(result, FailureResult | SuccessResult)
        _can_be_stored_and_answered(result)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("1e999", None),
        ("-1e999", None),
        ("NaN", None),
        ("1" + "0" * 400, 10**400),
        ("1" + "0" * 5000, None),
        ('"a\\u0000b\\ud800"', "a\ufffdb\ufffd"),
    ],
)
def test_a_value_without_a_form_in_the_database_does_not_cost_the_page(
    value: str, kept: object
) -> None:
    text = PAGE % f',"metadata":{{"json_ld":[{{"x":{value}}}]}},"elapsed_ms":{value}'
    result = read_result(text.encode())
    assert isinstance(result, SuccessResult)
    _can_be_stored_and_answered(result)
    written = json.loads(result.facts.model_dump_json())
    assert written["metadata"]["json_ld"] == [{"x": kept}]
    assert written["elapsed_ms"] is None


GOOD: dict[str, object] = {
    "authors": ["text"],
    "keywords": ["a"],
    "open_graph": {"title": ["A"]},
    "twitter_card": {"card": "summary"},
    "json_ld": [{"x": 1}],
    "feeds": [{"url": "https://a.example/f", "type": "application/rss+xml", "title": None}],
    "robots": ["noindex"],
}
METADATA = {name: GOOD.get(name, "text") for name in Metadata.model_fields}


@pytest.mark.parametrize("invalid", list(METADATA))
@pytest.mark.parametrize("value", [5, None, {"a": 1}, [1], [["a"]], {"a": [1]}])
def test_an_invalid_member_of_metadata_costs_that_member_only(invalid: str, value: object) -> None:
    metadata = METADATA | {invalid: value}
    message = {"title": "A", "html": "<p>", "metadata": metadata}
    result = read_result(json.dumps(message | {"status": "success"}).encode())
    answer = read_fetch_answer(json.dumps(message | {"url": "https://a.example/"}).encode())
    facts = read_facts(json.dumps({"metadata": metadata}))
    assert isinstance(result, SuccessResult)
    for found in (result.metadata, result.facts.metadata, answer.metadata, facts.metadata):
        assert found is not None
        others = found.model_dump(exclude={invalid})
        assert others == {name: METADATA[name] for name in METADATA if name != invalid}
        dropped = getattr(Metadata(), invalid)
        assert getattr(found, invalid) in (dropped, value)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([10**400, 2**63, 2**64, -(2**64), "\0", "\ud800", "success", "failure"])
    | st.text(st.characters(codec=None, exclude_categories=())),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(codec=None, exclude_categories=())), inner, max_size=4
        )
    ),
    max_leaves=12,
)
MEMBERS = [
    *SuccessResult.model_fields,
    *FailureResult.model_fields,
    "id",
    "url",
]
MESSAGES = st.fixed_dictionaries(
    {"status": st.sampled_from(["success", "failure"]) | JSON},
    optional={name: JSON for name in MEMBERS if name != "status"},
)
VALUES = (
    st.binary(max_size=200)
    | JSON.map(lambda value: json.dumps(value).encode())
    | MESSAGES.map(lambda value: json.dumps(value).encode())
    | st.tuples(MESSAGES, st.integers(0, 400)).map(
        lambda two: json.dumps(two[0]).encode()[: two[1]]
    )
    | st.tuples(st.integers(0, 400), MESSAGES).map(
        lambda two: b"%d\n%s<p>" % (two[0], json.dumps(two[1]).encode())
    )
)


@example(b"9" * 5000)
@example(b'"' * 100_000)
@example(b'"\\' * 100_000)
@example(b'{"status":"failure","token":"\\u0000"}')
@given(VALUES)
def test_any_bytes_read_as_a_result_that_can_be_stored(value: bytes) -> None:
    _can_be_stored_and_answered(read_result(value))


@given(VALUES)
def test_any_bytes_read_as_facts_of_a_row(value: bytes) -> None:
    read_facts(value.decode("utf-8", "replace")).model_dump_json()


@given(VALUES)
def test_any_bytes_are_an_answer_or_a_value_error(value: bytes) -> None:
    try:
        answer = read_fetch_answer(value)
    except ValueError:
        return
    json.loads(answer.model_dump_json())


@pytest.mark.parametrize("piece", ['"', "[", '{"a":', "]", '"\\"', "[]", '[""],'])
def test_reading_takes_a_bounded_time(piece: str) -> None:
    value = (PAGE % (',"x":' + piece * 4_000_000)).encode()
    began = process_time()
    read_result(value)
    assert process_time() - began < 5  # 0.5 s on a free machine; in quadratic time, hours


def _many_invalid(place: str, item: str, count: int) -> bytes:
    """Write a page's result with many invalid items, each with a number in place of `%d`."""
    inside = ",".join(item.replace("%d", str(i)) for i in range(count))
    return (PAGE % ("," + place.replace("…", inside))).encode()


MANY_INVALID = [
    ('"metadata":{"keywords":[…]}', "1"),
    ('"metadata":{"robots":[…]}', "[]"),
    ('"metadata":{"json_ld":[…]}', "1"),
    ('"metadata":{"feeds":[…]}', "{}"),
    ('"metadata":{"open_graph":{…}}', '"%d":1'),
    ('"metadata":{"open_graph":{…}}', '"%d":[1]'),
    ('"metadata":{"open_graph":{"a":[…]}}', "1"),
    ('"metadata":{"twitter_card":{…}}', '"%d":1'),
    ('"metadata":[…]', "1"),
    ('"redirects":[…]', "{}"),
    ('"final_url":[…]', "1"),
]


@pytest.mark.parametrize(("place", "item"), MANY_INVALID)
def test_invalid_items_in_any_number_cost_little_memory(place: str, item: str) -> None:
    count = 100_000
    value = _many_invalid(place, item, count)
    tracemalloc.start()
    try:
        assert isinstance(read_result(value), SuccessResult)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 400 * count, "an object for each error"


@pytest.mark.parametrize(("place", "item"), MANY_INVALID)
def test_reading_invalid_items_takes_a_bounded_time(place: str, item: str) -> None:
    value = _many_invalid(place, item, 200_000)
    began = process_time()  # other processes may have the machine meanwhile
    read_result(value)
    assert process_time() - began < 5  # 0.04 to 0.4 s


async def test_a_value_of_another_type_is_an_unreadable_result(raw: aioredis.Redis) -> None:
    store = ResultStore(raw, Keys(QUEUE, RESULTS), name="one")
    await raw.hset(result_key(1), "a", "b")
    await raw.rpush(result_key(2), "a")
    await raw.xadd(result_key(3), {"a": "b"})
    await raw.set(result_key(4), PAGE % "")
    ids = [1, 2, 3, 4, 5]
    results = await store.read(ids)
    assert [type(results.get(i)) for i in ids] == [
        *[UnreadableResult] * 3,
        SuccessResult,
        type(None),
    ]
    assert await store.stored_tokens(ids) == {1: None, 2: None, 3: None, 4: "1-a"}
    assert (
        (await store.stored_sizes(ids)).keys()
        == (await store.sizes_of_plain_json_results(ids)).keys()
        == {1, 2, 3, 4}
    )


@pytest.mark.parametrize(
    ("raw_bytes", "size"),
    [("5", 5), ("-1", 0), ("1e999", 0), ("1" + "0" * 400, 0), ("[]", 0), ('"x"', 0), ("NaN", 0)],
)
async def test_an_announcement_counts_whatever_it_says_of_its_size(
    raw: aioredis.Redis, raw_bytes: str, size: int
) -> None:
    store = ResultStore(raw, Keys(QUEUE, RESULTS), name="one")
    await raw.rpush(DONE, f'{{"id":1,"token":"1-a","bytes":{raw_bytes}}}')
    await raw.set(DONE_BYTES, "not a size")
    taken = await store.fill_up_taken_announcements(limit=9, max_bytes=100)
    if taken[0].id:  # pydantic does not read NaN at all: that announcement is dropped
        assert [(one.id, one.token, one.bytes) for one in taken] == [(1, "1-a", size)]
    await store.acknowledge(taken, [1])
    assert not await raw.keys(f"{QUEUE}:taken:*")
    assert not await raw.exists(DONE_BYTES)


@pytest.mark.parametrize(
    "value",
    [b"", b"\xff\xfe", b"[]", b"[" * 100_000, b'{"id":%s}' % (b"[" * 900 + b"]" * 900)],
)
async def test_what_is_no_announcement_is_taken_and_let_go_of(
    raw: aioredis.Redis, value: bytes
) -> None:
    store = ResultStore(raw, Keys(QUEUE, RESULTS), name="one")
    await raw.rpush(DONE, value, '{"id":7,"token":"7-a"}')
    taken = await store.fill_up_taken_announcements(limit=9, max_bytes=100)
    assert [one.id for one in taken] == [0, 7]
    await store.acknowledge(taken, [])
    assert not await raw.keys(f"{QUEUE}:taken:*")


async def test_lists_of_another_type_hide_no_others(raw: aioredis.Redis) -> None:
    census = RedisCensus(raw, Keys(QUEUE, RESULTS), name="one")
    await raw.zadd(HOSTS, {"a.example": 1, "b.example": 1})
    await raw.set(waiting_key("a.example"), "a string")
    await raw.rpush(waiting_key("b.example"), '{"id":7}')
    await raw.hset(QUEUE, "a", "b")
    await raw.set(DONE, "a string")
    await raw.hset(DONE_BYTES, "a", "b")
    assert [found async for found in census.request_ids_in_redis()] == [7]
    depths = await census.read_depths()
    assert (depths.jobs, depths.waiting, depths.results, depths.result_bytes) == (0, 1, 0, 0)


async def test_what_a_dead_taker_had_under_a_key_of_another_type_holds_up_no_other(
    raw: aioredis.Redis,
) -> None:
    store = ResultStore(raw, Keys(QUEUE, RESULTS), name="one")
    await raw.zadd(f"{QUEUE}:takers", {"a": 1, "b": 1})
    await raw.set(f"{QUEUE}:taken:a", "a string")
    await raw.rpush(f"{QUEUE}:taken:b", '{"id":7,"token":"7-a"}')
    assert await store.return_announcements_of_dead_workers() == 1
    assert not await raw.exists(f"{QUEUE}:takers")

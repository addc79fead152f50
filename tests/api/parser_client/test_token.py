"""A token of ours begins with its request's id; other producers have tokens of any form."""

import asyncpg
import pytest

from api_service.parser_client.token import request_id_of
from tests.support.pipeline_steps import PipelineSteps


@pytest.mark.parametrize(
    ("token", "request_id"),
    [
        ("42-9f86d081884c7d65", 42),
        ("0-a", 0),
        ("999999999999999999-a", 999_999_999_999_999_999),
        ("1-2-3", 1),
        ("1234567890123456789-a", None),  # may be too long for a bigint
        ("42", None),
        ("-a", None),
        (" 42-a", None),
        ("job-42-a", None),
        ("\N{ARABIC-INDIC DIGIT ONE}-a", None),
        ("", None),
    ],
)
def test_the_id_is_read_from_a_token_of_ours_only(token: str, request_id: int | None) -> None:
    assert request_id_of(token) == request_id


async def test_the_tokens_that_sql_makes_are_read(
    steps: PipelineSteps, connection: asyncpg.Connection
) -> None:
    request_id = await steps.start()
    token = await connection.fetchval("SELECT token FROM parse_requests WHERE id = $1", request_id)
    assert request_id_of(token) == request_id

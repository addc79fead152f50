"""No result can stand under another key of ours, whatever its id: such settings end the start."""

import pytest
from pydantic import ValidationError

from api_service.celery_app import celery_key_prefix
from api_service.config import Settings as ApiSettings
from api_service.parser_client.keys import Keys as ApiKeys
from parser_service.config import Settings as ParserSettings
from parser_service.redis_queue.keys import Keys as ParserKeys
from tests.support.keys import QUEUE, RESULTS

SERVICES = [ApiSettings, ParserSettings]
Settings = type[ApiSettings] | type[ParserSettings]


@pytest.mark.parametrize("settings", SERVICES)
@pytest.mark.parametrize(
    ("task_queue", "result_prefix"),
    [
        (f"{RESULTS}1", None),
        (RESULTS, None),
        (None, QUEUE),
        (None, f"{QUEUE}:"),
        (None, "parser:"),
        (None, "p"),
        (None, f"{QUEUE}:d"),
        (None, f"{QUEUE}:done"),
        (None, f"{QUEUE}:done:"),
        (None, f"{QUEUE}:host:a:"),
        ("a", "a:celery:"),
        ("a", "a:taken:me"),
        ("same", "same"),
    ],
)
def test_names_that_meet_are_refused_in_a_sentence(
    settings: Settings,
    task_queue: str | None,
    result_prefix: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (("TASK_QUEUE", task_queue), ("RESULT_PREFIX", result_prefix)):
        if value is not None:
            monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        settings.load_or_exit()
    sentence = str(ended.value)
    assert sentence.startswith("RESULT_PREFIX is ")
    assert (task_queue or QUEUE) in sentence
    assert sentence.endswith(f"{RESULTS}.")


@pytest.mark.parametrize("settings", SERVICES)
@pytest.mark.parametrize(
    ("task_queue", "result_prefix"),
    [
        (QUEUE, RESULTS),
        ("app", "app:results:"),
        ("app:tasks", "app:results:"),
        ("results", "results-of:"),
        ("q", "r:"),
        (QUEUE, f"{QUEUE}-results:"),
    ],
)
def test_names_that_stay_apart_are_taken(
    settings: Settings, task_queue: str, result_prefix: str
) -> None:
    settings(task_queue=task_queue, result_prefix=result_prefix)


def _names(settings: Settings) -> set[str]:
    """Return a name of each kind of key, but for results."""
    given = settings(task_queue="q", result_prefix="r:")
    keys = ApiKeys.of(given) if isinstance(given, ApiSettings) else ParserKeys.of(given)
    found = set()
    for name in dir(keys):
        if name.startswith("_") or name in {"of", "result", "result_prefix", "waiting_suffix"}:
            continue
        value = getattr(keys, name)
        value = value("x") if callable(value) else value
        found |= {value} if isinstance(value, str) else set(value)
    return found | {f"{celery_key_prefix(ApiSettings(task_queue='q', result_prefix='r:'))}api"}


@pytest.mark.parametrize("settings", SERVICES)
def test_every_key_of_ours_is_kept_apart(settings: Settings) -> None:
    names = _names(settings)
    assert len(names) > 10
    for name in names:
        with pytest.raises(ValidationError):
            settings(task_queue="q", result_prefix=name)

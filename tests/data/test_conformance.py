"""The scores on public test suites and corpora do not fall."""

from collections.abc import Awaitable, Callable

import pytest

from tests.data.conformance import FETCH_SCORES, SCORES, Score

LEAST = {"html5lib_tree_titles": 1598 / 1600, "wpt_static_titles": 0.995}


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.__name__)
def test_parsing_agrees_with_what_the_suites_state(score: Callable[[], Score]) -> None:
    _hold(score())


@pytest.mark.parametrize("score", FETCH_SCORES, ids=lambda score: score.__name__)
async def test_fetching_does_what_the_cases_demand(score: Callable[[], Awaitable[Score]]) -> None:
    _hold(await score())


def _hold(score: Score) -> None:
    assert score.total
    assert score.right >= LEAST.get(score.name, 1) * score.total, score.wrong[:20]

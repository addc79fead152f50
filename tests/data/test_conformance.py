"""The scores on public test suites and corpora do not fall."""

from collections.abc import Awaitable, Callable

import pytest

from tests.data.conformance import FETCH_SCORES, SCORES
from tests.data.page_facts import FACT_SCORES
from tests.data.page_facts import LEAST as LEAST_OF_FACTS
from tests.data.score import Score

LEAST = {"html5lib_tree_titles": 1598 / 1600, "wpt_static_titles": 0.995}


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.__name__)
def test_parsing_agrees_with_what_the_suites_state(score: Callable[[], Score]) -> None:
    _hold(score())


@pytest.mark.parametrize("score", FACT_SCORES, ids=lambda score: score.__name__)
def test_facts_of_real_pages_are_right(score: Callable[[], Score]) -> None:
    found = score()
    of_all, of_given = LEAST_OF_FACTS[found.name]
    assert found.right >= of_all * found.total > 0, found.wrong[:20]
    assert found.precision >= of_given, found.wrong[:20]


@pytest.mark.parametrize("score", FETCH_SCORES, ids=lambda score: score.__name__)
async def test_fetching_does_what_the_cases_demand(score: Callable[[], Awaitable[Score]]) -> None:
    _hold(await score())


def _hold(score: Score) -> None:
    assert score.total
    assert score.right >= LEAST.get(score.name, 1) * score.total, score.wrong[:20]

"""The interval over seeds and examples: its parts, its widening, and how often it holds the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.examples.coverage import PROMISED, coverage
from benchmarks.examples.worlds import EXAMPLES, drawing
from whichopt.service.evidence.statistics.estimates import critical_t
from whichopt.service.evidence.statistics.examples import over_seeds_and_examples

LEADS = np.random.default_rng(0).standard_normal((6, 50)) + 1


def test_its_error_has_the_part_of_seeds_and_that_of_examples() -> None:
    found = over_seeds_and_examples(LEADS)
    assert found is not None
    by_example = LEADS.mean(axis=0)
    farthest = ((by_example - by_example.mean()) ** 2).max() / (49 * 50)
    of_seeds = LEADS.mean(axis=1).var(ddof=1) / 6
    of_examples = by_example.var(ddof=1) / 50 + farthest
    assert found.mean == pytest.approx(LEADS.mean())
    assert found.error**2 == pytest.approx(of_seeds + of_examples)
    df = (of_seeds + of_examples) ** 2 / (of_seeds**2 / 5 + of_examples**2 / 49)
    assert found.df == pytest.approx(df)


def test_leads_that_seeds_alone_decide_have_the_interval_of_seeds() -> None:
    """Examples that hardly differ leave Student's interval over the six seeds."""
    rows = np.arange(6.0)[:, None] + 1e-6 * LEADS
    found = over_seeds_and_examples(rows)
    assert found is not None
    assert found.df == pytest.approx(5, rel=1e-6)
    assert found.bounds(0.025)[1] - found.mean == pytest.approx(
        critical_t(5, 0.025) * math.sqrt(3.5 / 6), rel=1e-5
    )


def test_it_is_never_narrower_than_either_part() -> None:
    found = over_seeds_and_examples(LEADS, least_error=2.0)
    assert found is not None
    assert found.error > 2.0
    plain = over_seeds_and_examples(LEADS)
    assert plain is not None
    assert plain.error >= LEADS.mean(axis=1).std(ddof=1) / math.sqrt(6)
    assert plain.error >= LEADS.mean(axis=0).std(ddof=1) / math.sqrt(50)


def test_a_part_of_the_examples_stands_for_all() -> None:
    part = over_seeds_and_examples(LEADS, center=1.5, examples=5000)
    whole = over_seeds_and_examples(LEADS)
    assert part is not None
    assert whole is not None
    assert part.mean == 1.5
    assert part.error < whole.error
    assert part.df < whole.df  # of examples there are as many as before, of which the error is less of it


def test_skewed_examples_widen_both_ends_alike() -> None:
    skewed = np.where(np.arange(50) < 3, 10.0, 0.0) + 0.01 * LEADS
    found = over_seeds_and_examples(skewed)
    assert found is not None
    low, high = found.bounds(0.025)
    assert high - found.mean == pytest.approx(found.mean - low)
    assert high - found.mean > critical_t(found.df, 0.025) * found.error * 1.1


@pytest.mark.parametrize("leads", [LEADS[:1], LEADS[:, :1], np.ones((4, 9)), np.ones((4, 9)) * 1e300])
def test_nothing_is_said_if_nothing_tells_a_spread(leads: np.ndarray) -> None:
    assert over_seeds_and_examples(leads) is None


@pytest.mark.parametrize("world", EXAMPLES)
@pytest.mark.parametrize("examples", [36, 100])
def test_it_holds_the_truth_as_often_as_promised(world: str, examples: int) -> None:
    """With 300 jobs the standard error is 1.5 points: below 89 % would be less than promised for sure."""
    found = coverage(world, drawing(EXAMPLES[world]), 0.0, seeds=8, examples=examples, jobs=300)
    assert found.share > PROMISED - 2.7 * math.sqrt(PROMISED * (1 - PROMISED) / 300)

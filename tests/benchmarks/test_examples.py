"""The coverage of the interval over seeds and examples is counted rightly, and kept on real training."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.examples.__main__ import keeps_promise, resampled, table
from benchmarks.examples.coverage import PROMISED, Coverage, coverage, exact_interval
from benchmarks.examples.trained import TRAINED, pairs
from benchmarks.examples.worlds import BEYOND, EXAMPLES


@pytest.mark.parametrize("world", [*EXAMPLES, *BEYOND])
def test_an_examples_part_has_mean_0_and_standard_deviation_1(world: str) -> None:
    """The very skewed one has a kurtosis of 111, so its variance from 400,000 is known to 2 %."""
    drawn = {**EXAMPLES, **BEYOND}[world](np.random.default_rng(0), 400_000)
    assert drawn.mean() == pytest.approx(0, abs=0.01)
    assert drawn.var() == pytest.approx(1, rel=0.06)


def test_what_misses_the_truth_is_counted_by_its_side() -> None:
    leads = np.random.default_rng(0).standard_normal((5, 30))
    for truth, held, above, below in ((0.0, 9, 0, 0), (-9.0, 0, 9, 0), (9.0, 0, 0, 9)):
        found = coverage("made up", lambda *_: leads, truth, seeds=5, examples=30, jobs=9)
        assert (found.held, found.above, found.below, found.silent) == (held, above, below, 0)
    same = coverage("made up", lambda *_: np.ones((5, 30)), 1.0, seeds=5, examples=30, jobs=9)
    assert (same.jobs, same.silent) == (0, 9)


def test_the_interval_of_a_share_is_exact() -> None:
    """Clopper and Pearson's for 0 of 10 ends at 1 - 0.025^(1/10)."""
    assert exact_interval(0, 10) == pytest.approx((0.0, 1 - 0.025**0.1))
    assert exact_interval(10, 10)[1] == 1.0


def test_a_line_with_less_than_promised_says_so() -> None:
    assert "less than promised" in table([Coverage("world", 5, 36, 90, 5, 5, 90, 0)])
    assert "less than promised" not in table([Coverage("world", 5, 36, 96, 2, 2, 90, 0)])
    assert keeps_promise([Coverage("world", 5, 36, 90, 5, 5, 90, 0)])  # of 100 jobs: it may be luck
    assert not keeps_promise([Coverage("world", 5, 36, 900, 50, 50, 900, 0)])


def test_on_real_training_it_holds_the_truth_as_often_as_promised() -> None:
    """Pairs of configs of digits/linear; with 600 jobs in all the standard error is 1 point."""
    found = list(pairs(10, epochs=10, workloads=1))
    assert len(found) == 6
    rows = []
    for pair in found:
        assert pair.lead.shape == (10, TRAINED.test)
        truth = float(pair.lead.mean())
        lead = pair.lead
        rows.append(
            coverage(
                pair.name,
                lambda *asked, lead=lead: resampled(lead, *asked),
                truth,
                seeds=6,
                examples=36,
                jobs=100,
            )
        )
    assert sum(row.held for row in rows) / sum(row.jobs for row in rows) > PROMISED - 0.03

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.builders.confirm_tables import confirm_table_of
from tests.builders.trials import confirm, flat, spec_of
from whichopt.service.evidence.forecast.durations import duration_text
from whichopt.service.evidence.forecast.round import forecast
from whichopt.service.evidence.forecast.search import expected_best
from whichopt.service.evidence.forecast.simulated_seeds import named, simulate, winner_chances, with_losses
from whichopt.service.evidence.verdict.skewness import skewness_of
from whichopt.service.evidence.verdict.stopping import reason_to_stop
from whichopt.service.evidence.verdict.winners import config_verdict
from whichopt.service.planning.finalists import Finalist
from whichopt.service.planning.looks import Look
from whichopt.service.spec import Margin
from whichopt.service.states import Phase


def rows_of(seeds: int, lead: float, seed: int = 0) -> dict[str, list[list[float]]]:
    random = np.random.default_rng([seed, seeds])
    return {
        label: [list(mu + 0.1 * random.standard_normal(seeds)) for mu in (base, base + 0.5)]
        for label, base in (("adam", 1.0), ("adamw", 1.0 + lead), ("sgd", 1.3 + lead))
    }


def test_the_drawn_verdicts_are_the_verdicts() -> None:
    """Each drawn table, judged alone."""
    table = confirm_table_of(rows_of(5, 0.2))
    losses = simulate(table, 9, seed=1, draws=60)
    found = named(table, losses, Look((9,), 9), None)
    assert 0.1 < found.mean() < 0.9
    same = 0
    for job, wins in zip(losses.tolist(), found.tolist(), strict=True):
        rows = iter(job)
        coming = confirm_table_of({label: [next(rows), next(rows)] for label in ("adam", "adamw", "sgd")})
        same += wins == (config_verdict(coming).verdict == "winner")
    assert same == 60


ERRATIC = (("adam", 0.7, 0.2), ("sgd", 1.0, 0.05), ("adamw", 1.0, 0.05), ("radam", 1.0, 0.1))
"""Label, least loss and spread: the best one varies most."""

MARGINS = (None, Margin(absolute=0.03), Margin(percent=2.0))


@pytest.mark.parametrize("margin", MARGINS, ids=str)
def test_the_forecasts_verdict_is_the_verdict_on_skewed_runs(margin: Margin | None) -> None:
    """The verdict allows for a leader whose runs are now and then much worse, and so does the forecast."""
    random = np.random.default_rng(7)
    unlike, winners, skewed = 0, 0, 0
    for _ in range(300):
        table = confirm_table_of(
            {
                label: [list(mu + spread * random.standard_exponential(10)) for _ in range(4)]
                for label, mu, spread in ERRATIC
            }
        )
        verdict = config_verdict(table, margin=margin).verdict
        (forecast_winner,) = named(table, np.asarray([table.losses]), Look((10,), 10), margin).tolist()
        unlike += forecast_winner != (verdict == "winner")
        winners += verdict == "winner"
        skewed += skewness_of(table).kappa > 0
    assert unlike == 0
    assert 60 < winners < 240, "tables that are all alike would tell nothing"
    assert skewed > 100


def test_an_arm_that_did_not_stay_finite_is_not_drawn() -> None:
    """It keeps its values, and the seeds to come have its last one."""
    table = confirm_table_of(rows_of(5, 0.2), diverged={"sgd": 1})
    (coming,) = (with_losses(table, one) for one in simulate(table, 8, seed=1, draws=1).tolist())
    assert coming.seeds == tuple(range(8))
    broken = table.diverged.index(1)
    assert coming.values[broken] == (*table.values[broken], *[table.values[broken][-1]] * 3)
    assert [row[:5] for row in coming.values] == list(table.values)
    assert len({len(row) for row in coming.values}) == 1


def test_what_is_drawn_has_the_predictive_moments() -> None:
    """Of a contrast, on S = 7 seeds: mean d, and variance s^2 (1 + 1 / S) (S - 1) / (S - 3) for a new run."""
    rows = rows_of(7, 0.2)
    table = confirm_table_of(rows)
    losses = simulate(table, 8, seed=3, draws=40_000)
    assert np.array_equal(losses[5, :, :7], np.asarray(table.losses))
    new = losses[:, 2, 7] - losses[:, 0, 7]
    seen = np.subtract(rows["adamw"][0], rows["adam"][0])
    variance = seen.var(ddof=1) * (1 + 1 / 7) * 6 / 4
    assert new.mean() == pytest.approx(seen.mean(), abs=5 * np.sqrt(variance / 40_000))
    assert new.var() == pytest.approx(variance, rel=0.1)


def test_chances_grow_with_the_lead_and_with_the_looks() -> None:
    looks = [Look((4, 6, 10), 6), Look((4, 6, 10), 10)]
    chances = [
        winner_chances(confirm_table_of(rows_of(4, lead)), looks, None, seed=0) for lead in (0.0, 0.3, 2.0)
    ]
    assert all(first <= last for first, last in chances)
    assert all(a[1] < b[1] for a, b in itertools.pairwise(chances))


def test_in_search_it_says_what_is_left() -> None:
    spec = spec_of("adam", "sgd", trials=12, replicates=3)
    searched = [t for t in flat(spec) if t.plan.number < 2]
    found = forecast(spec, searched)
    assert (found.phase, found.confirm) == (Phase.SEARCH, None)
    row = found.search[0]
    assert (row.optimizer, row.trials, row.trials_left) == ("adam", 6, 6)
    assert row.best_value == pytest.approx(0.8)
    assert row.probability_better == 0.5
    assert row.expected_best is not None
    assert row.expected_best < 0.8
    nothing = forecast(spec, []).search[0]
    assert (nothing.best_value, nothing.probability_better, nothing.expected_best) == (None, None, None)


def test_the_expected_best_of_a_draw() -> None:
    """Of all subsets of 2 of 1, 2, 4: (1 + 1 + 2) / 3; of 1 it is the mean."""
    assert expected_best([1.0, 2.0, 4.0], 2) == pytest.approx(4 / 3)
    assert expected_best([1.0, 2.0, 4.0], 1) == pytest.approx(7 / 3)
    assert expected_best([1.0, 2.0, 4.0], 3) == 1.0


def value(arm: Finalist, seed: int) -> float:
    noise = np.random.default_rng([seed, len(arm.label), arm.replicate or 7]).standard_normal()
    return float({"adam": 0.5, "sgd": 0.8}[arm.label] + 0.2 * arm.is_default + 0.1 * noise)


def test_in_confirm_it_says_what_the_next_seeds_would_change() -> None:
    spec = spec_of("adam", "sgd", seeds=10, trials=4, replicates=2)
    trials = confirm(spec, flat(spec), value, seeds=4)
    found = forecast(spec, trials, seconds_per_seed=30.0).confirm
    assert found is not None
    assert (found.seeds, found.most, found.looks, found.next_seeds, found.next_seconds) == (
        4,
        10,
        [4, 6, 10],
        2,
        60,
    )
    said = forecast(spec, trials, seconds_per_seed=30.0).statement
    assert "The chance that the next 2 seeds (about 60 s) produce a winner is" in said
    assert sum(found.probability_best.values()) == pytest.approx(1)
    assert found.stops == reason_to_stop(spec, trials)
    assert found.winner_next is not None
    assert found.winner_end is not None
    assert 0 <= found.winner_next <= found.winner_end <= 1
    assert found.pick == "adam"  # a tie still, but sgd, which has the fewest bytes of state, is not near it
    assert found.probability_best["adam"] > 0.9
    assert found.pick_changes is not None
    assert found.pick_changes < 0.1
    assert found.expected_probability_best is not None
    assert found.expected_probability_best > 0.5
    assert forecast(spec, trials) == forecast(spec, trials[::-1])


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.26, "0.26 s"), (10.7, "11 s"), (99.6, "1.7 minutes"), (600, "10 minutes"), (9000, "2.5 hours")],
)
def test_times_are_said_in_handy_numbers(seconds: float, said: str) -> None:
    assert duration_text(seconds) == said


def test_after_the_last_look_there_is_nothing_to_expect() -> None:
    spec = spec_of("adam", "sgd", seeds=6, trials=4, replicates=2)
    found = forecast(spec, confirm(spec, flat(spec), value)).confirm
    assert found is not None
    assert (found.next_seeds, found.next_seconds, found.winner_next, found.pick_changes) == (None,) * 4


def test_before_the_first_common_seed_there_is_nothing_to_say() -> None:
    spec = spec_of("adam", "sgd", seeds=6, trials=4, replicates=2)
    trials = confirm(spec, flat(spec), value, seeds=1)
    found = forecast(spec, [t for t in trials if t.plan.phase is Phase.SEARCH or t.plan.label == "adam"])
    assert (found.phase, found.confirm) == (Phase.CONFIRM, None)
    waiting = forecast(spec, [*trials[:-1], trials[-1].model_copy(update={"result": None})])
    assert waiting.confirm is None
    assert "no fresh seed yet" in waiting.statement

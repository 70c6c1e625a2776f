from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from tests.builders.confirm_tables import confirm_table_of
from tests.builders.present import present
from tests.builders.trials import confirm, flat, spec_of
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.evidence.verdict.stopping import settled, settled_at
from whichopt.service.planning.finalists import Finalist
from whichopt.service.planning.looks import SHARES, Look, looks
from whichopt.service.spec import Margin


@pytest.mark.parametrize("seeds", [3, 5, 6, 7, 8, 10, 16, 20, 33, 100])
def test_looks_are_few_and_end_with_all_seeds(seeds: int) -> None:
    planned = looks(seeds)
    assert planned[-1] == seeds
    assert all(a < b for a, b in pairwise(planned))
    assert len(planned) == (1 if seeds < 6 else 2 if seeds < 8 else 3)
    assert planned[0] >= min(seeds, 4)


def test_the_looks_of_the_default() -> None:
    assert looks(10) == (4, 6, 10)
    assert looks(20) == (5, 10, 20)


def test_the_shares_spend_the_level_once() -> None:
    assert all(sum(shares) == pytest.approx(1) and len(shares) == n for n, shares in SHARES.items())
    assert sum(Look((4, 6, 10), seeds).config_level(0.05) for seeds in (4, 6, 10)) == pytest.approx(0.05)


def test_a_number_of_seeds_between_two_looks_has_the_share_of_its_stage() -> None:
    planned = (4, 6, 10)
    assert [Look(planned, seeds).share for seeds in (5, 6)] == [SHARES[3][1]] * 2
    assert [Look(planned, seeds).share for seeds in (7, 9, 10)] == [SHARES[3][2]] * 3
    # A job that was cut short before its first look has spent nothing, and is looked at once.
    assert Look(planned, 3).config_level(0.05) == 0.05
    assert Look(planned, 3).study_level(0.05, 3) == 0.05


@pytest.mark.parametrize("replicates", [2, 3, 5, 10])
@pytest.mark.parametrize("seeds", [6, 10, 20, 100])
@pytest.mark.parametrize("alpha", [0.05 / 12, 0.025])
def test_the_optimizer_verdict_keeps_its_level_at_both_ends(
    replicates: int, seeds: int, alpha: float
) -> None:
    """All luck is the studies' (one statistic at all looks), or all is the seeds' (added up over looks)."""
    planned = looks(seeds)
    level = Look(planned, seeds).study_level(alpha, replicates)
    assert alpha / len(planned) <= level * (1 + 1e-6)
    assert level <= alpha
    critical = [stats.t.isf(level, min(replicates, s) - 1) for s in planned]
    assert stats.t.sf(min(critical), replicates - 1) <= alpha * (1 + 1e-6)
    by_seeds = sum(stats.t.sf(c, s - 1) for c, s in zip(critical, planned, strict=True))
    assert by_seeds <= alpha * (1 + 1e-6)
    if replicates <= 3:
        assert level > 0.9 * alpha


def test_every_look_together_errs_in_at_most_alpha_whatever_the_luck_is_of() -> None:
    """Between the two ends, by simulation: one false hypothesis, tested at alpha = 0.05 at every look.

    A rate of at most p is held to p + 3.1 sqrt(p (1 - p) / jobs), which fails one time in a thousand.
    """
    random, jobs, alpha = np.random.default_rng(1), 20_000, 0.05
    for replicates in (3, 6):
        planned = looks(10)
        for share in (0.0, 0.3, 0.7, 1.0):
            u = np.sqrt(share / 1) * random.standard_normal((jobs, replicates, 1)) * np.sqrt(replicates)
            v = np.sqrt(1 - share) * random.standard_normal((jobs, 1, 10)) * np.sqrt(10)
            wins = np.zeros(jobs, dtype=bool)
            for seeds in planned:
                d = (u + v)[:, :, :seeds]
                errors = d.mean(axis=2).var(axis=1, ddof=1) / replicates
                errors = errors + d.mean(axis=1).var(axis=1, ddof=1) / seeds
                level = Look(planned, seeds).study_level(alpha, replicates)
                critical = stats.t.isf(level, min(replicates, seeds) - 1)
                wins |= d.mean(axis=(1, 2)) > critical * np.sqrt(errors)
            assert wins.mean() <= alpha + 3.1 * np.sqrt(alpha * (1 - alpha) / jobs), (replicates, share)


def rows(base: float, *, spread: float = 0.01, seeds: int = 4, start: int = 0) -> list[float]:
    random = np.random.default_rng([start, seeds])
    return list(base + spread * random.standard_normal(seeds))


FIRST = Look((4, 6, 10), 4)


def test_a_clear_winner_settles_it_at_once() -> None:
    table = confirm_table_of(
        {
            "adam": [rows(0.1, start=1), rows(0.2, start=2)],
            "sgd": [rows(2.0, start=3), rows(2.1, start=4)],
        }
    )
    assert settled_at(table, FIRST, margin=None, risk=None, seed=0) == "adam is the clear winner"


def test_what_is_open_goes_on() -> None:
    table = confirm_table_of(
        {
            "adam": [rows(0.10, start=1), rows(0.5, start=2)],
            "sgd": [rows(0.12, start=3), rows(0.6, start=4)],
        }
    )
    assert settled_at(table, FIRST, margin=None, risk=None, seed=0) is None


def test_what_can_hardly_be_told_apart_is_no_reason_to_stop() -> None:
    twins = confirm_table_of({label: [rows(0.1, start=1), rows(0.5, start=2)] for label in ("adam", "sgd")})
    assert settled_at(twins, FIRST, margin=None, risk=None, seed=0) is None
    assert settled_at(twins, FIRST, margin=None, risk=0.01, seed=0) is None
    assert settled_at(twins, FIRST, margin=None, risk=0.99, seed=0) is not None


def test_practical_equivalence_settles_it_where_the_user_has_a_margin() -> None:
    table = confirm_table_of(
        {
            "adam": [rows(0.10, start=1), rows(0.9, start=2)],
            "sgd": [rows(0.12, start=3), rows(0.9, start=4)],
        }
    )
    assert settled_at(table, FIRST, margin=Margin(absolute=0.001), risk=0.001, seed=0) is None
    reason = settled_at(table, FIRST, margin=Margin(absolute=0.5), risk=None, seed=0)
    assert reason is not None
    assert "within the margin (0.5)" in reason


def test_one_optimizer_gets_all_its_seeds() -> None:
    table = confirm_table_of({"adam": [rows(0.1, start=1), rows(0.5, start=2)]})
    assert settled_at(table, FIRST, margin=None, risk=None, seed=0) is None


def test_a_recommendation_says_at_which_look_it_was_made_and_why_it_is_the_last() -> None:
    def value(arm: Finalist, seed: int) -> float:
        noise = 0.01 * ((7 * seed + 3 * len(arm.label) + 5 * (arm.replicate or 0)) % 5)
        return (0.1 if arm.label == "adam" else 5.0) + noise

    spec = spec_of("adam", "sgd", seeds=10)
    trials = confirm(spec, flat(spec), value, seeds=4)
    assert settled(spec, trials) == "adam is the clear winner"
    found = recommend("job", spec, trials)
    assert found.stage is not None
    assert (found.stage.seeds, found.stage.most, found.stage.looks, found.stage.look) == (
        4,
        10,
        [4, 6, 10],
        1,
    )
    assert found.stage.alpha == pytest.approx(0.05 * SHARES[3][0])
    assert found.stage.stopped == "adam is the clear winner"
    assert "4 of at most 10 fresh seeds" in found.statement
    assert "3 planned looks" in found.statement
    whole = recommend("job", spec_of("adam", "sgd", seeds=4), confirm(spec, flat(spec), value, seeds=4))
    assert whole.stage is not None
    assert whole.stage.stopped == "all 4 fresh seeds were run"
    assert present(found.value).low is not None
    assert present(whole.value).low is not None
    assert present(present(found.value).low) < present(
        present(whole.value).low
    )  # the first of three looks may spend less

"""Rules 2: a first stage chooses a champion for each optimizer, and champions are judged by other seeds."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.builders.confirm_tables import confirm_table_of
from tests.builders.present import present
from tests.builders.trials import Confirm, confirm, flat, spec_of
from whichopt.service.evidence.report.consistency import inconsistencies
from whichopt.service.evidence.statistics.estimates import paired_difference, welch_difference
from whichopt.service.evidence.statistics.pairwise import all_welch
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable, champions, read_confirm_table
from whichopt.service.evidence.verdict.many_tables import names_winner
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.evidence.verdict.stopping import reason_to_stop
from whichopt.service.evidence.verdict.winners import config_verdict, study_verdict
from whichopt.service.planning.finalists import Finalist
from whichopt.service.planning.looks import ChampionLook, most_runs, planned_looks
from whichopt.service.spec import Margin
from whichopt.service.states import Phase

MEANS = {"adabelief": 0.1, "adam": 0.5, "sgd": 0.9}


def noise(arm: Finalist, seed: int) -> float:
    """Small, and different for every arm, study and seed."""
    return 0.01 * math.sin(1 + 7 * seed + 3 * len(arm.label) + 11 * (arm.replicate or 0) + arm.is_default)


def by_label(means: dict[str, float], *, default: float = 0.2) -> Confirm:
    return lambda arm, seed: means[arm.label] + default * arm.is_default + noise(arm, seed)


# -- what is planned -----------------------------------------------------------------------------------


def test_the_looks_of_the_default() -> None:
    """Of 24 finalists with 10 seeds each: 4 for all, and for 6 champions the 24 that the others save."""
    spec = spec_of("adam", "adamw", "sgd", "radam", "nadam", "lamb", seeds=10, rules=2)
    assert planned_looks(spec) == (4, 10, 16, 28)
    assert most_runs(spec, 24) == 24 * 4 + 6 * 24 == 24 * 10


@pytest.mark.parametrize("seeds", [3, 4, 5, 6, 7, 10, 20, 33, 100])
@pytest.mark.parametrize("replicates", [1, 2, 3, 6])
@pytest.mark.parametrize("labels", [1, 2, 5])
def test_there_are_never_more_runs_than_asked_for(seeds: int, replicates: int, labels: int) -> None:
    names = ["adam", "adamw", "sgd", "radam", "nadam"][:labels]
    spec = spec_of(*names, seeds=seeds, replicates=replicates, rules=2)
    for finalists in range(labels, labels * (replicates + 1) + 1):
        planned = planned_looks(spec, finalists)
        assert list(planned) == sorted(set(planned))
        assert most_runs(spec, finalists) <= finalists * seeds
        assert len(planned) in (1, 2, 3, 4)
        assert planned[-1] - planned[0] >= 3 or planned == (seeds,)


# -- the tables ----------------------------------------------------------------------------------------


def test_champions_are_chosen_by_the_first_stage_and_judged_by_the_rest() -> None:
    """A finalist that is lucky later is no champion, and what made a champion does not count for it."""
    spec = spec_of(*MEANS, seeds=10, rules=2)

    def value(arm: Finalist, seed: int) -> float:
        lucky = -0.05 if (arm.replicate == 1) == (seed < 4) else 0.0
        return MEANS[arm.label] + 0.2 * arm.is_default + noise(arm, seed) + lucky

    trials = confirm(spec, flat(spec), value)
    table = read_confirm_table(spec, trials)
    first = present(table.first)
    assert (first.seeds, table.seeds) == ((0, 1, 2, 3), tuple(range(4, 28)))
    assert [arm.replicate for arm in table.arms] == [1, 1, 1]
    assert table.arms == tuple(champions(first))
    assert config_verdict(table).verdict == "winner"
    assert min(table.values[0]) > 0.1 - 0.02, "the luck of the first stage is not in them"
    found = recommend("job", spec, trials)
    assert (found.rules, found.verdict, found.optimizer) == (2, "winner", "adabelief")
    assert present(found.value).seeds == 24
    assert present(found.ranking[1].default_value).seeds == 4
    assert "over 24 fresh seeds" in found.statement
    assert "better than that of every other optimizer's champion" in found.statement
    assert "the finalist that did best on 4 seeds before" in found.statement
    assert "this is look 3" in found.statement
    assert "over 4 fresh seeds" in found.optimizer_verdict.statement
    assert "Welch" in found.optimizer_verdict.statement
    stage = present(found.stage)
    assert (stage.first, stage.seeds, stage.most, stage.looks, stage.look) == (4, 28, 28, [4, 10, 16, 28], 4)


def test_the_optimizer_verdict_rests_on_the_first_stage_alone() -> None:
    spec = spec_of(*MEANS, seeds=10, rules=2)
    trials = confirm(spec, flat(spec), by_label(MEANS))
    whole, first = (read_confirm_table(spec, t) for t in (trials, [t for t in trials if _early(t)]))
    assert first.first is None
    assert study_verdict(whole, 3) == study_verdict(first, 3)


def _early(trial: object) -> bool:
    plan = trial.plan  # type: ignore[attr-defined]
    return bool(plan.phase is Phase.SEARCH or plan.number < 4)


def test_a_champion_that_diverged_in_either_stage_is_not_deployed() -> None:
    spec = spec_of(*MEANS, seeds=10, rules=2)
    for broken in (0, 6):

        def value(arm: Finalist, seed: int, broken: int = broken) -> float | None:
            diverges = arm.label == "adabelief" and seed == broken
            return None if diverges else by_label(MEANS)(arm, seed)

        found = recommend("job", spec, confirm(spec, flat(spec), value))
        assert found.optimizer == "adam"
        assert "adabelief cannot win" in found.statement
        row = next(row for row in found.ranking if row.optimizer == "adabelief")
        assert (row.value, row.diverged_seeds) == (None, 1)
        assert row.diverged == (4 if broken == 0 else 1)


def test_a_job_that_ends_with_its_first_stage_tests_every_finalist() -> None:
    """At alpha / (2 m), as each of m finalists of a label may be the one that is named."""
    spec = spec_of(*MEANS, seeds=10, rules=2)
    trials = confirm(spec, flat(spec), by_label(MEANS), seeds=4)
    table = read_confirm_table(spec, trials)
    assert (table.first, len(table.arms)) == (None, 12)
    assert table.config_alpha == pytest.approx(0.05 / (2 * 4))
    found = recommend("job", spec, trials, cut_short=True)
    assert (found.verdict, found.optimizer) == ("winner", "adabelief")
    assert "every finalist of the other optimizers" in found.statement
    assert reason_to_stop(spec, trials) is None, "champions are judged by the seeds that follow"


def test_an_only_optimizers_champion_meets_its_default() -> None:
    spec = spec_of("adam", seeds=10, rules=2)
    trials = confirm(spec, flat(spec), by_label({"adam": 0.5}))
    table = read_confirm_table(spec, trials)
    assert [arm.is_default for arm in table.arms] == [False, True]
    assert len(table.seeds) == 4 * 6 // 2
    found = recommend("job", spec, trials)
    assert "Its tuned config has a better expected nll than its default" in found.statement
    assert present(found.ranking[0].default_value).seeds == 12


# -- the tests -----------------------------------------------------------------------------------------


def champion_table(
    random: np.random.Generator, *, seeds: int = 8, lead: float = 0.3, erratic: float = 1.0
) -> ConfirmTable:
    """Three labels of four finalists; 4 seeds, and then `seeds` of the champions."""
    rows = {
        label: [list(mu + spread * random.standard_normal(4 + seeds)) for _ in range(4)]
        for label, mu, spread in (("adam", 1.0, 0.2), ("adamw", 1 + lead, 0.2 * erratic), ("sgd", 1.4, 0.2))
    }
    every = {label: [row[:4] for row in own] for label, own in rows.items()}
    first = replace(confirm_table_of(every), rules=2)
    arms = champions(first)
    places = [first.arms.index(arm) for arm in arms]
    whole = confirm_table_of(rows)
    return replace(
        first,
        arms=tuple(arms),
        seeds=tuple(range(4, 4 + seeds)),
        values=tuple(whole.values[i][4:] for i in places),
        validation=(None,) * 3,
        diverged=(0,) * 3,
        first=first,
    )


def test_an_error_is_at_least_the_one_pooled_over_the_finalists() -> None:
    table = champion_table(np.random.default_rng(0))
    first = present(table.first)
    ours, theirs = first.of("adamw"), first.of("adam")
    variances = [np.subtract(first.losses[i], first.losses[k]).var(ddof=1) for i in ours for k in theirs]
    least = math.sqrt(float(np.mean(variances)) / 8)
    assert table.least_error(1, 0) == pytest.approx(least)
    alone = paired_difference(table.losses[1], table.losses[0])
    assert table.difference(1, 0).error == pytest.approx(max(alone.error, least))
    assert table.difference(1, 0).df == alone.df
    calm = replace(table, values=tuple((row[0],) * 8 for row in table.values))
    assert calm.difference(1, 0).error == pytest.approx(least), (
        "runs that look calm are not taken at their word"
    )


@pytest.mark.parametrize("margin", [None, Margin(absolute=0.05), Margin(percent=3.0)], ids=str)
def test_many_tables_are_judged_as_each_is(margin: Margin | None) -> None:
    random = np.random.default_rng(5)
    look = ChampionLook((4, 6, 8, 12), 12)
    winners = 0
    for _ in range(150):
        table = champion_table(
            random, lead=float(random.uniform(0, 0.6)), erratic=float(random.uniform(0.2, 3))
        )
        one = config_verdict(table, alpha=look.config_level, margin=margin).verdict == "winner"
        losses = np.asarray([table.losses])
        (many,) = names_winner(table, losses, look.config_level(table.config_alpha), margin).tolist()
        assert many == one
        winners += one
    assert 30 < winners < 120, "tables that are all alike would tell nothing"


def test_welchs_error_worked_by_hand() -> None:
    """A: row means 2, 4 and 6, variance 4. B: 0, 1 and 2, variance 1. Columns of A - B: 2, 3 and 4."""
    ours, theirs = [[1.0, 2.0, 3.0], [3.0, 4.0, 5.0], [5.0, 6.0, 7.0]], [[0.0] * 3, [1.0] * 3, [2.0] * 3]
    found = welch_difference(ours, theirs)
    a, b, c = 4 / 3, 1 / 3, 1 / 3
    assert found.mean == pytest.approx(3)
    assert found.error == pytest.approx(math.sqrt(a + b + c))
    assert found.df == pytest.approx((a + b + c) ** 2 / ((a * a + b * b) / 2 + c * c / 2))
    pairs = all_welch([ours, theirs])
    assert pairs.means[0, 1] == pytest.approx(found.mean)
    assert pairs.errors[0, 1] == pytest.approx(found.error)
    assert np.asarray(pairs.df)[0, 1] == pytest.approx(found.df)


def test_two_studies_leave_one_degree_of_freedom() -> None:
    """One of their two variances is soon small by luck, and the formula would trust it."""
    assert welch_difference([[1.0, 2.0], [5.0, 7.0]], [[0.0, 0.0], [0.1, 0.1]]).df == 1


def test_where_the_seeds_rule_the_degrees_are_the_seeds() -> None:
    """Three studies that agree are no witnesses of their own."""
    row = [0.1, -0.2, 0.4, 0.3]
    found = welch_difference([row] * 3, [[0.0] * 4] * 3)
    alone = paired_difference(row, [0.0] * 4)
    assert found.error == pytest.approx(alone.error)
    assert found.df == 3


def test_a_difference_of_one_study_each_is_not_told() -> None:
    assert welch_difference([[1.0, 2.0]], [[3.0, 5.0]]).bounds(0.025) == (None, None)


# -- what a report may hold ----------------------------------------------------------------------------


def test_runs_of_another_than_the_champion_are_found() -> None:
    spec = spec_of(*MEANS, seeds=10, rules=2)
    trials = confirm(spec, flat(spec), by_label(MEANS))
    late = [t for t in trials if t.plan.phase is Phase.CONFIRM and t.plan.number == 9]
    other = next(
        t for t in trials if t.plan.phase is Phase.CONFIRM and t.plan.number == 0 and t.plan.replicate == 2
    )
    stray = other.model_copy(update={"plan": other.plan.model_copy(update={"number": 9})})
    found = inconsistencies(spec, [*trials, stray], cut_short=False)
    assert any("by the first stage another config is the champion" in said for said in found)
    found = inconsistencies(spec, [t for t in trials if t is not late[0]], cut_short=False)
    assert any("its confirm runs on fresh seeds 9 is missing" in said for said in found)

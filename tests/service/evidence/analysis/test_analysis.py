"""What else the trials tell, on jobs small enough to work it out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.builders.present import present
from tests.builders.trials import (
    CONSTANT,
    Outcome,
    confirm,
    flat,
    plan_of,
    search,
    spec_of,
    trial_of,
)
from whichopt.service.errors import InvalidSpec
from whichopt.service.evidence.analysis import METHODS, analyze
from whichopt.service.evidence.analysis.shapes import Analysis, TargetTimes
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.planning.finalists import Finalist
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Origin, Phase, TrialState
from whichopt.service.trials import Point, Trial

Values = dict[str, list[list[Outcome]]]


def of(rows: Sequence[Any], label: str) -> Any:
    return next(row for row in rows if row.optimizer == label)


def ended(trial: Trial, state: TrialState, **changes: Any) -> Trial:
    """`trial`, as if it had ended in another way."""
    assert trial.result is not None
    value = trial.result.value if state is TrialState.COMPLETE else None
    result = trial.result.model_copy(update={"state": state, "value": value, **changes})
    return trial.model_copy(update={"state": state, "result": result})


def with_curve(trial: Trial, values: Sequence[float], *, seconds: float = 1.0) -> Trial:
    """`trial` with an evaluation every 10 steps of 64 examples."""
    assert trial.result is not None
    points = [Point(10 * (i + 1), 640 * (i + 1), value) for i, value in enumerate(values)]
    changes = {
        "curves": {"validation.nll": points},
        "metrics": {split: {"nll": values[-1] + at} for split, at in SPLITS.items()},
        "steps": points[-1].step,
        "examples": points[-1].examples,
        "seconds": seconds,
    }
    return trial.model_copy(update={"result": trial.result.model_copy(update=changes)})


SPLITS = {"train": -0.25, "validation": 0.0, "test": 0.5}


def confirmed(spec: ResolvedSpec, curve: Callable[[Finalist, int], Sequence[float] | None]) -> list[Trial]:
    """A job whose confirm runs have these validation curves; None diverged. Their test value is 0.5 worse."""
    curves: list[Sequence[float] | None] = []

    def value(arm: Finalist, seed: int) -> Outcome:
        curves.append(curve(arm, seed))
        return None if curves[-1] is None else curves[-1][-1] + SPLITS["test"]

    trials = confirm(spec, flat(spec), value)
    runs = trials[-len(curves) :]
    drawn = [run if c is None else with_curve(run, c) for run, c in zip(runs, curves, strict=True)]
    return [*trials[: -len(curves)], *drawn]


# -- search ------------------------------------------------------------------------------------------------


def test_the_anytime_curve_is_the_mean_of_the_studies_incumbents() -> None:
    spec = spec_of("adam", trials=8, replicates=2)
    trials = search(spec, {"adam": [[0.75, None, 0.5, 0.625], [1.0, 0.25, 0.5, 0.125]]})
    trials[3] = ended(trials[3], TrialState.PRUNED)
    found = of(analyze(spec, trials).anytime, "adam")
    assert [p.value for p in found.by_trials] == [0.875, 0.5, 0.375, 0.3125]
    assert [(p.low, p.high) for p in found.by_trials][-1] == (0.125, 0.5)
    assert (found.band, found.level) == ("range", 0.5)  # two studies straddle the median one half of the time
    assert found.studies[0].trials == [1, 3, 4]
    assert found.studies[0].values == [0.75, 0.5, 0.5]
    assert found.studies[0].seconds == pytest.approx([0.1, 0.3, 0.4])
    assert [p.value for p in found.by_seconds] == [0.875, 0.5, 0.375, 0.3125]


def test_seconds_are_each_studys_own() -> None:
    """The first study is twice as slow: after 0.2 s it has had one trial, the other one two."""
    spec = spec_of("adam", trials=4, replicates=2)
    slow = [ended(t, TrialState.COMPLETE, seconds=0.2) for t in search(spec, {"adam": [[1.0, 0.5], []]})]
    quick = search(spec, {"adam": [[], [0.5, 0.25]]})
    found = of(analyze(spec, [*slow, *quick]).anytime, "adam")
    assert [(p.at, p.value) for p in found.by_seconds] == [(0.1, None), (0.2, 0.625)]
    assert [p.value for p in found.by_trials] == [0.75, 0.375]


def test_from_five_studies_on_the_band_is_a_bootstrap_of_the_mean() -> None:
    spec = spec_of("adam", trials=10, replicates=10)
    studies = [[float(i)] for i in range(10)]
    found = of(analyze(spec, search(spec, {"adam": studies})).anytime, "adam")
    (point,) = found.by_trials
    assert (found.band, found.level, point.value) == ("bootstrap", 0.9, 4.5)
    # The mean of 10 draws from 0..9 has a standard deviation of sqrt(8.25 / 10); 2000 draws leave the normal
    # 5% quantile uncertain by about 0.05.
    reach = 1.645 * math.sqrt(8.25 / 10)
    assert (point.low, point.high) == pytest.approx((4.5 - reach, 4.5 + reach), abs=0.2)


def test_a_study_that_has_nothing_yet_leaves_no_mean() -> None:
    spec = spec_of("adam", "sgd", trials=6, replicates=2)
    values: Values = {"adam": [[None, None, None], [0.5, 0.25, 0.5]], "sgd": [[0.75, 0.75, 0.5]] * 2}
    found = analyze(spec, search(spec, values))
    assert [p.value for p in of(found.anytime, "adam").by_trials] == [None] * 3
    assert of(found.tunability, "adam").area_uniform is None
    assert {step.optimizer for step in found.advice.steps} == {"sgd"}
    last = {row.optimizer: row for row in found.advice.steps[-1].rows}
    assert last["adam"].expected is None
    assert last["adam"].probability_best == (1 + 0.5) / 3  # it won its other study


def test_expected_best_leaves_the_default_and_the_sampler_out() -> None:
    spec = spec_of("adam", trials=6, replicates=1)
    trials = search(spec, {"adam": [[0.125, 1.0, 0.5, 0.25, 0.75, 0.0625]]})
    last = trials[-1]
    trials[-1] = last.model_copy(update={"plan": last.plan.model_copy(update={"origin": Origin.TPE})})
    found = of(analyze(spec, trials).expected_best, "adam")
    assert (found.random_trials, found.without_value) == (4, 0)
    assert [p.trials for p in found.points] == [1, 2]
    assert [p.unbiased for p in found.points] == pytest.approx([0.625, (3 * 0.25 + 2 * 0.5 + 0.75) / 6])
    assert [p.plug_in for p in found.points] == pytest.approx(
        [0.625, (7 * 0.25 + 5 * 0.5 + 3 * 0.75 + 1.0) / 16]
    )
    assert found.points[0].low < 0.625 < found.points[0].high


def test_the_advice_changes_with_the_number_of_trials_and_ends_with_what_was_run() -> None:
    spec = spec_of("adam", "sgd", trials=9, replicates=3)
    values = {"adam": [[0.5, 0.5, 0.5]] * 3, "sgd": [[1.0, 1.0, 0.25]] * 3}
    trials = search(spec, values)
    trials = [
        t.model_copy(update={"plan": t.plan.model_copy(update={"origin": Origin.TPE})})
        if t.plan.number == 2
        else t
        for t in trials
    ]
    found = analyze(spec, trials).advice
    assert [(r.first, r.last, r.optimizer, r.close) for r in found.ranges] == [
        (1, 2, "adam", []),
        (3, 3, "sgd", []),
    ]
    assert {r.probability_high for r in found.ranges} == {0.875}  # 3 of 3, and one more study split evenly
    assert [step.trials for step in found.steps] == [1, 2, 3]
    assert "with 3 trials, take sgd (0.88)" in found.statement
    cut = [trial for trial in trials if trial.plan.number < 2 or trial.plan.label == "adam"]
    assert [step.trials for step in analyze(spec, cut).advice.steps] == [1, 2]


def test_the_best_on_average_need_not_be_the_one_that_is_best_most_often() -> None:
    spec = spec_of("adam", "sgd", trials=3, replicates=3)
    trials = search(spec, {"adam": [[0.5], [0.5], [0.5]], "sgd": [[0.25], [0.25], [5.0]]})
    (found,) = analyze(spec, trials).advice.ranges
    assert (found.optimizer, found.likelier, found.close) == ("adam", ["sgd"], ["sgd"])
    assert found.probability_high == (1 + 0.5) / 4


def test_sensitivity_counts_what_is_near_its_studys_best() -> None:
    spec = spec_of("adam", "sgd", trials=8, replicates=2)
    values: Values = {
        "adam": [[1.0, 1.04, 1.06, None], [2.0, 2.0, 2.09, 3.0]],
        "sgd": [[0.99, 5.0, 5.0, 5.0]] * 2,
    }
    found = of(analyze(spec, search(spec, values)).sensitivity, "adam")
    assert (found.trials, found.complete, found.diverged, found.pruned) == (8, 7, 1, 0)
    assert found.near == 5
    assert found.share_near == 5 / 7
    assert found.share_diverged == 1 / 8
    assert (found.random_trials, found.random_share_near) == (6, 3 / 6)
    assert found.near_overall == 1  # 1.0 beside sgd's 0.99; the other replicate's best is 0.99 too
    assert (found.lr_low, found.lr_high) == pytest.approx((1e-3, 2.102e-3))
    assert found.lr_decades == pytest.approx(math.log10(2.102))
    assert found.range_decades == pytest.approx(4)
    assert [point.excess for point in found.points][:4] == [
        0.0,
        pytest.approx(0.04),
        pytest.approx(0.06),
        None,
    ]


def test_the_ledger_counts_every_trial_once() -> None:
    spec = spec_of("adam", "sgd", trials=6, replicates=2, seeds=3)
    trials = confirm(spec, flat(spec), lambda arm, seed: None if arm.label == "sgd" and seed == 1 else 0.5)
    plan = plan_of(spec, "adam", spec.optimizer("adam").default, Phase.SEARCH, 0, 9)
    trials.append(Trial(plan=plan, state=TrialState.CANCELLED))
    found = analyze(spec, trials).ledger
    rows = {(row.optimizer, row.phase): row for row in found}
    assert rows["adam", Phase.SEARCH].model_dump() == {
        "optimizer": "adam",
        "phase": Phase.SEARCH,
        "trials": 7,
        "complete": 6,
        "pruned": 0,
        "diverged": 0,
        "without_result": 1,
        "steps": 60,
        "examples": 600,
        "seconds": pytest.approx(0.6),
    }
    assert (
        rows["sgd", Phase.CONFIRM].diverged == 3
    )  # one seed of each of its arms: two studies and the default
    assert sum(row.trials for row in found) == len(trials)


def test_a_step_costs_what_the_median_trial_paid_for_it() -> None:
    spec = spec_of("adam", "sgd", trials=3, replicates=1)
    trials = search(spec, {"adam": [[0.5, 0.5, None]], "sgd": [[0.5, 0.5, 0.5]]})
    seconds = iter([0.25, 0.125, 0.5, 1.0, 0.5, 2.0])
    trials = [ended(t, t.state, seconds=next(seconds)) for t in trials]
    found = analyze(spec, trials).step_cost
    adam, sgd = of(found, "adam"), of(found, "sgd")
    assert (adam.ms_low, adam.ms_per_step, adam.ms_high) == (18.75, 25.0, 37.5)
    assert sgd.ms_per_step == 100.0
    assert (adam.shared, sgd.shared) == (1 / 3, 1 / 3)  # one of each was charged 0.5
    assert (adam.state_bytes, sgd.state_bytes) == (8, 4)


# -- confirm -----------------------------------------------------------------------------------------------


def test_the_gain_of_tuning_is_paired_by_seed() -> None:
    spec = spec_of("adam", trials=4, replicates=2, seeds=4)
    trials = confirm(spec, flat(spec), lambda arm, seed: 2.0 + seed if arm.is_default else 1.0 + seed)
    found = of(analyze(spec, trials).tunability, "adam")
    assert (found.default_value, found.tuned_value, found.seeds) == (3.5, 2.5, 4)
    assert (found.gain.mean, found.gain.low, found.gain.high) == (1.0, 1.0, 1.0)
    assert found.gain.percent == pytest.approx(100 / 3.5)
    assert found.gain_over == "studies and seeds"
    one = spec_of("adam", trials=2, replicates=1, seeds=4)
    trials = confirm(one, flat(one), lambda arm, seed: None if arm.is_default and seed == 0 else 1.0)
    found = of(analyze(one, trials).tunability, "adam")
    assert (found.default_value, found.tuned_value, found.gain) == (None, 1.0, None)
    earlier = of(analyze(one, trials, shows_stand_ins=True).tunability, "adam")
    assert earlier.default_value == (CONSTANT + 3) / 4  # version 0.1 showed a constant predictor's score
    assert earlier.gain_over == "seeds"


def test_the_areas_weigh_the_incumbent_over_the_trials() -> None:
    spec = spec_of("adam", trials=4, replicates=2)
    found = of(analyze(spec, search(spec, {"adam": [[1.0, 0.5], [2.0, 0.25]]})).tunability, "adam")
    assert found.area_uniform == (1.5 + 0.375) / 2
    assert found.area_early == pytest.approx((2 * 1.5 + 0.375) / 3)
    assert (found.gain, found.default_value, found.searched_value) == (None, None, None)


def test_what_search_promised_is_held_against_what_was_confirmed() -> None:
    spec = spec_of("adam", trials=4, replicates=2, seeds=3)
    trials = confirm(spec, flat(spec, 0.5), lambda *_: 5.0, validation=lambda *_: 0.75)
    found = of(analyze(spec, trials).tunability, "adam")
    assert found.searched_value == pytest.approx(0.6)
    assert found.search_optimism == pytest.approx(0.15)


def times(found: Analysis) -> dict[str, TargetTimes]:
    assert found.time_to_target is not None
    return {row.optimizer: row for row in found.time_to_target.rows}


CURVES = {"adam": [0.5, 0.25, 0.125], "sgd": [0.75, 0.5, 0.25], "radam": [1.0, 1.0, 0.5]}


def test_the_target_is_the_second_bests_median_and_the_time_is_the_first_evaluation_that_has_it() -> None:
    spec = spec_of(*CURVES, trials=2, replicates=1, seeds=3)
    found = analyze(spec, confirmed(spec, lambda arm, _: CURVES[arm.label]))
    assert found.time_to_target is not None
    assert (found.time_to_target.target, found.time_to_target.of) == (0.25, "sgd")
    rows = times(found)
    assert rows["adam"].median_steps == 20
    assert rows["adam"].median_examples == 1280
    assert rows["adam"].median_seconds == pytest.approx(2 / 3)
    assert (rows["adam"].ratio_steps, rows["sgd"].ratio_steps) == (1.0, 1.5)
    assert rows["radam"].reached == 0
    assert (rows["radam"].median_steps, rows["radam"].ratio_seconds) == (None, None)
    assert rows["radam"].restricted_steps == 30


def test_runs_that_never_have_the_target_are_censored() -> None:
    """Of adam's three runs one has it after 10 steps, one never, and one diverges after it had."""
    spec = spec_of("adam", "sgd", trials=2, replicates=1, seeds=3)

    def curve(arm: Finalist, seed: int) -> list[float] | None:
        if arm.label == "sgd":
            return [0.5, 0.5]
        return [[0.25, 0.25], [1.0, 1.0], None][seed]

    trials = confirmed(spec, curve)
    row = times(analyze(spec, trials, target=0.3))["adam"]
    assert row.steps == [10, None, None]
    assert (row.reached, row.runs, row.median_steps) == (1, 3, None)
    assert row.restricted_steps == pytest.approx((10 + 20 + 20) / 3)
    given = analyze(spec, trials, target=10.0)
    assert given.time_to_target is not None
    assert (given.time_to_target.source, given.time_to_target.target) == ("given", 10.0)
    assert times(given)["sgd"].median_steps == 10
    with pytest.raises(InvalidSpec, match="target nan"):
        analyze(spec, trials, target=math.nan)


def test_one_optimizer_has_its_own_median_for_a_target() -> None:
    spec = spec_of("adam", trials=2, replicates=1, seeds=4)
    found = analyze(spec, confirmed(spec, lambda _, seed: [2.0, 1.0 + seed]))
    assert found.time_to_target is not None
    assert (found.time_to_target.source, found.time_to_target.target) == ("only optimizer", 2.5)
    # Its runs end at 1, 2, 3 and 4; all of them were at 2 on the way.
    assert times(found)["adam"].reached == 4


def test_the_generalization_gap_is_test_minus_training() -> None:
    spec = spec_of("adam", trials=2, replicates=1, seeds=3)
    found = analyze(spec, confirmed(spec, lambda _, seed: [1.0 + seed]))
    (row,) = found.generalization
    assert (row.runs, row.train, row.test) == (3, 1.75, 2.5)
    assert (row.gap, row.low, row.high, row.spread) == (0.75, 0.75, 0.75, 0.0)


def test_it_speaks_of_the_finalists_that_the_ranking_shows() -> None:
    spec = spec_of("adam", "sgd", trials=6, replicates=3, seeds=3)

    def curve(arm: Finalist, _: int) -> list[float]:
        at = 3 if arm.replicate is None else arm.replicate
        return [0.5 + 0.25 * ((at + 2 * (arm.label == "adam")) % 4)]

    trials = confirmed(spec, curve)
    found = analyze(spec, trials)
    ranking = recommend("job", spec, trials).ranking
    assert {row.optimizer: present(row.value).mean for row in ranking} == {
        row.optimizer: row.test for row in found.generalization
    }
    assert found.time_to_target is not None
    assert found.time_to_target.of == ranking[1].optimizer


# -- whatever became of the job ----------------------------------------------------------------------------


def test_a_job_that_has_nothing_yet_says_so() -> None:
    spec = spec_of("adam", "sgd")
    found = analyze(spec, [])
    assert found.advice.ranges == []
    assert found.advice.statement.startswith("No advice")
    assert (found.time_to_target, found.generalization) == (None, [])
    assert of(found.anytime, "adam").by_trials == []
    others = {"metric", "direction", "optimizers", "methods", "pairing"}  # that one is of functions alone
    assert set(METHODS) == set(Analysis.model_fields) - others


def test_confirm_that_was_cut_short_of_a_common_seed_says_nothing_of_it() -> None:
    spec = spec_of("adam", "sgd", trials=2, replicates=1, seeds=3)
    trials = confirmed(spec, lambda *_: [1.0])
    found = analyze(spec, [t for t in trials if t.plan.phase is Phase.SEARCH or t.plan.label == "adam"])
    assert (found.time_to_target, found.generalization) == (None, [])
    assert of(found.tunability, "adam").gain is None
    assert next(r for r in found.ledger if r.phase is Phase.CONFIRM and r.optimizer == "adam").complete == 6


def test_where_everything_diverged_there_are_counts_only() -> None:
    spec = spec_of("adam", "sgd", trials=4, replicates=2, seeds=3)
    trials = search(spec, {label: [[None, None]] * 2 for label in spec.labels})
    found = analyze(spec, confirm(spec, trials, lambda *_: None))
    assert of(found.sensitivity, "adam").share_diverged == 1.0
    assert of(found.sensitivity, "adam").share_near is None
    assert found.time_to_target is None
    assert found.advice.steps[-1].optimizer is None
    assert [row.probability_best for row in found.advice.steps[-1].rows] == [0.5, 0.5]
    assert of(found.expected_best, "adam").points[0].missing == 1.0
    assert of(found.expected_best, "adam").points[0].unbiased is None


def test_a_trial_without_a_result_is_not_a_trial_of_the_study() -> None:
    spec = spec_of("adam", trials=3, replicates=1)
    trials = search(spec, {"adam": [[1.0, 0.75, 0.5]]})
    trials[1] = Trial(plan=trials[1].plan, state=TrialState.CANCELLED)
    found = of(analyze(spec, trials).anytime, "adam")
    assert [p.value for p in found.by_trials] == [1.0, 0.5]
    again = trial_of(spec, trials[1].plan, math.inf)
    assert of(analyze(spec, [again]).anytime, "adam").studies[0].values == [None]

"""What is planned: equal budgets, defaults first, common seeds, thresholds from a study's past, purity."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.catalog.optimizers import OPTIMIZERS
from service.space import Categorical, Float
from service.spec import JobSpec, ResolvedSpec, resolve
from service.states import Origin, Phase, TrialState
from service.trials import Point, Trial, TrialPlan, TrialResult
from workers.study import (
    CUT_SHORT_SEEDS,
    evaluations,
    next_round,
    round_size,
    startup_trials,
    to_config,
    to_params,
)


def spec_of(**budget: Any) -> ResolvedSpec:
    return resolve(
        JobSpec.model_validate(
            {
                "workload": {"dataset": {"name": "digits"}, "model": {"name": "linear"}},
                "optimizers": ["adabelief", "sgd", "lamb"],
                "budget": {"trials": 24, "replicates": 3, "epochs": 8, "confirm_seeds": 4, **budget},
            }
        )
    )


def train(plan: TrialPlan) -> TrialResult:
    """A made-up training run, as simple as can be: the closer lr is to 1e-2 the better; huge ones diverge."""
    lr = float(plan.config["lr"])
    value = abs(math.log10(lr) + 2)
    curve = [Point(i + 1, seen, value + 1 / (i + 1)) for i, seen in enumerate(plan.evaluations)]
    if lr > 0.5:
        return result(TrialState.DIVERGED, None, curve[:1], plan)
    for rung in plan.rungs:
        reached = next(i for i, point in enumerate(curve) if point.examples == rung.examples)
        if curve[reached].value > rung.threshold:
            return result(TrialState.PRUNED, None, curve[: reached + 1], plan)
    return result(TrialState.COMPLETE, curve[-1].value, curve, plan)


def result(state: Any, value: float | None, curve: list[Point], plan: TrialPlan) -> TrialResult:
    return TrialResult(
        state=state,
        value=value,
        metrics={"validation": {"nll": curve[-1].value}},
        curves={"validation.nll": curve},
        reference={"nll": 9.0} if plan.phase is Phase.CONFIRM else None,
        steps=curve[-1].step,
        examples=curve[-1].examples,
        seconds=0.0,
    )


def run(spec: ResolvedSpec, *, stop_after: int | None = None) -> list[list[list[TrialPlan]]]:
    """Every round of the job, trained as above; time runs out after `stop_after` rounds."""
    trials: list[Trial] = []
    rounds: list[list[list[TrialPlan]]] = []
    while True:
        out_of_time = stop_after is not None and len(rounds) >= stop_after
        planned = next_round(spec, trials, executor="solo", out_of_time=out_of_time)
        if planned is None:
            return rounds
        rounds.append(planned.cohorts)
        for plan in flat(planned.cohorts):
            found = train(plan)
            trials.append(Trial(plan=plan, state=found.state, result=found))


def flat(cohorts: Sequence[Sequence[TrialPlan]]) -> list[TrialPlan]:
    return [plan for cohort in cohorts for plan in cohort]


def plans_of(rounds: Sequence[Sequence[Sequence[TrialPlan]]], phase: Phase) -> list[TrialPlan]:
    return [plan for cohorts in rounds for plan in flat(cohorts) if plan.phase is phase]


def test_every_study_gets_the_same_number_of_trials_and_examples() -> None:
    plans = plans_of(run(spec_of()), Phase.SEARCH)
    counts = Counter((plan.label, plan.replicate) for plan in plans)
    assert set(counts.values()) == {8}
    assert len(counts) == 9
    assert len({plan.length for plan in plans}) == 1
    for study in counts:
        assert [p.number for p in plans if (p.label, p.replicate) == study] == list(range(8))


def test_the_first_trial_of_a_study_is_the_default_in_full() -> None:
    spec = spec_of()
    for plan in plans_of(run(spec), Phase.SEARCH):
        assert (plan.origin is Origin.DEFAULT) == (plan.number == 0)
        if plan.number == 0:
            assert plan.config == spec.optimizer(plan.label).default
        assert plan.config.keys() == spec.optimizer(plan.label).space.keys()


def test_configs_come_from_the_space_first_at_random_then_from_the_sampler() -> None:
    spec = spec_of()
    startup = startup_trials(spec.budget.study_trials)
    for plan in plans_of(run(spec), Phase.SEARCH):
        if plan.number == 0:
            continue
        assert (plan.origin is Origin.TPE) == (plan.number >= startup)
        for name, dimension in spec.optimizer(plan.label).searched.items():
            assert dimension.contains(plan.config[name]), (plan.label, name, plan.config[name])


def test_trials_of_a_replicate_share_their_seeds_and_replicates_do_not() -> None:
    seeds = defaultdict(set)
    for plan in plans_of(run(spec_of()), Phase.SEARCH):
        seeds[plan.replicate].add(plan.seeds)
    assert all(len(found) == 1 for found in seeds.values())
    assert len(set().union(*seeds.values())) == 3


def test_confirm_retrains_finalists_and_defaults_on_fresh_seeds_shared_by_all() -> None:
    spec = spec_of()
    rounds = run(spec)
    confirm = plans_of(rounds, Phase.CONFIRM)
    search_seeds = {plan.seeds for plan in plans_of(rounds, Phase.SEARCH)}
    by_number = defaultdict(list)
    for plan in confirm:
        by_number[plan.number].append(plan)
    assert sorted(by_number) == list(range(spec.budget.confirm_seeds))
    arms = {
        number: [(plan.label, plan.config) for plan in sorted(plans, key=lambda p: (p.label, str(p.config)))]
        for number, plans in by_number.items()
    }
    assert all(found == arms[0] for found in arms.values())
    for label in spec.labels:
        configs = [config for name, config in arms[0] if name == label]
        assert spec.optimizer(label).default in configs
        assert 1 < len(configs) <= spec.budget.replicates + 1
    seeds = {plan.seeds for plan in confirm}
    assert len(seeds) == spec.budget.confirm_seeds
    used = {value for found in search_seeds for value in (found.init, found.order, found.split)}
    assert not used & {value for found in seeds for value in (found.init, found.order, found.split)}
    assert not any(plan.rungs for plan in confirm)


def test_thresholds_come_from_the_studys_own_earlier_trials() -> None:
    rounds = run(spec_of())
    past: dict[tuple[str, int | None], list[TrialResult]] = defaultdict(list)
    some = 0
    for cohorts in rounds:
        for plan in flat(cohorts):
            if plan.phase is Phase.CONFIRM:
                continue
            for rung in plan.rungs:
                some += 1
                index = plan.evaluations.index(rung.examples)
                curves = [found.curves["validation.nll"] for found in past[plan.label, plan.replicate]]
                assert rung.threshold in [curve[index].value for curve in curves if index < len(curve)]
        for plan in flat(cohorts):
            past[plan.label, plan.replicate].append(train(plan))
    assert some > 0


def test_a_round_is_a_pure_function_of_spec_and_results() -> None:
    assert run(spec_of()) == run(spec_of())


def test_another_optimizer_in_the_job_changes_nothing_for_the_others() -> None:
    alone = resolve(JobSpec.model_validate({**spec_of().model_dump(), "optimizers": ["sgd"]}))
    assert plans_of(run(alone), Phase.SEARCH) == [
        plan for plan in plans_of(run(spec_of()), Phase.SEARCH) if plan.label == "sgd"
    ]


def test_out_of_time_ends_the_search_and_confirms_with_fewer_seeds() -> None:
    spec = spec_of(confirm_seeds=10)
    rounds = run(spec, stop_after=2)
    assert len(rounds) == 3
    assert {plan.number for plan in flat(rounds[-1])} == set(range(CUT_SHORT_SEEDS))
    planned = next_round(spec, [], executor="solo", out_of_time=True)
    assert planned is not None
    assert not planned.cut_short, "one round is searched in any case"


@given(trials=st.integers(1, 3000))
def test_rounds_add_up_whatever_the_budget(trials: int) -> None:
    assert 1 <= round_size(trials) <= startup_trials(trials)
    assert math.ceil(trials / round_size(trials)) <= 16
    assert sum(min(round_size(trials), trials - n) for n in range(0, trials, round_size(trials))) == trials


def test_evaluations_end_every_epoch_and_stay_bounded() -> None:
    points = evaluations(spec_of(epochs=8))
    assert len(points) == 8
    assert points[-1] == 8 * spec_of().sizes.train
    many = evaluations(spec_of(epochs=1000))
    assert len(many) == 200
    assert all(a < b for a, b in pairwise(many))


@pytest.mark.parametrize("entry", OPTIMIZERS, ids=lambda entry: entry.name)
def test_configs_survive_the_way_to_the_sampler_and_back(entry: Any) -> None:
    spec = resolve(
        JobSpec.model_validate(
            {
                "workload": {"dataset": {"name": "wine"}, "model": {"name": "linear"}},
                "optimizers": [entry.name],
            }
        )
    )
    chosen = spec.optimizers[0]
    for end in ("low", "high"):
        config = {
            name: dimension.choices[0] if isinstance(dimension, Categorical) else getattr(dimension, end)
            for name, dimension in chosen.searched.items()
        }
        back = to_config(chosen, to_params(chosen.searched, config))
        for name, value in config.items():
            dimension = chosen.searched[name]
            assert dimension.contains(back[name])
            if isinstance(dimension, Float):
                # 1 - (1 - x) loses at most half a unit in the last place of 1.
                assert back[name] == pytest.approx(value, rel=1e-12, abs=2.3e-16)


def test_a_fixed_hyperparameter_is_never_searched() -> None:
    body = {
        **spec_of().model_dump(),
        "optimizers": [{"name": "sgd", "label": "plain", "space": {"momentum": 0.5, "nesterov": True}}],
    }
    spec = resolve(JobSpec.model_validate(body))
    plans = plans_of(run(spec), Phase.SEARCH)
    assert {(plan.config["momentum"], plan.config["nesterov"]) for plan in plans} == {(0.5, True)}


def test_pruning_can_be_turned_off() -> None:
    body = {**spec_of().model_dump(), "pruning": {"worst": 0}}
    assert not any(plan.rungs for plan in plans_of(run(resolve(JobSpec.model_validate(body))), Phase.SEARCH))

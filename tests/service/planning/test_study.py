"""What is planned: equal budgets, defaults first, common seeds, thresholds from a study's past, purity."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.samplers._tpe.sampler import _split_trials, default_gamma

from tests.builders.optimizers import scheduled
from tests.builders.studies import GOAL, flat, plans_of, result, run, spec_of, train
from whichopt.service.catalog.optimizers import OPTIMIZERS
from whichopt.service.planning.looks import first_stage, planned_looks
from whichopt.service.planning.rounds import (
    CUT_SHORT_SEEDS,
    evaluations,
    next_round,
    round_ends,
    startup_trials,
)
from whichopt.service.space import Categorical, Float
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.states import Origin, Phase
from whichopt.service.trials import Point, Trial, TrialResult
from whichopt.workers.sampler import (
    TPE_BEST,
    TPE_TRIALS,
    _remembered,
    shown_to_sampler,
    suggest,
    to_config,
    to_params,
)


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
    planned = planned_looks(spec, len(by_number[0]))
    assert sorted(by_number) in [list(range(end)) for end in planned[1:]], "until a look ends it"
    arms = {
        number: [(plan.label, plan.config) for plan in sorted(plans, key=lambda p: (p.label, str(p.config)))]
        for number, plans in by_number.items()
    }
    first = first_stage(spec.budget.confirm_seeds)
    assert all(arms[number] == arms[0] for number in range(first))
    assert all(arms[number] == arms[first] for number in arms if number >= first)
    assert [label for label, _ in arms[first]] == sorted(spec.labels), "a champion each"
    assert set(map(str, arms[first])) < set(map(str, arms[0]))
    for label in spec.labels:
        configs = [config for name, config in arms[0] if name == label]
        assert spec.optimizer(label).default in configs
        assert 1 < len(configs) <= spec.budget.replicates + 1
    seeds = {plan.seeds for plan in confirm}
    assert len(seeds) == len(by_number)
    assert len(confirm) <= spec.budget.confirm_seeds * len(by_number[0]), "as many runs at most as asked for"
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


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_how_a_round_is_cut_changes_nothing_that_is_planned(workers: int) -> None:
    alone = [sorted(map(str, flat(cohorts))) for cohorts in run(spec_of())]
    stacked = run(spec_of(), executor="stacked", workers=workers)
    assert [sorted(map(str, flat(cohorts))) for cohorts in stacked] == alone


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
    planned = next_round(spec, [], suggest, out_of_time=True)
    assert planned is not None
    assert not planned.cut_short, "one round is searched in any case"


@given(trials=st.integers(1, 3000))
def test_rounds_add_up_whatever_the_budget(trials: int) -> None:
    ends = round_ends(trials)
    assert (ends[0], ends[-1]) == (startup_trials(trials), trials)
    assert len(ends) <= 17
    sizes = [end - start for start, end in pairwise(ends)]
    if sizes:
        assert 1 <= min(sizes) <= max(sizes) <= min(sizes) + 1
        assert max(sizes) <= max(8, math.ceil(trials / 16))
        assert max(sizes) <= math.ceil(sum(sizes) / 3), "what is learned is used"


@pytest.mark.parametrize(
    ("trials", "ends"),
    [(1, [1]), (2, [1, 2]), (4, [1, 2, 3, 4]), (10, [3, 5, 8, 10]), (16, [4, 8, 12, 16])],
)
def test_the_first_round_is_all_that_is_random_and_the_others_are_equal(trials: int, ends: list[int]) -> None:
    assert round_ends(trials) == ends


def test_a_study_that_stands_between_two_rounds_goes_on_to_the_next_end() -> None:
    """As one does that another version has begun."""
    spec = spec_of(trials=30, replicates=3)
    first = next_round(spec, [], suggest)
    assert first is not None
    plans = [plan for plan in flat(first.cohorts) if plan.number < 2]
    found = [train(plan) for plan in plans]
    trials = [Trial(plan=p, state=r.state, result=r) for p, r in zip(plans, found, strict=True)]
    second = next_round(spec, trials, suggest)
    assert second is not None
    assert {plan.number for plan in flat(second.cohorts)} == {2}


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
                **scheduled(entry.name),
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


# -- cohorts -------------------------------------------------------------------------------------------


def test_alone_trials_of_one_seed_are_cut_small() -> None:
    for cohorts in run(spec_of()):
        assert max(map(len, cohorts)) <= 4
        assert all(len({plan.seeds for plan in cohort}) == 1 for cohort in cohorts)


@given(trials=st.integers(1, 300), replicates=st.integers(1, 4), workers=st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_stacked_cohorts_are_equal_and_every_worker_has_as_many(
    trials: int, replicates: int, workers: int
) -> None:
    spec = spec_of(trials=trials * replicates, replicates=replicates)
    planned = next_round(spec.with_executor("stacked"), [], suggest, workers=workers)
    assert planned is not None
    sizes = [len(cohort) for cohort in planned.cohorts]
    total, busy = sum(sizes), max(1, workers)
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= 32
    assert min(sizes) >= min(4, total)
    assert len(sizes) % busy == 0 or len(sizes) == max(1, total // 4), "or more would be too small"


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_stacked_cohorts_have_about_the_same_mix_of_optimizers(workers: int) -> None:
    for cohorts in run(spec_of(trials=48, confirm_seeds=10), executor="stacked", workers=workers):
        whole = Counter(plan.label for plan in flat(cohorts))
        for cohort in cohorts:
            mix = Counter(plan.label for plan in cohort)
            for label, count in whole.items():
                assert abs(mix[label] - count / len(cohorts)) < 2


# -- what the sampler sees -----------------------------------------------------------------------------


def history(states: Sequence[str], values: Sequence[float]) -> list[Trial]:
    """A study's trials by number, in those states; a pruned one ended early, at a step of its own."""
    spec = spec_of()
    first = next_round(spec, [], suggest)
    assert first is not None
    plan = flat(first.cohorts)[0]
    trials = []
    for number, (state, value) in enumerate(zip(states, values, strict=True)):
        steps = 1 + number % 3 if state == "pruned" else 8
        curve = [Point(step, 100 * step, value) for step in range(1, steps + 1)]
        found = result(state, value if state == "complete" else None, curve, plan)
        known = plan.model_copy(update={"number": number})
        trials.append(Trial(plan=known, state=found.state, result=found))
    return trials


STATES = st.lists(st.sampled_from(["complete", "complete", "pruned", "diverged"]), min_size=1, max_size=600)


@given(states=STATES, seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_the_sampler_sees_all_of_a_short_study_and_a_fixed_share_of_a_long_one(
    states: list[str], seed: int
) -> None:
    values = np.random.default_rng(seed).integers(0, 20, len(states)) / 4  # with ties
    own = history(states, values.tolist())
    shown = shown_to_sampler(own, GOAL)
    assert shown == shown_to_sampler(own, GOAL)
    assert len(shown) == min(len(own), TPE_TRIALS)
    numbers = [trial.plan.number for trial in shown]
    assert numbers == sorted(set(numbers)), "as they were, and none twice"


@pytest.mark.parametrize("trials", [257, 300, 1000])
@pytest.mark.parametrize(
    "pool", ["complete", "complete pruned", "complete pruned diverged", "pruned diverged"]
)
def test_the_good_ones_are_those_of_the_whole_history(trials: int, pool: str) -> None:
    rng = np.random.default_rng(trials)
    states = rng.choice(pool.split(), trials).tolist()
    own = history(states, rng.integers(0, 40, trials).astype(float).tolist())
    assert good(own) == good(shown_to_sampler(own, GOAL))


def good(own: Sequence[Trial]) -> list[int]:
    """The numbers of the trials that TPE takes for the good ones, by its own rule."""
    study = optuna.create_study(direction=GOAL.direction.value)
    study.add_trials([_remembered(trial, {}, {}, GOAL) for trial in own])
    below, _ = _split_trials(study, study.trials, default_gamma(len(own)))
    return [own[trial.number].plan.number for trial in below]


def test_of_the_others_the_sampler_sees_every_so_manieth() -> None:
    own = history(["complete"] * 1000, [float(number) for number in range(1000)])
    numbers = [trial.plan.number for trial in shown_to_sampler(own, GOAL)]
    assert numbers[:TPE_BEST] == list(range(TPE_BEST))
    gaps = {later - earlier for earlier, later in pairwise(numbers[TPE_BEST:])}
    assert gaps == {4, 5}

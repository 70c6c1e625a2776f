"""Trials of several batch sizes, of growing ones and of several schedules, in one cohort."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from whichopt.service.batches import GrowingBatch
from whichopt.service.states import Phase
from whichopt.service.trials import Schedule, TrialPlan, TrialResult
from whichopt.workers.engine import Executor
from whichopt.workers.engine.executors import STACKING
from whichopt.workers.engine.probe import FEW, STACKED, choose, costs
from whichopt.workers.engine.solo import SoloExecutor
from whichopt.workers.engine.stackable import why_only_solo
from whichopt.workers.engine.stacked.executor import StackedExecutor
from whichopt.workers.engine.stacked.rehearsal import footprint
from whichopt.workers.workload import Workload

MakeWorkload = Callable[..., Workload]
MakePlan = Callable[..., TrialPlan]

SCHEDULES = (Schedule(name="constant"), Schedule(name="linear", warmup=0.2), Schedule(name="step"))

pytestmark = pytest.mark.skipif(STACKING is None, reason="this installation cannot stack")


def _grown(plan: TrialPlan, **changes: Any) -> TrialPlan:
    growing = GrowingBatch(**{"eta": 0.3, "start": 24, "growth": 2.0, "most": 80, **changes})
    return plan.model_copy(update={"training": plan.training.model_copy(update={"growing": growing})})


def _cohort(make_plan: MakePlan, **changes: Any) -> list[TrialPlan]:
    """Trials of which hardly two are trained alike, each optimizer in several ways."""
    plans = [
        make_plan(name, batch_size=size, schedule=schedule, init=at, **changes)
        for at, (name, (size, schedule)) in enumerate(
            itertools.product(("adabelief", "sgd"), zip((8, 16, 50), SCHEDULES, strict=True))
        )
    ]
    growing = [
        _grown(make_plan(name, batch_size=6, schedule=schedule, init=at, clip_norm=clip, **changes), eta=eta)
        for at, (name, schedule, eta, clip) in enumerate(
            (
                ("adabelief", SCHEDULES[1], 0.3, None),
                ("adagrad", SCHEDULES[0], 0.9, None),
                ("adagrad", SCHEDULES[2], 0.2, 0.5),
                ("sgd", SCHEDULES[1], 0.05, None),
            )
        )
    ]
    fixed = make_plan("adam", batch_size=6, **changes)  # as many examples at once as those that grow
    return [plan for pair in itertools.zip_longest(plans, growing) for plan in pair if plan] + [fixed]


def _untimed(results: Sequence[TrialResult]) -> list[TrialResult]:
    return [result.model_copy(update={"seconds": 0.0}) for result in results]


@pytest.mark.bits
@pytest.mark.parametrize("phase", list(Phase))
def test_each_is_that_of_solo_to_the_bit(
    phase: Phase, make_workload: MakeWorkload, make_plan: MakePlan, watch: Any
) -> None:
    made, plans = make_workload("digits", "mlp"), _cohort(make_plan, phase=phase)
    alone = _untimed(SoloExecutor().run(made, plans, watch))
    assert _untimed(StackedExecutor().run(made, plans, watch)) == alone
    backwards = StackedExecutor(most=2).run(made, plans[::-1], watch)
    assert _untimed(backwards)[::-1] == alone
    grown = [result for result in alone if "train.batch_size" in result.curves]
    assert len(grown) == 4
    assert len({result.steps for result in grown}) > 1  # each row counts its own
    for result in grown:
        sizes = [point.value for point in result.curves["train.batch_size"]]
        assert sizes == sorted(sizes)
        assert sizes[-1] <= 80


@pytest.mark.parametrize("executor", [SoloExecutor(), StackedExecutor()], ids=["solo", "stacked"])
def test_they_resume_exactly_inside_a_batch(
    executor: Executor, make_workload: MakeWorkload, make_plan: MakePlan, make_watch: Any
) -> None:
    made, plans = make_workload("wine", "mlp", hidden=[8]), _cohort(make_plan)[:8]
    watch = make_watch(keeping=True)
    wanted = _untimed(executor.run(made, plans, watch))
    assert len(watch.states) >= 3
    for state in watch.states[::3]:
        assert _untimed(executor.run(made, plans, make_watch(), state)) == wanted


def test_a_cost_is_that_of_its_own_batches(
    make_workload: MakeWorkload, make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock of one tick a reading, a step takes a tick, whatever is in it."""
    clock = itertools.count(0.0, 2**-6)
    monkeypatch.setattr("whichopt.workers.engine.probe.perf_counter", lambda: next(clock))
    workload = make_workload("wine", "mlp", hidden=[8])
    plans = [
        make_plan("sgd", label="small", batch_size=8),
        make_plan("sgd", label="large", batch_size=32),
        _grown(make_plan("sgd", label="growing", batch_size=6)),
    ]
    tick = 2**-6
    shares = {"solo": (1.0, 1.0), "stacked": (FEW, STACKED)}  # a stack of what is quick has more trials
    for executor, (few, many) in shares.items():
        found = costs(workload, plans, {plan.label: executor for plan in plans})
        steps = {label: cost.step for label, cost in found.items()}
        parts = 4  # that its first batch is gathered from
        assert steps == {"small": tick / few, "large": tick / few, "growing": tick / parts / many}


def test_the_choice_tries_each_size_apart_and_tells_of_one(
    make_workload: MakeWorkload, make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(0.0, 2**-6)
    monkeypatch.setattr("whichopt.workers.engine.probe.perf_counter", lambda: next(clock))
    workload = make_workload("wine", "mlp", hidden=[8])
    plans = [
        make_plan("sgd", batch_size=8),
        make_plan("adam", batch_size=32),
        make_plan("sgd", batch_size=32),
    ]
    choice = choose(workload, plans, size=16)
    tick = 2**-6
    per_example = (1 / 8 + 2 / 32) / 3  # of a tick, on the average of the three
    assert choice.executor == "stacked"
    assert choice.seconds["solo"] == pytest.approx(16 * per_example * tick)
    assert choice.seconds["stacked"] == pytest.approx(choice.seconds["solo"] / 4)


def test_the_memory_of_growing_batches_counts_what_is_gathered(
    make_workload: MakeWorkload, make_plan: MakePlan
) -> None:
    workload = make_workload("digits", "mlp", hidden=[64])
    fixed = footprint(workload, [make_plan("adam", batch_size=8)])
    growing = footprint(workload, [_grown(make_plan("adam", batch_size=8), start=32)])
    params = 64 * 64 + 64 + 64 * 10 + 10
    assert growing.resting >= fixed.resting + 4 * params  # the sum of gradients, beside Adam's two averages
    assert footprint(workload, [_grown(make_plan("adam", batch_size=8), start=64, most=300)]) == growing


def test_whether_a_network_can_be_stacked_is_tried_by_steps(
    make_workload: MakeWorkload, make_plan: MakePlan
) -> None:
    workload = make_workload("wine", "mlp", hidden=[8])
    assert why_only_solo(workload, [_grown(make_plan("adagrad", batch_size=6))]) is None

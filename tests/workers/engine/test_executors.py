"""What every executor promises."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from whichopt.service.catalog.optimizers import OPTIMIZERS
from whichopt.service.states import Direction, Phase, TrialState
from whichopt.service.trials import Rung, TrialPlan, TrialResult
from whichopt.workers.engine import Cancelled, Executor, State
from whichopt.workers.engine.executors import STACKING
from whichopt.workers.engine.solo import SoloExecutor
from whichopt.workers.workload import Batch, Carry, Net, Workload

MakeWorkload = Callable[..., Workload]
MakePlan = Callable[..., TrialPlan]

EXPLODING: dict[str, Any] = {"name": "sgd", "config": {"lr": 1e4}}


WAYS: dict[str, Executor] = {"solo": SoloExecutor()}
if STACKING is not None:
    WAYS |= {"stacked": STACKING.StackedExecutor(), "stacked-by-two": STACKING.StackedExecutor(most=2)}


@pytest.fixture(params=list(WAYS.values()), ids=list(WAYS))
def executor(request: pytest.FixtureRequest) -> Executor:
    found: Executor = request.param
    return found


@pytest.fixture
def mlp(make_workload: MakeWorkload) -> Workload:
    return make_workload("wine", "mlp", hidden=[8])


def _untimed(results: Sequence[TrialResult]) -> list[TrialResult]:
    """All of the results but how long they took."""
    return [result.model_copy(update={"seconds": 0.0}) for result in results]


def _some_plans(make_plan: MakePlan) -> list[TrialPlan]:
    return [
        make_plan("adam"),
        make_plan("sgd", init=7, config={"nesterov": True}),
        make_plan(**EXPLODING),
        make_plan("adabelief", order=8, split=4, batch_size=10),
        make_plan("lamb", phase=Phase.CONFIRM, clip_norm=0.1),
    ]


def test_a_result_depends_on_its_plan_alone(
    executor: Executor, mlp: Workload, make_plan: MakePlan, watch: Any
) -> None:
    plans = _some_plans(make_plan)
    together = _untimed(executor.run(mlp, plans, watch))
    assert _untimed(executor.run(mlp, plans[::-1], watch)) == together[::-1]
    for seed, (plan, result) in enumerate(zip(plans, together, strict=True)):
        torch.manual_seed(seed)
        assert _untimed(executor.run(mlp, [plan], watch)) == [result]
    assert len({str(result.metrics) for result in together}) == len(plans)


@pytest.mark.parametrize("seed", ["init", "order", "split"])
def test_every_seed_matters(
    seed: str, executor: Executor, mlp: Workload, make_plan: MakePlan, watch: Any
) -> None:
    first, second = executor.run(mlp, [make_plan(**{seed: 10}), make_plan(**{seed: 11})], watch)
    assert first.metrics != second.metrics


def test_global_generators_stay_as_they_were(
    executor: Executor, mlp: Workload, make_plan: MakePlan, watch: Any
) -> None:
    def states() -> tuple[Any, ...]:
        return torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())

    before = states()
    executor.run(mlp, [make_plan()], watch)
    assert states() == before


def test_nothing_to_train(executor: Executor, mlp: Workload, watch: Any) -> None:
    assert executor.run(mlp, [], watch) == []


@pytest.mark.parametrize("phase", list(Phase))
def test_a_diverged_trial_has_no_value_and_harms_nobody(
    phase: Phase, executor: Executor, mlp: Workload, make_plan: MakePlan, watch: Any
) -> None:
    good = make_plan("adam", phase=phase)
    alone = _untimed(executor.run(mlp, [good], watch))
    bad = make_plan(**EXPLODING, phase=phase)
    before, diverged, after = executor.run(mlp, [good, bad, good], watch)
    assert _untimed([before, after]) == alone * 2
    assert diverged.state is TrialState.DIVERGED
    assert diverged.value is None
    assert diverged.metrics == {}
    assert all(math.isfinite(point.value) for curve in diverged.curves.values() for point in curve)
    # At the latest at the first evaluation after the loss was lost; the next one may be the first to see it.
    assert 0 < diverged.examples <= 208
    assert (diverged.reference is not None) == (phase is Phase.CONFIRM)


def test_divergence_in_the_last_step_is_seen(
    executor: Executor, mlp: Workload, make_plan: MakePlan, watch: Any
) -> None:
    """The loss before the only step is finite; what it leads to is not."""
    plan = make_plan("sgd", config={"lr": 1e38}, batch_size=106, length=106, evaluations=(106,))
    (result,) = executor.run(mlp, [plan], watch)
    assert result.state is TrialState.DIVERGED
    assert result.steps == 1
    assert result.curves == {}


@pytest.mark.parametrize("direction", list(Direction))
def test_pruning(
    direction: Direction, executor: Executor, mlp: Workload, make_plan: MakePlan, watch: Any
) -> None:
    workload = dataclasses.replace(mlp, goal=mlp.goal.model_copy(update={"direction": direction}))
    (free,) = executor.run(workload, [make_plan()], watch)
    point = free.curves["validation.nll"][1]
    worse = 1 if direction is Direction.MINIMIZE else -1
    bars = [point.value - worse * 1e-9, point.value, point.value + worse * 1e-9]
    plans = [make_plan(rungs=(Rung(examples=200, threshold=bar),)) for bar in bars]
    pruned, *kept = executor.run(workload, plans, watch)
    assert _untimed(kept) == _untimed([free, free])
    assert pruned.state is TrialState.PRUNED
    assert pruned.value is None
    assert (pruned.steps, pruned.examples) == (13, 208)
    assert pruned.curves == {name: curve[:2] for name, curve in free.curves.items()}
    assert pruned.metrics["validation"]["nll"] == point.value


def test_a_rung_that_only_the_last_step_reaches_prunes_nothing(
    executor: Executor, mlp: Workload, make_plan: MakePlan, watch: Any
) -> None:
    plan = make_plan(evaluations=(100, 290, 300), rungs=(Rung(examples=290, threshold=-1.0),))
    (result,) = executor.run(mlp, [plan], watch)
    assert result.state is TrialState.COMPLETE
    assert [point.examples for point in result.curves["train.loss"]] == [112, 300]


def test_cancel_takes_effect_within_one_evaluation(
    executor: Executor, mlp: Workload, make_plan: MakePlan, make_watch: Any
) -> None:
    """Whenever it comes, what was told before is all that is told."""
    plans = [make_plan(), make_plan(init=5)]
    free = make_watch()
    executor.run(mlp, plans, free)
    for at in range(1, free.asked + 1):
        watch = make_watch(cancel_at=at)
        with pytest.raises(Cancelled):
            executor.run(mlp, plans, watch)
        assert watch.asked == at
        assert watch.seen == free.seen[: len(free.seen) * (at - 1) // free.asked]


def test_progress_is_told_at_each_evaluation(
    executor: Executor, mlp: Workload, make_plan: MakePlan, watch: Any
) -> None:
    results = executor.run(mlp, [make_plan(), make_plan(init=5)], watch)
    for position, result in enumerate(results):
        curve = result.curves["validation.nll"]
        told = [(examples, seen) for at, examples, seen in watch.seen if at == position]
        assert told == [(point.examples, curve[: i + 1]) for i, point in enumerate(curve)]


def test_what_takes_long_is_told_and_can_be_stopped_between_evaluations(
    executor: Executor,
    mlp: Workload,
    make_plan: MakePlan,
    make_watch: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As if every step took longer than a beat; none of that changes a result."""
    plans, steady, often = [make_plan(), make_plan(init=5)], make_watch(), make_watch()
    wanted = executor.run(mlp, plans, steady)
    monkeypatch.setattr("whichopt.workers.engine.beats.BEAT_S", 0.0)
    assert _untimed(executor.run(mlp, plans, often)) == _untimed(wanted)
    assert [examples for at, examples, _ in often.seen if at == 0][:3] == [16, 32, 48]
    assert set(map(str, steady.seen)) < set(map(str, often.seen))
    watch = make_watch(cancel_at=3)
    with pytest.raises(Cancelled) as stopped:
        executor.run(mlp, plans, watch)
    result = stopped.value.results[0]
    assert result is not None
    assert (result.state, result.examples, result.value) == (TrialState.CANCELLED, 48, None)
    assert result.curves == {}
    with pytest.raises(Cancelled):
        executor.train(mlp, plans[0], make_watch(cancel_at=3))


def _resumed_everywhere(
    executor: Executor, workload: Workload, plans: Sequence[TrialPlan], make_watch: Any
) -> None:
    """From every state that a run offers, and twice from each, it ends in the same results."""
    watch = make_watch(keeping=True)
    wanted = executor.run(workload, plans, watch)
    assert len(watch.states) == watch.asked >= 3
    for state in watch.states:
        for _ in range(2):
            results = executor.run(workload, plans, make_watch(), state)
            assert _untimed(results) == _untimed(wanted)


@pytest.mark.parametrize(
    ("way", "name"),
    [(way, entry.name) for way in WAYS for entry in OPTIMIZERS if entry.stackable or way == "solo"],
)
def test_resumes_exactly(way: str, name: str, mlp: Workload, make_plan: MakePlan, make_watch: Any) -> None:
    _resumed_everywhere(WAYS[way], mlp, [make_plan(name)], make_watch)


def test_resumes_a_cohort_exactly(
    executor: Executor, mlp: Workload, make_plan: MakePlan, make_watch: Any
) -> None:
    _resumed_everywhere(executor, mlp, _some_plans(make_plan), make_watch)


def test_a_resumed_run_tells_what_it_has_and_adds_up_its_time(
    executor: Executor, mlp: Workload, make_plan: MakePlan, make_watch: Any
) -> None:
    plans = [make_plan(), make_plan(init=5)]
    watch, again = make_watch(keeping=True), make_watch()
    results = executor.run(mlp, plans, watch)
    state: State = watch.states[-2]  # the last that has something left to train
    resumed = executor.run(mlp, plans, again, state)
    last = {position: (examples, curve) for position, examples, curve in again.seen}
    assert last == {position: (examples, curve) for position, examples, curve in watch.seen}
    done = len(state["results"])
    assert [result.seconds for result in resumed[:done]] == [result.seconds for result in results[:done]]
    before = state["trial"]["record"] if "trial" in state else state["stack"]["records"][-1]
    assert resumed[-1].seconds > before["seconds"] > 0


def _normalized(workload: Workload) -> Workload:
    """`workload` with buffers, and with a loss that carries a number from step to step."""

    def loss(net: Net, batch: Batch, carry: Carry) -> tuple[Tensor, Carry]:
        mean = nn.functional.cross_entropy(net(batch.inputs), batch.targets)
        pull = carry.get("last", torch.zeros(()))
        return mean * (1 + pull), {"last": mean.detach()}

    def model(seed: int) -> nn.Module:
        return nn.Sequential(workload.model(seed), nn.BatchNorm1d(workload.shape.outputs))

    names = tuple(name for name, _ in model(0).named_parameters())
    (player,) = workload.players
    return dataclasses.replace(
        workload, model=model, players=(dataclasses.replace(player, params=names, loss=loss, slope=None),)
    )


def test_buffers_and_carry_are_part_of_the_state(
    executor: Executor, mlp: Workload, make_plan: MakePlan, make_watch: Any
) -> None:
    _resumed_everywhere(executor, _normalized(mlp), [make_plan(), make_plan("sgd")], make_watch)


def test_search_is_judged_on_validation(
    executor: Executor, mlp: Workload, make_plan: MakePlan, watch: Any
) -> None:
    (result,) = executor.run(mlp, [make_plan()], watch)
    assert result.state is TrialState.COMPLETE
    assert set(result.metrics) == {"train", "validation"}
    assert result.value == result.metrics["validation"]["nll"] == result.curves["validation.nll"][-1].value
    assert result.reference is None


def test_confirm_is_judged_on_the_test_split_scored_once(
    executor: Executor, mlp: Workload, make_plan: MakePlan, watch: Any
) -> None:
    plan = make_plan(phase=Phase.CONFIRM)
    test = mlp.splits(plan.seeds.split).test
    scored = []
    metrics = mlp.criteria.metrics

    def counted(outputs: Tensor, targets: Tensor, unit: float, names: Sequence[str]) -> dict[str, Tensor]:
        constant = outputs.stride(0) == 0  # the reference's: one row for all examples
        scored.append(targets is test.targets and not constant)
        return metrics(outputs, targets, unit, names)

    spied = dataclasses.replace(mlp, criteria=dataclasses.replace(mlp.criteria, metrics=counted))
    (result,) = executor.run(spied, [plan], watch)
    assert sum(scored) == 1
    assert set(result.metrics) == {"train", "validation", "test"}
    assert result.value == result.metrics["test"]["nll"]
    assert result.reference == mlp.reference(mlp.splits(plan.seeds.split))


@pytest.mark.parametrize(
    ("size", "length", "evaluations", "wanted"),
    [
        (16, 300, (100, 200, 300), [(7, 112), (13, 208), (19, 300)]),
        (100, 300, (100, 200, 300), [(1, 100), (2, 200), (3, 300)]),
        (64, 250, (10, 20, 70, 250), [(1, 64), (2, 128), (4, 250)]),
        (64, 1, (1,), [(1, 1)]),
        (106, 1000, (999, 1000), [(10, 1000)]),
    ],
)
def test_exactly_the_planned_examples_are_seen(
    size: int,
    length: int,
    evaluations: tuple[int, ...],
    wanted: list[tuple[int, int]],
    executor: Executor,
    mlp: Workload,
    make_plan: MakePlan,
    watch: Any,
) -> None:
    """Evaluations come at the first step boundary at or after their points, once where one serves two."""
    plan = make_plan(batch_size=size, length=length, evaluations=evaluations)
    (result,) = executor.run(mlp, [plan], watch)
    assert set(result.curves) == {"train.loss", "validation.nll", "validation.accuracy"}
    for curve in result.curves.values():
        assert [(point.step, point.examples) for point in curve] == wanted
    assert (result.steps, result.examples) == wanted[-1]

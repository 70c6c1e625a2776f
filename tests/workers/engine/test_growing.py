"""Batches that grow: alike in both executors, in any company, and after a stop in a half-full batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch

from whichopt.service.batches import GrowingBatch
from whichopt.service.catalog.optimizers import OPTIMIZERS
from whichopt.service.states import Phase
from whichopt.service.trials import Schedule, TrialPlan, TrialResult
from whichopt.workers.engine import Executor, optimizers
from whichopt.workers.engine.executors import STACKING
from whichopt.workers.engine.schedule import factor
from whichopt.workers.engine.solo import SoloExecutor, TrialRun
from whichopt.workers.workload import Workload, batches

MakeWorkload = Callable[..., Workload]
MakePlan = Callable[..., TrialPlan]

MICRO = 4
LENGTH = 1000
EVALUATIONS = (150, 330, 500, 650, 830, 1000)
"""Few of them are at the end of a batch."""


@pytest.fixture
def grown(make_plan: MakePlan) -> MakePlan:
    def plan(name: str = "adagrad", eta: float = 0.5, **changes: Any) -> TrialPlan:
        growing = {"eta": eta, "start": 16, "growth": 2.0, "most": 200, **changes.pop("growing", {})}
        given = {"batch_size": MICRO, "length": LENGTH, "evaluations": EVALUATIONS, **changes}
        return make_plan(name, growing=GrowingBatch.model_validate(growing), **given)

    return plan


@pytest.fixture
def mlp(make_workload: MakeWorkload) -> Workload:
    return make_workload("wine", "mlp", hidden=[8])


def ways() -> dict[str, Executor]:
    found: dict[str, Executor] = {"solo": SoloExecutor()}
    return found if STACKING is None else {**found, "stacked": STACKING.StackedExecutor()}


@pytest.fixture(params=list(ways().values()), ids=list(ways()))
def executor(request: pytest.FixtureRequest) -> Executor:
    found: Executor = request.param
    return found


def untimed(results: Sequence[TrialResult]) -> list[TrialResult]:
    return [result.model_copy(update={"seconds": 0.0}) for result in results]


def some(grown: MakePlan, make_plan: MakePlan) -> list[TrialPlan]:
    """Optimizers of every kind of step, with batches that grow apart, and two whose batches are fixed."""
    fixed = {"batch_size": MICRO, "length": LENGTH, "evaluations": EVALUATIONS}
    return [
        grown("adagrad", 0.5),
        grown("sgd", 0.2, config={"nesterov": True}, schedule=Schedule(name="linear", warmup=0.1)),
        grown("adabelief", 0.9, init=5, order=6),
        grown("adam", 0.3, clip_norm=0.1, growing={"start": 32, "growth": 4.0}),
        grown("adadagradnorm", 0.4, phase=Phase.CONFIRM),
        grown("lamb", 0.6, order=9, split=4),
        make_plan("adamw", **fixed),
        make_plan("sgd", **{**fixed, "batch_size": 16}),
    ]


def nll(result: TrialResult) -> float:
    return result.metrics["validation"]["nll"]


def sizes(result: TrialResult) -> list[float]:
    return [point.value for point in result.curves["train.batch_size"]]


@pytest.mark.bits
@pytest.mark.skipif(STACKING is None, reason="this installation cannot stack")
def test_a_trial_has_the_same_bits_alone_in_company_and_solo(
    mlp: Workload, grown: MakePlan, make_plan: MakePlan, watch: Any
) -> None:
    plans = some(grown, make_plan)
    assert STACKING is not None
    stacked = STACKING.StackedExecutor()
    together = untimed(stacked.run(mlp, plans, watch))
    assert untimed(stacked.run(mlp, plans[::-1], watch)) == together[::-1]
    assert untimed(STACKING.StackedExecutor(most=2).run(mlp, plans, watch)) == together
    for plan, result in zip(plans, together, strict=True):
        assert untimed(stacked.run(mlp, [plan], watch)) == [result]
    assert len({str(result.metrics) for result in together}) == len(plans)
    # The networks' own kernels may round otherwise alone, and a size may just miss another micro-batch by it.
    for alone, result in zip(SoloExecutor().run(mlp, plans, watch), together, strict=True):
        assert alone.steps == pytest.approx(result.steps, abs=1)
        assert nll(alone) == pytest.approx(nll(result), rel=0.02)


@pytest.mark.parametrize("name", [entry.name for entry in OPTIMIZERS if not entry.needs_closure])
def test_every_optimizer_can_have_it(
    name: str, executor: Executor, mlp: Workload, grown: MakePlan, watch: Any
) -> None:
    """Each row counts its own steps, so that no optimizer is harmed by those that it does not take."""
    entry = next(entry for entry in OPTIMIZERS if entry.name == name)
    if not entry.stackable and not isinstance(executor, SoloExecutor):
        pytest.skip("it is trained solo")
    (result,) = executor.run(mlp, [grown(name, length=96, evaluations=(96,), growing={"most": 16})], watch)
    assert (result.steps, result.examples, sizes(result)) == (6, 96, [16.0])


def test_batches_grow_are_capped_and_see_every_example_once(
    executor: Executor, mlp: Workload, grown: MakePlan, watch: Any
) -> None:
    (small, large) = executor.run(mlp, [grown(eta=0.15), grown(eta=0.95)], watch)
    for result in (small, large):
        assert sizes(result) == sorted(sizes(result))
        assert result.examples == LENGTH
        assert all(size % MICRO == 0 for size in sizes(result))
    assert sizes(small)[-1] == 200
    assert sizes(large)[-1] < 200
    assert small.steps < large.steps <= math.ceil(LENGTH / 16)
    noise = [point.value for point in small.curves["train.noise"]]
    assert max(noise) > 1


def test_a_stop_in_a_half_full_batch_changes_nothing(
    executor: Executor, mlp: Workload, grown: MakePlan, make_plan: MakePlan, make_watch: Any
) -> None:
    plans = some(grown, make_plan)
    watch = make_watch(keeping=True)
    wanted = untimed(executor.run(mlp, plans, watch))
    assert any(map(half_full, watch.states)), "the point of this test is a batch that is half full"
    for state in watch.states:
        assert untimed(executor.run(mlp, plans, make_watch(), state)) == wanted


def half_full(state: Mapping[str, Any]) -> bool:
    if "trial" in state:
        learners = state["trial"]["learners"] if state["trial"] else []
        return any(learner["growing"]["rows"][0][1] for learner in learners if learner["growing"])
    players = state["stack"]["tensors"]["players"] if state["stack"] else []
    return any(row[1] for player in players for row in player.get("gathered", {"rows": []})["rows"])


def test_a_batch_that_never_grows_is_one_of_a_fixed_size(
    executor: Executor, mlp: Workload, grown: MakePlan, make_plan: MakePlan, watch: Any
) -> None:
    """The examples, the steps and the learning rates are the same, and the gradients but for rounding."""
    plan = grown("adagrad", growing={"most": 16})
    fixed = make_plan("adagrad", batch_size=16, length=LENGTH, evaluations=(LENGTH,))
    plan = plan.model_copy(update={"evaluations": (LENGTH,)})
    (one,), (other,) = executor.run(mlp, [plan], watch), executor.run(mlp, [fixed], watch)
    assert one.steps == other.steps == -(-LENGTH // 16)
    # 63 steps of float32, whose roundings of 6e-8 Adagrad's shrinking steps do not amplify.
    assert nll(one) == pytest.approx(nll(other), rel=1e-4)


def test_it_is_the_loop_that_one_would_write(mlp: Workload, grown: MakePlan) -> None:
    """To the bit: gradients are summed by examples, and the optimizer steps with their mean."""
    plan = grown("adagrad", 0.999, growing={"most": 16}, length=200, evaluations=(200,))
    trial = TrialRun(mlp, plan)
    trial.train(200)
    model, train = mlp.model(plan.seeds.init), mlp.splits(plan.seeds.split).train
    (player,) = mlp.players
    optimizer = optimizers.build("adagrad", plan.config, model.parameters())
    sums, gathered, seen = [torch.zeros_like(param) for param in model.parameters()], 0, 0
    for batch in batches(train, plan.seeds.order, 0, [MICRO] * 50):
        model.zero_grad()
        torch.autograd.backward(player.loss(model, batch, {})[0])
        gathered, seen = gathered + MICRO, seen + MICRO
        for total, param in zip(sums, model.parameters(), strict=True):
            assert param.grad is not None
            total.add_(param.grad, alpha=MICRO)
            param.grad = total / gathered
        if gathered == 16 or seen == 200:
            optimizer.param_groups[0]["lr"] = float(plan.config["lr"]) * factor(
                plan.training.schedule, seen - gathered / 2, 200
            )
            optimizer.step()
            gathered = 0
            for total in sums:
                total.zero_()
    assert all(map(torch.equal, trial.model.parameters(), model.parameters()))


def test_buffers_of_micro_batches_are_the_networks_own(
    executor: Executor, make_workload: MakeWorkload, grown: MakePlan, watch: Any, make_watch: Any
) -> None:
    """Batch normalization and dropout need no gradients of single examples."""
    layers = [{"type": "linear", "out": 8}, "batch_norm", "relu", {"type": "dropout", "p": 0.2}, "outputs"]
    workload = make_workload("wine", "layers", layers=_layers(layers))
    plans = [grown("adagrad"), grown("adam", 0.3, init=4)]
    kept = make_watch(keeping=True)
    wanted = untimed(executor.run(workload, plans, kept))
    for state in kept.states:
        assert untimed(executor.run(workload, plans, watch, state)) == wanted
    assert all(result.value is not None for result in wanted)


def _layers(layers: Sequence[Any]) -> list[Any]:
    return [{"type": "linear", "out": "outputs"} if one == "outputs" else one for one in layers]


def test_on_logistic_regression_the_batch_grows_as_the_gradient_shrinks(
    make_workload: MakeWorkload, grown: MakePlan, watch: Any
) -> None:
    """The noise of digits stays, and the gradient goes to 0: early batches are small, and late ones large."""
    digits = make_workload("digits", "linear")
    plan = grown(
        "adadagrad",
        0.35,
        batch_size=8,
        length=10_000,
        evaluations=tuple(range(200, 10_001, 200)),
        growing={"start": 32, "most": 512},
    )
    (result,) = SoloExecutor().run(digits, [plan], watch)
    grew = sizes(result)
    loss = [point.value for point in result.curves["train.loss"]]
    assert grew[0] <= 128
    assert grew[-1] >= 2 * grew[0]
    assert loss[-1] < loss[0] * 2 / 3

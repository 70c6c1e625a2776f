"""The stacked executor beside the solo one: the same trials, to the bit where their kernels agree."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.builders.gradients import alone_and_exact
from tests.builders.pairs import STACKABLE, pairs
from whichopt.service.catalog.datasets import DatasetEntry
from whichopt.service.catalog.models import ModelEntry
from whichopt.service.catalog.optimizers import OPTIMIZERS
from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import Rung, Schedule, TrialPlan, TrialResult
from whichopt.workers.engine import State
from whichopt.workers.engine.executors import STACKING
from whichopt.workers.engine.probe import PART, Choice, choose, costs
from whichopt.workers.engine.solo import SoloExecutor, TrialRun
from whichopt.workers.engine.stacked.executor import StackedExecutor
from whichopt.workers.engine.stacked.feed import Feed
from whichopt.workers.engine.stacked.nets import Layered, Mapped, nets
from whichopt.workers.engine.stacked.stack import Stack
from whichopt.workers.workload import Batch, Carry, Net, Workload

MakeWorkload = Callable[..., Workload]
MakePlan = Callable[..., TrialPlan]
NAMES = [entry.name for entry in OPTIMIZERS if entry.stackable]

BITWISE: list[dict[str, Any]] = [
    {"dataset": "digits", "model": "mlp"},
    {"dataset": "digits", "model": "mlp", "hidden": [128, 64], "activation": "gelu"},
    {"dataset": "digits", "model": "mlp", "hidden": [32], "activation": "tanh"},
    {"dataset": "digits", "model": "linear"},
    {"dataset": "wine", "model": "mlp"},
]
"""Workloads on which the kernels of a stack round as those of one network do."""


def _untimed(results: Sequence[TrialResult]) -> list[TrialResult]:
    return [result.model_copy(update={"seconds": 0.0}) for result in results]


def _mixed(make_plan: MakePlan, **changes: Any) -> list[TrialPlan]:
    """A trial of every optimizer, with seeds that some of them share."""
    return [make_plan(name, init=i % 3, order=i % 2, split=i % 2, **changes) for i, name in enumerate(NAMES)]


@pytest.mark.parametrize("workload", BITWISE, ids=lambda options: "-".join(map(str, options.values())))
def test_trials_are_those_of_solo_to_the_bit(
    workload: dict[str, Any], make_workload: MakeWorkload, make_plan: MakePlan, watch: Any
) -> None:
    made = make_workload(**workload)
    plans = [*_mixed(make_plan, batch_size=32), *_mixed(make_plan, batch_size=32, phase=Phase.CONFIRM)]
    assert _untimed(StackedExecutor().run(made, plans, watch)) == _untimed(
        SoloExecutor().run(made, plans, watch)
    )


@pytest.mark.bits
def test_schedules_beside_each_other_are_those_of_solo(
    make_workload: MakeWorkload, make_plan: MakePlan, watch: Any
) -> None:
    made = make_workload("digits", "mlp", hidden=[8])
    schedules = [Schedule(name="step"), Schedule(name="step", milestones=(0.2, 0.9), factor=0.3), Schedule()]
    plans = [make_plan(name, schedule=one) for name in ("sgd", "adabelief") for one in schedules]
    results = _untimed(SoloExecutor().run(made, plans, watch))
    assert _untimed(StackedExecutor().run(made, plans, watch)) == results
    assert len({result.value for result in results}) == len(plans)


every_workload = pytest.mark.parametrize(
    ("data", "model"), pairs(), ids=lambda entry: getattr(entry, "name", None)
)


def _gradients(workload: Workload, plans: Sequence[TrialPlan], kind: Any) -> tuple[list[Tensor], Stack]:
    """Of the first step's losses, by param."""
    stack = Stack(workload, kind, plans)
    feed = Feed(plans, [workload.splits(plan.seeds.split) for plan in plans])
    (learners,) = stack.players
    batch = next(iter(feed.batches(0, 48)))
    kind.gradients(learners.player, stack.params, stack.buffers, batch, {}, learners.grads, None)
    return list(learners.grads.values()), stack


@pytest.mark.parametrize(
    ("data", "model"),
    [(data, model) for data, model in pairs() if not model.small],
    ids=lambda entry: getattr(entry, "name", None),
)
def test_gradients_are_those_of_each_network_alone(
    data: DatasetEntry, model: ModelEntry, make_workload: MakeWorkload, make_plan: MakePlan
) -> None:
    """By layers and by vmap. A sum of K products in float32 in another order differs by some sqrt(K)
    roundings of 2**-24 of its terms: K is at most a few thousand here. A network with batch normalization
    makes more of them, as that divides by the deviation of a few values: how much, its own distance from
    float64 says. Networks of many layers are compared in float64 (`test_deep_networks`)."""
    workload = make_workload(data.name, model.name)
    plans = [make_plan("sgd", init=init, order=init % 2, batch_size=48) for init in range(5)]
    (player,) = workload.players
    for kind in (nets(workload), Mapped(workload.model(0))):
        grads, _ = _gradients(workload, plans, kind)
        for row, plan in enumerate(plans):
            trial = TrialRun(workload, plan)
            feed = Feed([plan], [workload.splits(plan.seeds.split)])
            batch = next(iter(feed.batches(0, 48)))
            alone, exact = alone_and_exact(player, trial.model, Batch(batch.inputs[0], batch.targets[0]))
            for stacked, wanted, true in zip(grads, alone, exact, strict=True):
                off = (wanted - true).abs().max().item()
                torch.testing.assert_close(
                    stacked[row], wanted, rtol=1e-4, atol=1e-5 * wanted.abs().max().item() + 8 * off
                )


@pytest.mark.bits
@every_workload
def test_company_changes_no_bit(
    data: DatasetEntry, model: ModelEntry, make_workload: MakeWorkload, make_plan: MakePlan, watch: Any
) -> None:
    workload = make_workload(data.name, model.name, **model.small)
    changes = {"length": 150, "evaluations": (100, 150), "phase": Phase.CONFIRM}
    some = 9
    if model.small:  # few steps of what is slow, in little company
        changes, some = {**changes, "batch_size": 50, "length": 100, "evaluations": (50, 100)}, 3
    ours = [make_plan("adam", **changes), make_plan("adabelief", **changes), make_plan("sgd", **changes)]
    exploding = make_plan("sgd", config={"lr": 1e4}, **changes)
    others = [make_plan(name, init=9, order=i, **changes) for i, name in enumerate(NAMES[:some])]
    alone = [_untimed(StackedExecutor().run(workload, [plan], watch))[0] for plan in ours]
    companies = [[], [exploding], others, [*others, exploding, *others]]
    for company in companies[1:3] if model.small else companies:
        found = StackedExecutor().run(workload, [*company, *ours], watch)
        assert _untimed(found[len(company) :]) == alone


def test_every_catalog_model_has_layers(make_workload: MakeWorkload) -> None:
    for model in STACKABLE:
        assert isinstance(nets(make_workload("digits", model.name, **model.small)), Layered)


# -- leaving -------------------------------------------------------------------------------------------


def test_trials_that_end_leave_the_stack(
    make_workload: MakeWorkload, make_plan: MakePlan, watch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload = make_workload("wine", "mlp", hidden=[8])
    pruned = make_plan(rungs=(Rung(examples=100, threshold=-1.0),))
    diverges = make_plan("sgd", config={"lr": 1e4})
    plans = [pruned, make_plan("sgd"), diverges, make_plan("adabelief"), pruned, make_plan()]
    StackedExecutor().run(workload, plans, watch)  # which finds out what memory such trials take
    rows = []
    step = Stack.step

    def noted(self: Stack, *arguments: Any) -> Tensor:
        rows.append(len(self.plans))
        return step(self, *arguments)

    monkeypatch.setattr(Stack, "step", noted)
    results = StackedExecutor().run(workload, plans, watch)
    states = [result.state for result in results]
    assert states[0] is states[4] is TrialState.PRUNED
    assert states[2] is TrialState.DIVERGED
    assert states[1] is states[3] is states[5] is TrialState.COMPLETE
    assert rows == sorted(rows, reverse=True)
    assert (rows[0], rows[-1]) == (6, 3)
    # Of two trials of one optimizer, which share its steps' time, whatever else the machine does.
    assert results[0].seconds < results[5].seconds


# -- memory --------------------------------------------------------------------------------------------


@pytest.mark.bits
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("resumed", [False, True])
def test_out_of_memory_halves_the_stack_and_changes_nothing(
    error: Exception,
    resumed: bool,
    make_workload: MakeWorkload,
    make_plan: MakePlan,
    make_watch: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workload = make_workload("wine", "mlp", hidden=[8])
    plans = _mixed(make_plan)
    watch = make_watch(keeping=True)
    wanted = _untimed(StackedExecutor().run(workload, plans, watch))
    state: State | None = watch.states[1] if resumed else None
    sizes = []
    step = Stack.step

    def full(self: Stack, number: int, *arguments: Any) -> Tensor:
        if len(self.plans) > 3 and number % 5 == 4:  # in the midst of things
            raise error
        sizes.append(len(self.plans))
        return step(self, number, *arguments)

    monkeypatch.setattr(Stack, "step", full)
    assert _untimed(StackedExecutor().run(workload, plans, make_watch(), state)) == wanted
    assert {2, 3} <= set(sizes)


def test_other_errors_are_not_taken_for_a_lack_of_memory(
    make_workload: MakeWorkload, make_plan: MakePlan, watch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Tensor:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(Stack, "step", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        StackedExecutor().run(make_workload(), [make_plan(), make_plan()], watch)


def test_what_one_trial_has_no_memory_for_fails(
    make_workload: MakeWorkload, make_plan: MakePlan, watch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> Tensor:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(Stack, "step", full)
    with pytest.raises(torch.OutOfMemoryError):
        StackedExecutor().run(make_workload(), [make_plan(), make_plan()], watch)


# -- other workloads -----------------------------------------------------------------------------------


def _with_model(workload: Workload, extra: Callable[[], nn.Module], **changes: Any) -> Workload:
    """`workload` with that module behind its network."""

    def model(seed: int) -> nn.Module:
        return nn.Sequential(workload.model(seed), extra())

    names = tuple(name for name, _ in model(0).named_parameters())
    (player,) = workload.players
    changed = dataclasses.replace(player, params=names, **changes)
    return dataclasses.replace(workload, model=model, players=(changed,))


def test_dropout_masks_are_those_that_a_seed_gives_alone(
    make_workload: MakeWorkload, make_plan: MakePlan, watch: Any
) -> None:
    inner = make_workload("digits", "mlp")  # on which the two agree to the bit
    workload = _with_model(inner, lambda: nn.Sequential(nn.Dropout(0.3), nn.ReLU(), nn.Dropout(0.2)))
    assert isinstance(nets(workload), Layered)
    plans = _mixed(make_plan)
    stacked = StackedExecutor().run(workload, plans, watch)
    assert _untimed(stacked) == _untimed(SoloExecutor().run(workload, plans, watch))
    assert _untimed(stacked) != _untimed(StackedExecutor().run(inner, plans, watch))


def test_batch_norm_has_statistics_of_each_trial(
    make_workload: MakeWorkload, make_plan: MakePlan, watch: Any
) -> None:
    inner = make_workload("wine", "mlp", hidden=[8])
    workload = _with_model(inner, lambda: nn.BatchNorm1d(3))
    plans = [make_plan("adam", init=1), make_plan("adabelief", init=2), make_plan("sgd", init=3)]
    stacked, solo = StackedExecutor().run(workload, plans, watch), SoloExecutor().run(workload, plans, watch)
    for ours, theirs in zip(stacked, solo, strict=True):
        assert ours.value == pytest.approx(theirs.value, rel=1e-3)
    assert len({result.value for result in stacked}) == 3


def test_players_take_turns(make_workload: MakeWorkload, make_plan: MakePlan, watch: Any) -> None:
    """Two players over the two layers of a network, one of them at every third step, with a carry."""
    workload = make_workload("wine", "mlp", hidden=[8])
    (player,) = workload.players

    def loss(net: Net, batch: Batch, carry: Carry) -> tuple[Tensor, Carry]:
        mean = nn.functional.cross_entropy(net(batch.inputs), batch.targets)
        return mean * (1 + carry.get("last", torch.zeros(()))), {"last": mean.detach()}

    first = dataclasses.replace(player, params=player.params[:2], every=3, slope=None, loss=loss)
    second = dataclasses.replace(player, params=player.params[2:], slope=None)
    both = dataclasses.replace(workload, players=(first, second))
    plans = [make_plan("adam", init=1), make_plan("adabelief", init=2)]
    stacked, solo = StackedExecutor().run(both, plans, watch), SoloExecutor().run(both, plans, watch)
    for ours, theirs in zip(stacked, solo, strict=True):
        assert ours.value == pytest.approx(theirs.value, rel=1e-3)
        assert ours.curves["train.loss"][-1].value == pytest.approx(
            theirs.curves["train.loss"][-1].value, rel=1e-3
        )


# -- the choice ----------------------------------------------------------------------------------------


def test_what_is_wrongly_said_to_stack_is_no_choice(make_workload: MakeWorkload, make_plan: MakePlan) -> None:
    """Capabilities are asked, not tried: vmap knows no step that depends on a tensor's value, and says so."""
    workload = make_workload("wine", "mlp", hidden=[8])
    (player,) = workload.players

    def loss(net: Net, batch: Batch, carry: Carry) -> tuple[Tensor, Carry]:
        mean = nn.functional.cross_entropy(net(batch.inputs), batch.targets)
        return (mean * 2 if mean.item() > 1 else mean), carry

    changed = dataclasses.replace(player, loss=loss, slope=None)
    with pytest.raises(RuntimeError, match="vmap"):
        choose(dataclasses.replace(workload, players=(changed,)), [make_plan(), make_plan("sgd")])


def test_where_a_stack_finds_no_memory_trials_are_trained_solo(
    make_workload: MakeWorkload, make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError

    assert STACKING is not None
    monkeypatch.setattr(STACKING, "rehearsal", full)
    assert choose(make_workload("wine", "mlp", hidden=[8]), [make_plan()]) == Choice("solo", {})


def test_on_another_device_nothing_is_measured(make_workload: MakeWorkload, make_plan: MakePlan) -> None:
    assert choose(make_workload("wine", "mlp"), [make_plan()], measured=False) == Choice("stacked", {})


def test_the_probe_of_what_is_slow_is_short(
    make_workload: MakeWorkload, make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that moves a second whenever it is read: as many steps are taken as it takes to know."""
    steps, train = [], TrialRun.train

    def noted(self: TrialRun, stop: int, beat: Any = None) -> Tensor:
        before = self.record.steps
        losses = train(self, stop, beat)
        steps.append(self.record.steps - before)
        return losses

    def second() -> float:
        return float(next(clock))

    clock = itertools.count()
    workload, plan = make_workload("digits", "vgg11", width=0.0625), make_plan("sgd")
    monkeypatch.setattr(TrialRun, "train", noted)
    monkeypatch.setattr("whichopt.workers.engine.probe.perf_counter", second)
    assert choose(workload, [plan, make_plan("adam")]) == Choice("solo", {"solo": 1.0})
    assert steps == [1, 1]
    evaluated: list[int] = []
    scores = TrialRun.scores

    def scored(self: TrialRun, split: str, names: Sequence[str]) -> dict[str, float]:
        evaluated.append(len(self.splits.named(split)))
        return scores(self, split, names)

    monkeypatch.setattr(TrialRun, "scores", scored)
    (cost,) = costs(workload, [plan], {plan.label: "solo"}).values()
    assert evaluated == [PART]
    splits = workload.splits(plan.seeds.split)
    assert cost.train == pytest.approx(len(splits.train) / PART)
    assert cost.validation == pytest.approx(len(splits.validation) / PART)


def test_the_cost_in_a_stack_is_a_trials_share(make_workload: MakeWorkload, make_plan: MakePlan) -> None:
    workload, plan = make_workload("wine", "mlp", hidden=[8]), make_plan("sgd")
    (cost,) = costs(workload, [plan], {plan.label: "stacked"}).values()
    assert 0 < cost.step < 1
    assert cost.validation > 0
    assert cost.train > 0


def test_the_faster_executor_is_chosen(
    make_workload: MakeWorkload, make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(0.0, 2**-6)
    workload, plans = make_workload("wine", "mlp", hidden=[8]), [make_plan(), make_plan("sgd")]
    monkeypatch.setattr("whichopt.workers.engine.probe.perf_counter", lambda: next(clock))
    choice = choose(workload, plans)  # each step takes a tick, and a stack has more trials in it
    assert choice.executor == "stacked"
    assert choice.seconds["stacked"] == choice.seconds["solo"] / 4

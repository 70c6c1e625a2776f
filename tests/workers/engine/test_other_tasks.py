"""Executors with what classifiers lack: several players, draws, lanes, a carry, judged answers, samples."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from whichopt.service.states import Phase
from whichopt.service.trials import Sample, TrialPlan, TrialResult
from whichopt.workers.engine import Executor
from whichopt.workers.engine.executors import EXECUTORS
from whichopt.workers.workload import Batch, Carry, Examples, Net, Player, Splits, Workload
from whichopt.workers.workload.functions import mean, softplus

MakePlan = Callable[..., TrialPlan]

LATENT = 3


class Pair(nn.Module):
    """A maker of points and a judge of them, that are called by name; the judge remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.maker = nn.Linear(LATENT, 2)
        self.judge = nn.Linear(2 + 1, 1)

    def forward(self, which: str, x: Tensor, carried: Tensor | None = None) -> Tensor:
        if which == "maker":
            points: Tensor = self.maker(x)
            return points
        assert carried is not None
        judged: Tensor = self.judge(torch.cat([x, carried], dim=1))
        return judged


def _drawn(batch: Batch, generator: torch.Generator) -> Batch:
    return batch._replace(noise=torch.randn(len(batch.targets), LATENT, generator=generator))


def _state(batch: Batch, carry: Carry) -> Tensor:
    return carry.get("seen", torch.zeros(len(batch.targets), 1))[: len(batch.targets)]


def _judged(net: Net, batch: Batch, carry: Carry) -> tuple[Tensor, Carry]:
    state = _state(batch, carry)
    real = net("judge", batch.targets, state)
    made = net("judge", net("maker", batch.noise).detach(), state)
    loss = mean(softplus(-real)) + mean(softplus(made))
    return loss, {"seen": real.detach()}


def _made(net: Net, batch: Batch, carry: Carry) -> tuple[Tensor, Carry]:
    judged = net("judge", net("maker", batch.noise), _state(batch, carry))
    return mean(softplus(-judged)), carry


def _answer(net: Net, whole: Batch) -> Tensor:
    made: Tensor = net("maker", whole.noise)
    return made


def _sample(net: Net, examples: Examples) -> Sample:
    points = _answer(net, examples.whole)[:4]
    return Sample(
        kind="points", content=base64.b64encode(points.numpy().tobytes()).decode(), shape=tuple(points.shape)
    )


@pytest.fixture
def pair(make_workload: Callable[..., Workload]) -> Workload:
    """Two players on points in lanes, of which the judge carries a state, and which are judged by samples."""
    base = make_workload("wine", "linear")

    def splits(seed: int) -> Splits:
        points = torch.randn(120, 2, generator=torch.Generator().manual_seed(seed)) + 2
        noise = torch.randn(120, LATENT, generator=torch.Generator().manual_seed(0))
        whole = Examples(points, points, 1.0, noise=noise, in_lanes=True)
        return Splits(whole.first(80), dataclasses.replace(whole.first(40), in_lanes=False), whole.first(40))

    def model(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return Pair()

    def metrics(outputs: Tensor, targets: Tensor, unit: float, names: Sequence[str]) -> dict[str, Tensor]:  # noqa: ARG001
        off = (outputs.double().mean(dim=0) - targets.double().mean(dim=0)).norm()
        return dict.fromkeys(names, off)

    names = [name for name, _ in Pair().named_parameters()]
    judge, maker = (tuple(name for name in names if name.startswith(which)) for which in ("judge", "maker"))
    criteria = dataclasses.replace(
        base.criteria,
        metrics=metrics,
        answer=_answer,
        sample=_sample,
        reference=lambda splits: splits.train.targets.mean(dim=0).expand(len(splits.test), 2),
    )
    return dataclasses.replace(
        base,
        players=(Player("judge", judge, _judged), Player("maker", maker, _made, every=2)),
        model=model,
        splits=splits,
        criteria=criteria,
        by_example=False,
        draw=_drawn,
    )


def _plans(make_plan: MakePlan) -> list[TrialPlan]:
    return [
        make_plan("adam", config={"lr": 0.02}),
        make_plan("adabelief", order=8, split=4, config={"lr": 0.02}),
        make_plan("sgd", init=5, phase=Phase.CONFIRM, config={"lr": 0.05}),
    ]


def _untimed(results: Sequence[TrialResult]) -> list[TrialResult]:
    return [result.model_copy(update={"seconds": 0.0}) for result in results]


@pytest.fixture(params=list(EXECUTORS))
def executor(request: pytest.FixtureRequest) -> Executor:
    return EXECUTORS[request.param]()


def test_company_and_a_stop_change_nothing(
    executor: Executor, pair: Workload, make_plan: MakePlan, watch: Any, make_watch: Any
) -> None:
    plans = _plans(make_plan)
    whole = _untimed(executor.run(pair, plans, watch))
    alone = [result for plan in plans for result in executor.run(pair, [plan], watch)]
    assert _untimed(alone) == whole
    saved = make_watch(keeping=True)
    executor.run(pair, plans, saved)
    assert len(saved.states) > 2
    for state in saved.states:
        assert _untimed(executor.run(pair, plans, make_watch(), state)) == whole


def test_it_learns(executor: Executor, pair: Workload, make_plan: MakePlan, watch: Any) -> None:
    for result in executor.run(pair, _plans(make_plan), watch):
        curve = [point.value for point in result.curves[pair.goal.curve]]
        assert curve[-1] < curve[0]


def test_both_executors_train_alike(pair: Workload, make_plan: MakePlan, watch: Any) -> None:
    """As many as 19 steps of smooth functions: rounding in float32 does not grow far."""
    ways = [made().run(pair, _plans(make_plan), watch) for made in EXECUTORS.values()]
    for ours, theirs in zip(*ways, strict=True):
        for name, curve in ours.curves.items():
            assert [point.value for point in curve] == pytest.approx(
                [point.value for point in theirs.curves[name]], rel=1e-4
            )


def test_a_sample_is_kept_of_the_first_fresh_seed_alone(
    executor: Executor, pair: Workload, make_plan: MakePlan, watch: Any
) -> None:
    first = make_plan("adam", phase=Phase.CONFIRM)
    second = make_plan("adam", phase=Phase.CONFIRM, number=1)
    found = executor.run(pair, [make_plan("adam"), first, second], watch)
    assert [result.sample is None for result in found] == [True, False, True]
    assert found[1].sample is not None
    points = torch.frombuffer(bytearray(base64.b64decode(found[1].sample.content)), dtype=torch.float32)
    trained = executor.train(pair, first, watch).network
    noise = pair.splits(3).test.noise
    assert noise is not None
    wanted = noise[:4] @ trained["maker.weight"].T + trained["maker.bias"]
    assert torch.allclose(points.reshape(found[1].sample.shape), wanted, atol=1e-5)


def test_a_diverged_run_counts_as_the_reference(
    executor: Executor, pair: Workload, make_plan: MakePlan, watch: Any
) -> None:
    plan = make_plan("sgd", phase=Phase.CONFIRM, config={"lr": 1e30})
    (result,) = executor.run(pair, [plan], watch)
    splits = pair.splits(plan.seeds.split)
    off = (splits.train.targets.double().mean(dim=0) - splits.test.targets.double().mean(dim=0)).norm()
    assert result.reference is not None
    assert result.reference[pair.goal.metric] == pytest.approx(off.item(), rel=1e-5)

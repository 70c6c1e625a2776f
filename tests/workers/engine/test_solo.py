"""The solo executor is the plain training loop that anyone would write."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from whichopt.service.trials import Schedule, TrialPlan
from whichopt.workers.engine import optimizers
from whichopt.workers.engine.schedule import factor
from whichopt.workers.engine.solo import SoloExecutor
from whichopt.workers.workload import Player, Workload, order

MakeWorkload = Callable[..., Workload]
MakePlan = Callable[..., TrialPlan]


@pytest.mark.parametrize("clip_norm", [None, 0.3])
def test_is_the_plain_loop_to_the_bit(
    clip_norm: float | None, make_workload: MakeWorkload, make_plan: MakePlan, watch: Any
) -> None:
    schedule = Schedule(name="cosine", warmup=0.2)
    plan = make_plan("adamw", schedule=schedule, clip_norm=clip_norm)
    workload = make_workload("digits", "mlp", hidden=[16])
    splits, model = workload.splits(3), workload.model(1)
    fused = torch.optim.AdamW(model.parameters(), lr=1e-3, eps=1e-8, weight_decay=0.01, fused=True)
    seen, losses = 0, []
    for rows in torch.split(order(2, len(splits.train), 0, 300), 16):
        fused.param_groups[0]["lr"] = 1e-3 * factor(schedule, seen + len(rows) / 2, 300)
        fused.zero_grad()
        loss = workload.criteria.loss(model(splits.train.inputs[rows]), splits.train.targets[rows])
        torch.autograd.backward(loss)
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        fused.step()
        seen += len(rows)
        losses.append((loss.item(), len(rows)))
    (result,) = SoloExecutor().run(workload, [plan], watch)
    for name, examples in (("train", splits.train), ("validation", splits.validation)):
        names = tuple(result.metrics[name])
        wanted = {one: value.item() for one, value in workload.evaluate(model, examples, names).items()}
        assert result.metrics[name] == wanted
        assert names == (workload.followed if name == "train" else workload.goal.metrics)
    last = losses[13:]
    mean = sum(loss * count for loss, count in last) / sum(count for _, count in last)
    # The same float64 sum of the same float32 losses, but for one rounding in each product.
    assert result.curves["train.loss"][-1].value == pytest.approx(mean, rel=1e-12)


class _Spied:
    """Optimizers that note, at each step, their learning rate and the norm of the gradients."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lrs: list[list[float]] = []
        self.norms: list[float] = []
        build = optimizers.build

        def spied(*arguments: Any, **settings: Any) -> Optimizer:
            optimizer = build(*arguments, **settings)
            optimizer.register_step_pre_hook(self._note)
            return optimizer

        monkeypatch.setattr(optimizers, "build", spied)

    def _note(self, optimizer: Optimizer, *_: Any) -> None:
        self.lrs.append([group["lr"] for group in optimizer.param_groups])
        grads = [param.grad.flatten() for group in optimizer.param_groups for param in group["params"]]
        self.norms.append(torch.cat(grads).norm().item())


def test_the_learning_rate_is_taken_at_the_middle_of_each_batch(
    make_workload: MakeWorkload, make_plan: MakePlan, watch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    spied = _Spied(monkeypatch)
    plan = make_plan(
        "sgd", config={"lr": 2.0}, schedule=Schedule(name="linear"), length=40, evaluations=(40,)
    )
    SoloExecutor().run(make_workload(), [plan], watch)
    # Batches of 16, 16 and 8: middles at 8, 24 and 36 of 40. One rounding each.
    assert spied.lrs == [[pytest.approx(2.0 * share, rel=1e-12)] for share in (0.8, 0.4, 0.1)]


def test_gradients_are_clipped_by_their_norm(
    make_workload: MakeWorkload, make_plan: MakePlan, watch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    spied = _Spied(monkeypatch)
    SoloExecutor().run(make_workload(), [make_plan(clip_norm=0.2)], watch)
    clipped, spied.norms = spied.norms, []
    SoloExecutor().run(make_workload(), [make_plan()], watch)
    assert max(spied.norms) > 0.2
    # torch divides by the norm plus 1e-6, in float32.
    assert max(clipped) == pytest.approx(0.2, rel=1e-4)


def test_every_player_follows_its_own_loss_at_its_own_pace(
    make_workload: MakeWorkload, make_plan: MakePlan, watch: Any
) -> None:
    """Two layers that pull apart: one learns the labels, the other the opposite, every third step."""
    plain = make_workload("wine", "mlp", hidden=[4])
    (whole,) = plain.players
    body, head = (tuple(name for name in whole.params if name.startswith(layer)) for layer in ("0.", "2."))
    model = plain.model(0)
    snapshots: list[dict[str, Tensor]] = []

    def watched(net: Any, batch: Any, carry: Any) -> tuple[Tensor, Any]:
        snapshots.append({name: param.detach().clone() for name, param in model.named_parameters()})
        return whole.loss(net, batch, carry)

    def against(net: Any, batch: Any, carry: Any) -> tuple[Tensor, Any]:
        loss, carry = whole.loss(net, batch, carry)
        return -loss, carry

    workload = dataclasses.replace(
        plain,
        model=lambda _: model,
        players=(Player("body", body, watched), Player("head", head, against, every=3)),
    )
    SoloExecutor().run(workload, [make_plan("sgd", schedule=Schedule(name="constant"))], watch)
    moved = [
        {name for name in whole.params if not torch.equal(before[name], after[name])}
        for before, after in pairwise(snapshots)
    ]
    assert moved == [set(whole.params) if step % 3 == 0 else set(body) for step in range(len(moved))]
    assert len(moved) == 18


def test_what_takes_long_to_import_waits_until_it_is_needed() -> None:
    code = (
        "import sys, whichopt.workers.engine.solo; print({'pytorch_optimizer', 'sklearn'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"

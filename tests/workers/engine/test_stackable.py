"""What the catalog does not know of a network is tried: stacked and solo must come out the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.builders.messages import Bell, answer_all, submit, view
from whichopt.service.db import Store
from whichopt.service.settings import Settings
from whichopt.service.states import JobState
from whichopt.service.trials import TrialPlan
from whichopt.workers import jobs, workload
from whichopt.workers.engine.executors import STACKING
from whichopt.workers.engine.stackable import TOLERANCE, why_only_solo
from whichopt.workers.workload import Workload

pytestmark = pytest.mark.skipif(STACKING is None, reason="this installation stacks nothing")

MakeWorkload = Callable[..., Workload]
MakePlan = Callable[..., TrialPlan]


class Softened(nn.Module):
    """A module without a stacked layer, which vmap runs as it should."""

    def forward(self, x: Tensor) -> Tensor:
        return x / (1 + x.abs())


class Counting(nn.Module):
    """A module that counts its calls in Python: in a stack one for all trials, in solo one for each."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        Counting.calls += 1
        return x * (1 + 0.01 * (Counting.calls % 7))


class Noisy(nn.Module):
    """A module that draws random numbers, which vmap refuses."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


class Branching(nn.Module):
    """A module that asks for a tensor's value, which vmap refuses."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def _with(workload: Workload, extra: type[nn.Module]) -> Workload:
    """Return the workload with a module behind its network."""

    def model(seed: int) -> nn.Module:
        return nn.Sequential(workload.model(seed), extra())

    names = tuple(name for name, _ in model(0).named_parameters())
    (player,) = workload.players
    return dataclasses.replace(workload, model=model, players=(dataclasses.replace(player, params=names),))


def test_a_network_of_stacked_layers_is_not_tried(
    make_workload: MakeWorkload, make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> float:
        raise AssertionError("there is nothing to try")

    monkeypatch.setattr(STACKING, "apart", never)
    assert why_only_solo(make_workload("wine", "layers"), [make_plan()]) is None


def test_what_vmap_runs_as_it_should_is_stacked(make_workload: MakeWorkload, make_plan: MakePlan) -> None:
    assert why_only_solo(_with(make_workload("wine", "mlp"), Softened), [make_plan()]) is None


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        (
            Counting,
            f"apart in a stack and alone, as a share of the greatest value, and at most {TOLERANCE:g}",
        ),
        (Noisy, "torch cannot run its network in a stack (vmap: called random operation"),
        (Branching, "torch cannot run its network in a stack (vmap: It looks like you're attempting to use"),
    ],
)
def test_what_comes_out_otherwise_or_not_at_all_is_trained_solo_with_the_reason(
    extra: type[nn.Module], reason: str, make_workload: MakeWorkload, make_plan: MakePlan
) -> None:
    found = why_only_solo(_with(make_workload("wine", "mlp"), extra), [make_plan()])
    assert found is not None
    assert reason in found


def test_a_network_whose_steps_take_long_is_not_tried_in_a_stack(
    store: Store, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, make_workload: MakeWorkload
) -> None:
    def never(*_: object) -> float:
        raise AssertionError("it would take several such steps each way")

    made = _with(make_workload("wine", "linear"), Softened)
    monkeypatch.setattr(workload, "build", lambda *_, **__: made)
    monkeypatch.setattr(STACKING, "apart", never)
    monkeypatch.setattr("whichopt.workers.engine.probe.SLOW_S", 0.0)
    context = jobs.Context(store, Bell(), Settings(blobs=tmp_path / "blobs"), worker_name="w1")
    job_id, uid = submit(context, executor="auto", optimizers=["adam", "sgd"])
    jobs.plan_round(context, job_id)
    begun = view(context, uid)
    assert (begun.executor, begun.spec.only_solo) == ("solo", None)
    assert begun.probe is not None
    assert set(begun.probe) == {"solo"}


def test_a_job_keeps_the_reason(
    store: Store, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, make_workload: MakeWorkload
) -> None:
    made = _with(make_workload("wine", "linear"), Counting)
    monkeypatch.setattr(workload, "build", lambda *_, **__: made)
    context = jobs.Context(store, Bell(), Settings(blobs=tmp_path / "blobs"), worker_name="w1")
    job_id, uid = submit(context, executor="auto", optimizers=["adam", "sgd"])
    assert view(context, uid).spec.only_solo is None
    jobs.plan_round(context, job_id)
    begun = view(context, uid)
    assert (begun.executor, begun.probe) == ("solo", None)
    assert begun.spec.only_solo is not None
    assert set(begun.spec.only_solo) == {"adam", "sgd"}
    assert "apart in a stack and alone" in begun.spec.only_solo["sgd"]
    answer_all(context)
    ended = view(context, uid)
    assert (ended.state, ended.spec.only_solo) == (JobState.SUCCEEDED, begun.spec.only_solo)

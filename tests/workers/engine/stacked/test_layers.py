"""Jobs with networks of their own layers: both executors agree, and a stack can be left and resumed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import TrialPlan, TrialResult
from whichopt.workers.engine.solo import SoloExecutor, TrialRun
from whichopt.workers.engine.stacked.apart import apart, made_of_layers
from whichopt.workers.engine.stacked.executor import StackedExecutor
from whichopt.workers.engine.stacked.nets import Mapped
from whichopt.workers.engine.stacked.rehearsal import rehearsal
from whichopt.workers.engine.stacked.stack import Stack
from whichopt.workers.workload import Workload

MakeWorkload = Callable[..., Workload]
MakePlan = Callable[..., TrialPlan]

OUT = {"type": "linear", "out": "outputs"}
BLOCK = {"type": "residual", "layers": [{"type": "linear", "out": 12}, "batch_norm", "relu"]}
CONV = {"type": "conv2d", "out": 4, "padding": 1}
IMAGE_BLOCK = {"type": "residual", "layers": [CONV, "batch_norm", "relu", CONV, "batch_norm"]}

NETWORKS: dict[str, tuple[str, list[Any]]] = {
    **{
        name: ("wine", [{"type": "linear", "out": 12}, name, OUT])
        for name in ("batch_norm", "layer_norm", "relu", "gelu", "silu", "tanh", "dropout")
    },
    "group_norm": ("wine", [{"type": "linear", "out": 12}, {"type": "group_norm", "groups": 3}, OUT]),
    "without bias": ("wine", [{"type": "linear", "out": 12, "bias": False}, "batch_norm", "relu", OUT]),
    "residual": ("wine", [{"type": "linear", "out": 12}, BLOCK, BLOCK, OUT]),
    "batch norm and dropout": ("wine", [{"type": "linear", "out": 12}, "batch_norm", "dropout", BLOCK, OUT]),
    "conv2d": ("digits", ["unflatten", {"type": "conv2d", "out": 4, "stride": 2}, "relu", "flatten", OUT]),
    "max_pool2d": ("digits", ["unflatten", CONV, "max_pool2d", "mean_pool", OUT]),
    "avg_pool2d": (
        "digits",
        ["unflatten", CONV, {"type": "avg_pool2d", "kernel": 3, "padding": 1}, "flatten", OUT],
    ),
    "norms of images": (
        "digits",
        [
            "unflatten",
            CONV,
            "batch_norm",
            "layer_norm",
            {"type": "group_norm", "groups": 2},
            "silu",
            "mean_pool",
            OUT,
        ],
    ),
    "residual of images": (
        "digits",
        ["unflatten", CONV, IMAGE_BLOCK, "max_pool2d", IMAGE_BLOCK, "mean_pool", OUT],
    ),
}

every_network = pytest.mark.parametrize(("dataset", "layers"), NETWORKS.values(), ids=NETWORKS)

APART = 2e-4
"""Most that a few steps in float32 make of another order of sums: as a share of the greatest value, some ten
times the roundings (2**-24) of the few hundred terms of a sum, as batch normalization divides by a deviation
that may be small. A mistake in a gradient makes 1e-2 and more."""


def _untimed(results: Sequence[TrialResult]) -> list[TrialResult]:
    return [result.model_copy(update={"seconds": 0.0}) for result in results]


@every_network
def test_it_is_stacked_by_layers_and_agrees_with_solo(
    dataset: str, layers: list[Any], make_workload: MakeWorkload, make_plan: MakePlan
) -> None:
    workload = make_workload(dataset, "layers", layers=layers)
    assert made_of_layers(workload)
    plans = [
        make_plan("sgd", init=init, order=order, split=order) for init, order in ((1, 2), (3, 2), (5, 6))
    ]
    assert apart(workload, plans) < APART


def test_a_bias_before_batch_norm_is_noise_that_adam_follows(
    make_workload: MakeWorkload, make_plan: MakePlan
) -> None:
    """Its gradient is 0 but for rounding, which Adam scales up to a whole step; running means trail behind.
    So no two ways of computing agree closely, and the trial that decides about stacks is one of SGD."""
    plans = [make_plan("adam", init=init) for init in (1, 3)]
    with_bias, without = (
        [{"type": "linear", "out": 12, "bias": bias}, "batch_norm", "relu", OUT] for bias in (True, False)
    )
    assert apart(make_workload("wine", "layers", layers=with_bias), plans) > APART
    assert apart(make_workload("wine", "layers", layers=without), plans) < APART


@pytest.mark.bits
@every_network
def test_a_whole_trial_depends_on_no_company_and_no_interruption(
    dataset: str, layers: list[Any], make_workload: MakeWorkload, make_plan: MakePlan, make_watch: Any
) -> None:
    """Running statistics are saved and loaded with the params, row by row, as a trial leaves its stack."""
    workload = make_workload(dataset, "layers", layers=layers)
    watch = make_watch(keeping=True)
    short = make_plan("adam", length=200, evaluations=(100, 200), init=9)
    plans = [
        make_plan("adam"),
        make_plan("sgd", init=4),
        short,
        make_plan("adabelief", order=7, phase=Phase.CONFIRM),
    ]
    together = _untimed(StackedExecutor().run(workload, plans, watch))
    assert {result.state for result in together} == {TrialState.COMPLETE}
    states = copy.deepcopy(watch.states)
    for plan, result in zip(plans, together, strict=True):
        assert _untimed(StackedExecutor().run(workload, [plan], make_watch())) == [result]
    for state in states:
        assert _untimed(StackedExecutor().run(workload, plans, make_watch(), state)) == together


def test_each_trial_has_running_statistics_of_its_own(
    make_workload: MakeWorkload, make_plan: MakePlan
) -> None:
    """Those of `torch.nn.BatchNorm1d` after the same steps alone; what they evaluate by is theirs."""
    workload = make_workload("wine", "layers", layers=NETWORKS["residual"][1])
    plans = [make_plan("sgd", init=init, order=init) for init in (1, 2, 3)]
    run = rehearsal(workload, plans, block=3)
    run.train(64)
    for row, plan in enumerate(plans):
        alone = TrialRun(workload, plan)
        alone.train(64)
        buffers = dict(alone.model.named_buffers())
        assert set(buffers) == set(run.stack.buffers)
        for name, buffer in buffers.items():
            ours = run.stack.buffers[name][row]
            # Means of sixteen values in float32, after params that differ in their last bits.
            torch.testing.assert_close(ours, buffer, rtol=1e-4, atol=1e-5)
    means = run.stack.buffers["1.1.running_mean"]
    assert not torch.equal(means[0], means[1])


def test_vmap_stacks_batch_norm_too(make_workload: MakeWorkload, make_plan: MakePlan, watch: Any) -> None:
    """The way of networks with a part that has no stacked layer."""
    workload = make_workload("wine", "layers", layers=NETWORKS["residual"][1])
    plans = [make_plan("adam", init=1), make_plan("sgd", init=2)]
    stack = Stack(workload, Mapped(workload.model(0)), plans)
    assert {name for name in stack.buffers if name.endswith("running_mean")} == {
        "1.1.running_mean",
        "2.1.running_mean",
    }
    solo = SoloExecutor().run(workload, plans, watch)
    stacked = StackedExecutor().run(workload, plans, watch)
    for ours, theirs in zip(stacked, solo, strict=True):
        assert ours.value == pytest.approx(theirs.value, rel=1e-3)

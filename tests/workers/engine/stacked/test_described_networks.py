"""Networks that a job describes, with each norm among their layers: the same bits in any company."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import TrialPlan, TrialResult
from whichopt.workers.engine.stacked.executor import StackedExecutor
from whichopt.workers.engine.stacked.nets import Layered, nets
from whichopt.workers.workload import Workload

MakeWorkload = Callable[..., Workload]
MakePlan = Callable[..., TrialPlan]

OUT = {"type": "linear", "out": "outputs"}
DENSE = {"type": "linear", "out": 12, "bias": False}
CONV = {"type": "conv2d", "out": 4, "padding": 1, "bias": False}
DROPOUT = {"type": "dropout", "p": 0.2}

NETWORKS: dict[str, tuple[str, list[Any]]] = {
    "batch norm": (
        "wine",
        [DENSE, {"type": "residual", "layers": ["batch_norm", "relu", DENSE, DROPOUT]}, OUT],
    ),
    "layer norm": (
        "wine",
        [DENSE, {"type": "residual", "layers": ["layer_norm", "gelu", DENSE]}, DROPOUT, OUT],
    ),
    "group norm": ("wine", [DENSE, {"type": "group_norm", "groups": 3}, "silu", DROPOUT, OUT]),
    "every norm, of images": (
        "digits",
        [
            *("unflatten", CONV, "batch_norm", "relu"),
            {"type": "residual", "layers": [CONV, {"type": "group_norm", "groups": 2}, "silu"]},
            *("layer_norm", "max_pool2d", "mean_pool", DROPOUT, OUT),
        ],
    ),
}


def _untimed(results: Sequence[TrialResult]) -> list[TrialResult]:
    return [result.model_copy(update={"seconds": 0.0}) for result in results]


@pytest.mark.bits
@pytest.mark.parametrize(("dataset", "layers"), NETWORKS.values(), ids=NETWORKS)
def test_company_changes_no_bit(
    dataset: str, layers: list[Any], make_workload: MakeWorkload, make_plan: MakePlan, watch: Any
) -> None:
    """Not even if a neighbor explodes, or leaves early, or has its running statistics full of NaN."""
    workload = make_workload(dataset, "layers", layers=layers)
    assert isinstance(nets(workload), Layered)
    changes = {"length": 150, "evaluations": (100, 150), "phase": Phase.CONFIRM, "batch_size": 16}
    ours = [make_plan(name, **changes) for name in ("adam", "adabelief", "sgd")]
    exploding = make_plan("sgd", config={"lr": 1e30}, **changes)
    others = [make_plan(name, init=9, order=i, **changes) for i, name in enumerate(["adamw", "sgd", "adam"])]
    alone = [_untimed(StackedExecutor().run(workload, [plan], watch))[0] for plan in ours]
    assert {result.state for result in alone} == {TrialState.COMPLETE}
    for company in ([exploding], others, [*others, exploding, *others]):
        found = StackedExecutor().run(workload, [*company, *ours], watch)
        assert (TrialState.DIVERGED in {result.state for result in found}) == (exploding in company)
        assert _untimed(found[len(company) :]) == alone

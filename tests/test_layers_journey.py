"""A network by its layers goes through REST to a verdict, with real processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.builders.homes import Embedded
from whichopt.service.client.errors import ProblemError
from whichopt.service.evidence.report.verify import verify
from whichopt.service.states import JobState

pytestmark = pytest.mark.journey

OUT = {"type": "linear", "out": "outputs"}
CONV = {"type": "conv2d", "out": 4, "padding": 1}
NETWORKS: dict[str, list[Any]] = {
    "digits": [
        *("unflatten", CONV, "batch_norm", "relu"),
        {"type": "residual", "layers": [CONV, "batch_norm", "relu", CONV, "batch_norm"]},
        *("relu", "max_pool2d", "mean_pool", OUT),
    ],
    "wine": [
        {"type": "linear", "out": 16},
        {"type": "residual", "layers": [{"type": "linear", "out": 16}, "batch_norm", "silu", "dropout"]},
        OUT,
    ],
}


def body(dataset: str, layers: list[Any]) -> dict[str, Any]:
    return {
        "workload": {"dataset": dataset, "model": {"name": "layers", "layers": layers}},
        "optimizers": ["adabelief", "sgd"],
        "budget": {"trials": 4, "replicates": 2, "epochs": 1, "confirm_seeds": 3},
        "executor": "stacked",
        "kernels": "torch",
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    started = Embedded(tmp_path_factory.mktemp("data"), workers=2)
    yield started
    started.stop()


@pytest.mark.parametrize("dataset", NETWORKS)
def test_a_residual_network_with_batch_norm_is_stacked_to_a_verdict(home: Embedded, dataset: str) -> None:
    job = home.client.submit(body(dataset, NETWORKS[dataset]))
    found = home.finish(job)
    ended = home.client.job(job.id)
    assert (ended.state, ended.executor) == (JobState.SUCCEEDED, "stacked")
    assert found.optimizer in ("adabelief", "sgd")
    assert found.snippet is not None
    assert "class Residual(torch.nn.Sequential):" in found.snippet
    assert verify(home.client.report(job.id)).outcome == "confirmed"


def test_a_wrong_layer_is_named_before_anything_is_queued(home: Embedded) -> None:
    layers = [
        {"type": "linear", "out": 16},
        {"type": "residual", "layers": ["relu", {"type": "linear", "out": 8}]},
        OUT,
    ]
    with pytest.raises(ProblemError) as refused:
        home.client.submit(body("wine", layers))
    assert "workload.model.layers.1.layers.1: a residual block" in str(refused.value)
    assert "must give 16 features, and it gives 8 features" in str(refused.value)

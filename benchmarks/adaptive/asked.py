"""The races as data: growing batches against searched ones, at equal examples and at equal seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.shared.asked_races import Asked

BATCHES: Mapping[str, Any] = {"type": "categorical", "choices": [16, 32, 64, 128, 256]}
"""The batch sizes that the others may have; powers of two, so that trials share their stacks."""

OPTIMIZERS: tuple[str | Mapping[str, Any], ...] = (
    "adadagrad",
    "adadagradnorm",
    *({"name": name, "space": {"batch_size": BATCHES}} for name in ("adagrad", "adagradnorm", "sgd", "adam")),
)

PAPER = (
    "Batches that grow make training more efficient and the model generalize better; shown on images, with "
    "learning rates that were set by hand"
)

REGRESSION: Mapping[str, Any] = {"dataset": "digits", "model": "linear"}
NETWORK: Mapping[str, Any] = {"dataset": "mnist1d", "model": {"name": "mlp", "hidden": [64]}}

EXAMPLES: Mapping[str, Any] = {"trials": 36, "replicates": 3, "epochs": 15, "confirm_seeds": 10}
SECONDS: Mapping[str, Any] = {"minutes": 4, "replicates": 3, "epochs": 15, "confirm_seeds": 10}


def _race(name: str, workload: Mapping[str, Any], budget: Mapping[str, Any]) -> Asked:
    return Asked(name, {"workload": workload, "budget": budget}, OPTIMIZERS, paper=PAPER, beside="accuracy")


RACES = (
    _race("digits, logistic regression, equal examples", REGRESSION, EXAMPLES),
    _race("digits, logistic regression, equal seconds", REGRESSION, SECONDS),
    _race("mnist1d, mlp, equal examples", NETWORK, EXAMPLES),
    _race("mnist1d, mlp, equal seconds", NETWORK, SECONDS),
)

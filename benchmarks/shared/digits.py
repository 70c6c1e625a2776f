"""Jobs on the digits that several benchmarks train: three models, and how much of each is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from whichopt.service.spec import JobSpec, ResolvedSpec, resolve

OPTIMIZERS = ("adabelief", "sgd", "adam", "adamw")


@dataclass(frozen=True)
class Size:
    """A model on the digits, and how much of it is trained; `trials` are those of all optimizers."""

    model: dict[str, Any]
    batch_size: int
    epochs: int
    trials: int


SIZES = {
    "mlp": Size({"name": "mlp", "hidden": [128, 64]}, batch_size=32, epochs=10, trials=120),
    "cnn": Size({"name": "cnn", "channels": [16, 32]}, batch_size=32, epochs=5, trials=48),
    "wide": Size({"name": "mlp", "hidden": [512, 512, 512]}, batch_size=64, epochs=4, trials=32),
}


def job(name: str, *, trials: int | None = None, seed: int = 0, executor: str = "auto") -> dict[str, Any]:
    """The job spec that is sent to the service, and that the other rows follow without it."""
    size = SIZES[name]
    each = (trials or size.trials) // len(OPTIMIZERS)
    return {
        "name": name,
        "workload": {"dataset": {"name": "digits"}, "model": size.model},
        "optimizers": list(OPTIMIZERS),
        "budget": {"trials": each, "replicates": 1, "epochs": size.epochs, "confirm_seeds": 3},
        "batch_size": size.batch_size,
        "pruning": {"worst": 0},
        "executor": executor,
        "seed": seed,
    }


def resolved(body: dict[str, Any]) -> ResolvedSpec:
    return resolve(JobSpec.model_validate(body))

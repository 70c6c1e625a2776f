"""A training function on handwritten digits: as a person has it around Optuna, and as whichopt has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.optim import Optimizer

from adabelief import AdaBelief
from whichopt.workers.guests.run import Run

_DIGITS = load_digits()
X = torch.tensor(_DIGITS.data, dtype=torch.float32) / 16
Y = torch.tensor(_DIGITS.target)

MAKE: dict[str, Callable[..., Optimizer]] = {
    "adabelief": AdaBelief,
    "adamw": torch.optim.AdamW,
    "sgd": lambda params, **config: torch.optim.SGD(params, momentum=0.9, **config),
}
"""The optimizers. Of each the learning rate and the weight decay are searched."""

FIXED: dict[str, dict[str, float | bool]] = {
    "adabelief": {"beta1": 0.9, "beta2": 0.999, "eps": 1e-16, "rectify": False},
    "adamw": {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    "sgd": {"momentum": 0.9, "nesterov": False},
}
"""What the others of the catalog's hyperparameters are: the classes' own defaults, but for SGD's momentum."""

LR, DECAY = (1e-4, 1e-1), (1e-5, 1e-1)


def before(name: str, lr: float, weight_decay: float, *, epochs: int, seed: int) -> Iterator[float]:
    """Train as a person does, and yield the validation loss after each epoch; nothing is reported."""
    torch.manual_seed(seed)
    _, validation, fitted = torch.split(torch.randperm(len(Y)), [360, 359, 1078])
    model = network()
    optimizer = MAKE[name](model.parameters(), lr=lr, weight_decay=weight_decay)
    for _ in range(epochs):
        epoch(model, optimizer, fitted)
        yield score(model, validation)


def after(run: Run) -> None:
    """Train as whichopt has it."""
    rows, validation = run.split(len(Y))
    fitted = torch.tensor(rows)
    model = network()
    optimizer = run.optimizer(model)
    for _ in run.epochs:
        epoch(model, optimizer, fitted)
        run.report(nll=score(model, validation))
    run.test(lambda test: score(model, test))


def optimizers() -> list[dict[str, Any]]:
    """Return what `tune` is asked for: the same two hyperparameters of the same optimizers."""
    space = {
        "lr": {"type": "float", "low": LR[0], "high": LR[1], "log": True},
        "weight_decay": {"type": "float", "low": DECAY[0], "high": DECAY[1], "log": True},
    }
    return [{"name": name, "space": {**space, **FIXED[name]}} for name in MAKE]


def network() -> nn.Module:
    """Return a small network with batch norm and dropout."""
    return nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))


def epoch(model: nn.Module, optimizer: Optimizer, rows: torch.Tensor) -> None:
    """Train for an epoch."""
    model.train()
    for batch in torch.split(rows[torch.randperm(len(rows))], 64):
        optimizer.zero_grad()
        torch.autograd.backward(F.cross_entropy(model(X[batch]), Y[batch]))
        optimizer.step()


@torch.no_grad()
def score(model: nn.Module, rows: Sequence[int] | torch.Tensor) -> float:
    """Return the loss of these rows."""
    model.eval()
    return F.cross_entropy(model(X[rows]), Y[rows]).item()

"""The learning tasks: for each one the loss, the metrics, and the constant predictor of a model's outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

Labels = npt.NDArray[Any]


@dataclass(frozen=True)
class Criteria:
    """A task as functions of outputs (N, outputs) and of targets as the model is given them.

    `loss` is the mean over the batch: of outputs (..., N, outputs), a loss (...) each; `slope` gives the
    losses and their gradients, each in its outputs, to the bit as autograd would. `metrics` are those
    of the catalog's entry, by name, each a float64 tensor without dimensions; its `unit` is what 1 of a
    target is in the targets' own units. `constant` is the row of outputs (outputs,) that suits all the given
    targets best. `encode` turns the labels of all examples, and those of the training split alone, into
    targets and their unit. `strata` are what a division keeps the shares of; None if there is nothing to
    keep.
    """

    loss: Callable[[Tensor, Tensor], Tensor]
    slope: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    metrics: Callable[[Tensor, Tensor, float], dict[str, Tensor]]
    constant: Callable[[Tensor, int], Tensor]
    encode: Callable[[Labels, Labels], tuple[Tensor, float]]
    strata: Callable[[Labels], Labels | None]


def _cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    # As F.cross_entropy but for the last bits; that takes five times as long where there are few classes.
    chosen = outputs.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return (outputs.logsumexp(dim=-1) - chosen).mean(dim=-1)


def _cross_entropy_slope(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    chosen, share = targets.unsqueeze(-1), 1 / targets.shape[-1]
    total = outputs.logsumexp(dim=-1, keepdim=True)
    losses = (total - outputs.gather(-1, chosen)).squeeze(-1).mean(dim=-1)
    slope = torch.sub(outputs, total).exp_().mul_(share)
    return losses, slope.scatter_add_(-1, chosen, outputs.new_full((), -share).expand(chosen.shape))


def _squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.mse_loss(outputs, targets, reduction="none").mean(dim=(-2, -1))


def _squared_error_slope(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    off = outputs - targets
    return off.square().mean(dim=(-2, -1)), off.mul_(2 / (off.shape[-2] * off.shape[-1]))


def _classification_metrics(outputs: Tensor, targets: Tensor, unit: float) -> dict[str, Tensor]:  # noqa: ARG001
    hits = outputs.argmax(dim=-1) == targets
    return {"nll": F.cross_entropy(outputs.double(), targets), "accuracy": hits.double().mean()}


def _log_frequencies(targets: Tensor, outputs: int) -> Tensor:
    # A class without an example counts as half a one, or its first appearance would cost infinitely much.
    return torch.bincount(targets, minlength=outputs).double().clamp_min(0.5).log()


def _classes(labels: Labels, training: Labels) -> tuple[Tensor, float]:  # noqa: ARG001
    return torch.from_numpy(labels.astype(np.int64)), 1.0


def _regression_metrics(outputs: Tensor, targets: Tensor, unit: float) -> dict[str, Tensor]:
    wanted = targets.double()
    squares = (outputs.double() - wanted).square().mean()
    return {"rmse": squares.sqrt() * unit, "r2": 1 - squares / wanted.var(correction=0)}


def _mean(targets: Tensor, outputs: int) -> Tensor:  # noqa: ARG001
    return targets.double().mean(dim=0)


def _standardized(labels: Labels, training: Labels) -> tuple[Tensor, float]:
    unit = float(training.std()) or 1.0
    targets = (labels - training.mean()) / unit
    return torch.from_numpy(targets.astype(np.float32)).reshape(len(labels), -1), unit


CRITERIA: Mapping[str, Criteria] = {
    "classification": Criteria(
        loss=_cross_entropy,
        slope=_cross_entropy_slope,
        metrics=_classification_metrics,
        constant=_log_frequencies,
        encode=_classes,
        strata=lambda labels: labels,
    ),
    "regression": Criteria(
        loss=_squared_error,
        slope=_squared_error_slope,
        metrics=_regression_metrics,
        constant=_mean,
        encode=_standardized,
        strata=lambda _: None,
    ),
}

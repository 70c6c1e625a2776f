"""The learning tasks: for each one the loss, the metrics, and the constant predictor of a model's outputs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from whichopt.workers.workload.criteria import Criteria, Labels
from whichopt.workers.workload.language import LANGUAGE
from whichopt.workers.workload.metrics import (
    by_example_of_classes,
    by_example_of_numbers,
    of_classes,
    of_numbers,
)
from whichopt.workers.workload.quadratic import MINIMIZATION


def _cross_entropy(outputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    # As F.cross_entropy but for the last bits; that takes five times as long where there are few classes.
    chosen = outputs.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    losses = outputs.logsumexp(dim=-1) - chosen
    if weights is None:
        return losses.mean(dim=-1)
    return (losses * weights).sum(dim=-1) / weights.sum(dim=-1)


def _cross_entropy_slope(
    outputs: Tensor, targets: Tensor, weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    chosen = targets.unsqueeze(-1)
    total = outputs.logsumexp(dim=-1, keepdim=True)
    losses = (total - outputs.gather(-1, chosen)).squeeze(-1)
    slope = torch.sub(outputs, total).exp_()
    if weights is None:
        share = 1 / targets.shape[-1]
        off = outputs.new_full((), -share).expand(chosen.shape)
        return losses.mean(dim=-1), slope.mul_(share).scatter_add_(-1, chosen, off)
    whole = weights.sum(dim=-1, keepdim=True)
    shares = (weights * whole.reciprocal()).unsqueeze(-1)
    return (losses * weights).sum(dim=-1) / whole.squeeze(-1), slope.mul_(shares).scatter_add_(
        -1, chosen, -shares
    )


def _balanced(targets: Tensor) -> Tensor:
    """As scikit-learn has it: the number of examples over that of classes and over that of the own class."""
    counts = torch.bincount(targets).double()
    own = len(targets) / (counts.count_nonzero() * counts)
    return own.float().index_select(0, targets)


def _squared_error(outputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:  # noqa: ARG001
    return F.mse_loss(outputs, targets, reduction="none").mean(dim=(-2, -1))


def _squared_error_slope(
    outputs: Tensor,
    targets: Tensor,
    weights: Tensor | None = None,  # noqa: ARG001
) -> tuple[Tensor, Tensor]:
    off = outputs - targets
    return off.square().mean(dim=(-2, -1)), off.mul_(2 / (off.shape[-2] * off.shape[-1]))


def _log_frequencies(targets: Tensor, outputs: int) -> Tensor:
    # A class without an example counts as half a one, or its first appearance would cost infinitely much.
    return torch.bincount(targets, minlength=outputs).double().clamp_min(0.5).log()


def _classes(labels: Labels, training: Labels) -> tuple[Tensor, float]:  # noqa: ARG001
    return torch.from_numpy(labels.astype(np.int64)), 1.0


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
        metrics=of_classes,
        by_example=by_example_of_classes,
        followed=("nll", "accuracy"),
        constant=_log_frequencies,
        encode=_classes,
        strata=lambda labels: labels,
        balanced=_balanced,
    ),
    "regression": Criteria(
        loss=_squared_error,
        slope=_squared_error_slope,
        metrics=of_numbers,
        by_example=by_example_of_numbers,
        followed=("rmse", "r2"),
        constant=_mean,
        encode=_standardized,
        strata=lambda _: None,
    ),
    "language": LANGUAGE,
    "minimization": MINIMIZATION,
}

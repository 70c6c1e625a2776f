"""The metrics are scikit-learn's, with ties, with classes that are missing, and with one class alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from torch import Tensor

from whichopt.service.catalog.metrics import CLASSIFICATION, REGRESSION
from whichopt.workers.workload import metrics
from whichopt.workers.workload.metrics import of_classes, of_numbers
from whichopt.workers.workload.tasks import CRITERIA

NAMES = {
    task: tuple(one.name for one in of) for task, of in (("classes", CLASSIFICATION), ("numbers", REGRESSION))
}
EXACT = 1e-12
"""Both are float64 throughout: the roundings of some hundred terms."""


def _classes(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    found = of_classes(outputs, targets, 1.0, NAMES["classes"])
    assert tuple(found) == NAMES["classes"]
    assert all(value.dtype is torch.float64 and value.shape == () for value in found.values())
    return {name: value.item() for name, value in found.items()}


def _scikit(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """The same by scikit-learn, each class against the rest by itself."""
    scores = torch.log_softmax(outputs.double(), dim=-1).numpy()
    truth, guesses, width = targets.numpy(), outputs.argmax(dim=-1).numpy(), outputs.shape[1]
    there = np.unique(truth)
    both = [k for k in there if (truth != k).any()]
    return {
        "nll": sk.log_loss(truth, np.exp(scores), labels=range(width)) if width > 1 else 0.0,
        "accuracy": sk.accuracy_score(truth, guesses),
        "balanced_accuracy": sk.recall_score(truth, guesses, labels=there, average="macro", zero_division=0),
        "macro_f1": sk.f1_score(truth, guesses, labels=there, average="macro", zero_division=0),
        "roc_auc": np.mean([sk.roc_auc_score(truth == k, scores[:, k]) for k in both]) if both else 0.5,
        "average_precision": np.mean([sk.average_precision_score(truth == k, scores[:, k]) for k in there]),
    }


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("width", [2, 3, 10])
@pytest.mark.parametrize("kind", ["floats", "ties", "missing", "one class", "rare"])
def test_classes(kind: str, width: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    size = 4 + 37 * seed
    outputs = 3 * torch.randn(size, width, generator=random)
    targets = torch.randint(width, (size,), generator=random)
    if kind == "ties":
        outputs = outputs.round()
    if kind == "missing":
        targets[targets == seed % width] = (seed + 1) % width
    if kind == "one class":
        targets[:] = seed % width
    if kind == "rare":
        targets[:] = 0
        targets[seed % size] = width - 1
    found, wanted = _classes(outputs, targets), _scikit(outputs, targets)
    assert found == pytest.approx(wanted, rel=EXACT, abs=EXACT)


def test_the_areas_are_the_plain_ones_of_scikit_learn() -> None:
    """Without a class that is missing they are what its own averages give: two classes have one area."""
    random = torch.Generator().manual_seed(3)
    for width in (2, 4):
        outputs = 2 * torch.randn(90, width, generator=random)
        targets = torch.arange(90) % width
        chances = outputs.double().softmax(dim=-1).numpy()
        found = _classes(outputs, targets)
        if width == 2:
            assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(targets, chances[:, 1]), rel=EXACT)
        else:
            area = sk.roc_auc_score(targets, chances, multi_class="ovr")
            assert found["roc_auc"] == pytest.approx(area, rel=EXACT)
            precision = sk.average_precision_score(targets, chances)
            assert found["average_precision"] == pytest.approx(precision, rel=EXACT)
        assert found["balanced_accuracy"] == pytest.approx(
            sk.balanced_accuracy_score(targets, outputs.argmax(dim=-1)), rel=EXACT
        )


def test_how_many_are_ranked_at_once_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    random = torch.Generator().manual_seed(1)
    outputs, targets = torch.randn(60, 7, generator=random).round(), torch.randint(7, (60,), generator=random)
    whole = _classes(outputs, targets)
    for most in (1, 60, 130):
        monkeypatch.setattr(metrics, "RANKED_AT_ONCE", most)
        assert _classes(outputs, targets) == whole


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("width", [1, 3])
def test_numbers(width: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    outputs, targets = torch.randn(2, 50, width, generator=random)
    found = {
        name: value.item() for name, value in of_numbers(outputs, targets, 2.5, NAMES["numbers"]).items()
    }
    truth, guess = (part.double().flatten().numpy() for part in (targets, outputs))
    wanted = {
        "rmse": 2.5 * sk.root_mean_squared_error(truth, guess),
        "mae": 2.5 * sk.mean_absolute_error(truth, guess),
        "r2": sk.r2_score(truth, guess),
    }
    assert found == pytest.approx(wanted, rel=EXACT)


@pytest.mark.parametrize("met", [True, False])
def test_r2_of_targets_that_are_all_equal_is_finite(met: bool) -> None:
    targets = torch.full((5, 1), 0.25)
    outputs = targets if met else targets + 1
    assert of_numbers(outputs, targets, 1.0, ["r2"])["r2"].item() == sk.r2_score(targets, outputs) == met


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_outputs_that_are_not_finite_are_seen(wrong: float) -> None:
    """By a metric that is computed at every evaluation, whatever the job is judged by."""
    outputs, targets = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])
    outputs[1] = wrong
    assert not of_classes(outputs, targets, 1.0, CRITERIA["classification"].followed)["nll"].isfinite()
    assert not of_numbers(outputs, outputs.nan_to_num(), 1.0, CRITERIA["regression"].followed)[
        "rmse"
    ].isfinite()
    _classes(outputs, targets)  # the others have a value or none, but raise nothing


@pytest.mark.parametrize("sizes", [(10, 10), (18, 2), (7, 7, 6), (30, 5, 5)])
def test_what_a_constant_predictor_scores(sizes: tuple[int, ...]) -> None:
    """As the catalog says in words."""
    targets, width = torch.repeat_interleave(torch.tensor(sizes)), len(sizes)
    row = CRITERIA["classification"].constant(targets, width)
    found = _classes(row.expand(len(targets), width), targets)
    most = max(sizes) / sum(sizes)
    assert found["accuracy"] == pytest.approx(most)
    assert found["balanced_accuracy"] == pytest.approx(1 / width)
    assert found["macro_f1"] == pytest.approx(2 * most / (1 + most) / width)
    assert found["roc_auc"] == 0.5
    assert found["average_precision"] == pytest.approx(1 / width)
    assert found["nll"] == pytest.approx(-sum(n * math.log(n / sum(sizes)) for n in sizes) / sum(sizes))

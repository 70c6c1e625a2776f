"""The lines that docs/own-training-function.md shows for Accelerate and skorch train as they stand there."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from tests.builders.trials import spec_of
from whichopt.service.goal import Goal
from whichopt.service.states import Direction
from whichopt.workers.guests.by_hand import run
from whichopt.workers.guests.executor import GuestExecutor
from whichopt.workers.guests.guest import Guest
from whichopt.workers.guests.rehearsal import rehearse

PAGE = Path(__file__).parent.parent.parent / "docs" / "own-training-function.md"

pytestmark = pytest.mark.filterwarnings("ignore")  # of the frameworks, about themselves

drawn = torch.Generator().manual_seed(0)
X = torch.randn(200, 4, generator=drawn)
DATA = TensorDataset(X, (X[:, 0] > X[:, 1]).long())


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.layers(x)
        return made


def score(model: nn.Module, part: Any) -> float:
    model.eval()
    with torch.no_grad():
        x, t = next(iter(DataLoader(part, len(part))))
        return F.cross_entropy(model(x), t).item()


def shown(mark: str) -> Callable[[Any], None]:
    """Return a training function whose lines are the block of the page that has the mark."""
    blocks = re.findall(r"```py\n(.*?)\n```", PAGE.read_text(), flags=re.DOTALL)
    (lines,) = [block for block in blocks if mark in block]
    names = {"Net": Net, "data": DATA, "score": score, "nn": nn, "F": F, "DataLoader": DataLoader}
    exec(f"def train(run):\n{textwrap.indent(lines, '    ')}", names)
    train: Callable[[Any], None] = names["train"]  # type: ignore[assignment]
    return train


@pytest.mark.parametrize(
    ("package", "mark", "metric"),
    [("accelerate", "accelerator.prepare(", "nll"), ("skorch", "NeuralNetClassifier(", "valid_loss")],
    ids=["accelerate", "skorch"],
)
def test_the_lines_train(package: str, mark: str, metric: str) -> None:
    pytest.importorskip(package)
    train = shown(mark)
    by_hand = run(optimizer="adamw", lr=1e-2, epochs=3, minimize=metric)
    train(by_hand)
    first, *_, last = (metrics[metric] for metrics in by_hand.reports)
    assert last < first, "it is our optimizer that steps"
    assert by_hand.scores is not None
    guest = Guest(package, Goal(metrics=(metric,), direction=Direction.MINIMIZE), train)
    told = rehearse(guest, spec_of("adamw", "sgd").optimizers, GuestExecutor(processes=2))
    assert told.findings == ()
    assert (told.judged_on, told.repeats, told.paired) == ("split", "bits", True)

"""The same training twice: as a person wrote it, and as whichopt is handed it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from whichopt.workers.guests.run import Run

ROWS = 256
X = torch.randn(ROWS, 16, generator=torch.Generator().manual_seed(0))
Y = X.sum(1, keepdim=True)
EPOCHS = 3


def model() -> nn.Module:
    """Return a small network."""
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1))


def epoch(net: nn.Module, optimizer: torch.optim.Optimizer) -> float:
    """Train for an epoch and return the loss of all rows."""
    for batch in torch.randperm(ROWS).chunk(8):
        optimizer.zero_grad()
        torch.autograd.backward(F.mse_loss(net(X[batch]), Y[batch]))
        optimizer.step()
    with torch.no_grad():
        return F.mse_loss(net(X), Y).item()


def before() -> None:
    """Train as the person did."""
    torch.manual_seed(0)
    net = model()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    for _ in range(EPOCHS):
        epoch(net, optimizer)


def after(run: Run) -> None:
    """Train as whichopt has it."""
    net = model()
    optimizer = run.optimizer(net)
    for _ in run.epochs:
        run.report(loss=epoch(net, optimizer))


def nothing(run: Run) -> None:
    """Report, and nothing else."""
    run.report(loss=1.0)

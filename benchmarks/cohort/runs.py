"""What the rows of `benchmarks.cohort` share: the plain training loop, and what a row gives.

Every row trains the trials that a job's spec asks for: the same number per optimizer, the catalog's spaces,
model, init, order of examples, splits, batch size, epochs and schedule of the search's one replicate.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Optimizer

from whichopt.service.catalog import optimizers
from whichopt.service.planning.rounds import next_round
from whichopt.service.space import Config
from whichopt.service.spec import ResolvedSpec
from whichopt.service.trials import TrialPlan
from whichopt.workers import workload
from whichopt.workers.engine.optimizers import optimizer_class
from whichopt.workers.engine.schedule import factor
from whichopt.workers.sampler import suggest
from whichopt.workers.workload import Workload, order


@dataclass(frozen=True)
class Outcome:
    """What one row gave in one repeat.

    `best` and `defaults` are validation values by optimizer: of the best trial, and of the first one, which
    trains the same setting in every row.
    """

    workload: str
    row: str
    repeat: int
    seconds: float | None
    trials: int = 0
    best: dict[str, float] = field(default_factory=dict)
    defaults: dict[str, float] = field(default_factory=dict)
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def best_value(self) -> float | None:
        return min(self.best.values(), default=None)


class Training:
    """The trials of a job, one at a time, in the loop that a user would write.

    Example:
        >>> spec = resolved(job("mlp", trials=4))
        >>> min(Training(spec).epochs("adamw", spec.optimizer("adamw").default))
    """

    def __init__(self, spec: ResolvedSpec, *, fused: bool = False) -> None:
        first = next_round(spec, [], suggest)
        assert first is not None
        self.plan: TrialPlan = first.cohorts[0][0]
        self.spec = spec
        self.fused = fused
        self.workload: Workload = workload.build(spec.cataloged)

    def warm_up(self) -> None:
        """Trains an epoch with each optimizer, so that whatever is made once is made."""
        for chosen in self.spec.optimizers:
            next(self.epochs(chosen.label, chosen.default))

    def value(self, label: str, config: Config) -> float:
        """The validation value at the last step; infinite where the loss was not finite."""
        *_, last = self.epochs(label, config)
        return last

    def epochs(self, label: str, config: Config) -> Iterator[float]:
        """The validation value after each epoch. Where the loss is not finite it is inf, and the last."""
        plan = self.plan
        splits = self.workload.splits(plan.seeds.split)
        inputs, targets, validation = splits.train.inputs, splits.train.targets, splits.validation
        model = self.workload.model(plan.seeds.init)
        optimizer = self._optimizer(label, config, model)
        (group,) = optimizer.param_groups
        lr = group["lr"]
        points = list(plan.evaluations)
        seen, total = 0, torch.zeros(())
        model.train()
        rows = order(plan.seeds.order, len(targets), 0, plan.length)
        for batch in torch.split(rows, plan.training.batch_size):
            group["lr"] = lr * factor(plan.training.schedule, seen + len(batch) / 2, plan.length)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(inputs[batch]), targets[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.detach()
            seen += len(batch)
            if seen >= points[0]:
                del points[0]
                value = _nll(model, validation.inputs, validation.targets)
                finite = math.isfinite(value) and math.isfinite(total.item())
                yield value if finite else math.inf
                if not finite:
                    return

    def _optimizer(self, label: str, config: Config, model: nn.Module) -> Optimizer:
        """The class with its own defaults, or fused where it can be and that was asked for."""
        entry = optimizers.optimizer(self.spec.optimizer(label).name)
        make = optimizer_class(entry.build.target)
        arguments: dict[str, Any] = {**entry.arguments(config), **entry.build.fixed}
        if self.fused and "fused" in inspect.signature(make).parameters:
            arguments["fused"] = True
        return make(model.parameters(), **arguments)


@torch.no_grad()
def _nll(model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> float:
    model.eval()
    value = F.cross_entropy(model(inputs).double(), targets).item()
    model.train()
    return value

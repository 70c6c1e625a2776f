"""The executors that are here, by the name that a resolved spec keeps.

No other module outside of `engine/stacked` imports that folder, which may be left out: `STACKING` is None
then, and all trials are trained one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Protocol

import torch
from torch import Tensor

from whichopt.service.trials import TrialPlan
from whichopt.workers.engine import Executor
from whichopt.workers.engine.solo import SoloExecutor
from whichopt.workers.workload import Workload


class NoSuchExecutor(Exception):
    """An executor was asked for that this installation lacks."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"executor {name!r} is not part of this installation, which has: {', '.join(EXECUTORS)}"
        )


class Rehearsal(Protocol):
    """A stack that is trained for a few steps, to see what it costs."""

    def train(self, stop: int) -> Tensor:
        """Train all trials until each has seen `stop` examples; return the mean losses."""
        ...

    def scores(self) -> Callable[[int, str, Sequence[str]], Mapping[str, float]]:
        """Return what gives metrics of a trial on a split by their names; it evaluates all trials at once."""
        ...


class Fit(Protocol):
    """Return the number of trials of a stack that fit the memory."""

    @property
    def block(self) -> int:
        """The number of trials that are evaluated at once."""
        ...

    def most(self, device: torch.device) -> int:
        """Return how many trials fit what is free on the device, one at least."""
        ...


class Stacking(Protocol):
    """The part of `whichopt.workers.engine.stacked` that the engine uses."""

    @property
    def StackedExecutor(self) -> Callable[..., Executor]:  # noqa: N802 -- a class that the folder has
        """The executor; `most` limits how many trials it stacks."""
        ...

    def footprint(self, workload: Workload, plans: Sequence[TrialPlan]) -> Fit:
        """Return what memory a trial like these takes, on the average of their optimizers."""
        ...

    def rehearsal(self, workload: Workload, plans: Sequence[TrialPlan], *, block: int) -> Rehearsal:
        """Return a stack of these trials; `block` of them are evaluated at once."""
        ...

    def made_of_layers(self, workload: Workload) -> bool:
        """Return whether every part of the network has a stacked layer."""
        ...

    def apart(self, workload: Workload, plans: Sequence[TrialPlan]) -> float:
        """Return how far apart a few steps in a stack and alone come out; see `TOLERANCE`."""
        ...

    def company_changes_no_bit(self, device: str) -> bool:
        """Return whether a trial's results are the same to the bit in any stack."""
        ...


def _stacking() -> Stacking | None:
    if find_spec("whichopt.workers.engine.stacked") is None:
        return None
    from whichopt.workers.engine import stacked

    return stacked


STACKING = _stacking()
"""The folder that stacks trials; None if this installation lacks it."""

EXECUTORS: Mapping[str, Callable[[], Executor]] = {
    "solo": SoloExecutor,
    **({} if STACKING is None else {"stacked": STACKING.StackedExecutor}),
}

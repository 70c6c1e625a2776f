"""The engine: how plans are trained (`Executor`), and how the outside reaches into a run (`Watch`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from whichopt.service.trials import Point, TrialPlan, TrialResult
from whichopt.workers.workload import Workload

State = dict[str, Any]
"""A cohort's whole state between two evaluations: results so far, params, optimizer states, random
generators, curves. Only tensors, numbers, strings and containers of them, so that `torch.save` keeps it
and `torch.load(weights_only=True)` reads it back."""


class Cancelled(Exception):
    """The watch asked the executor to stop. `results` are in the order of the plans: of the trials that have
    ended, and of those under way, as `cancelled`, with what they had; None for those that had not begun."""

    def __init__(self, results: Sequence[TrialResult | None] = ()) -> None:
        super().__init__("asked to stop")
        self.results = list(results)


class Watch(Protocol):
    """The interface by which the outside reaches a run. The training thread calls it at each evaluation, and
    in between if those lie more than a few seconds apart (`whichopt.workers.engine.beats`)."""

    def cancelled(self) -> bool:
        """Tell if the run should stop now."""
        ...

    def progress(self, position: int, examples: int, curve: Sequence[Point]) -> None:
        """The trial at `position` of the plans has seen `examples`; `curve` is its selection metric on the
        validation split so far."""
        ...

    def checkpoint(self, state: Callable[[], State]) -> None:
        """Offers the cohort's state; the watch calls `state` when it wants to keep it, and keeps it before it
        returns, as the tensors are those in use."""
        ...


class Unwatched:
    """The watch of a run that nobody looks into, as in a REPL."""

    def cancelled(self) -> bool:
        return False

    def progress(self, position: int, examples: int, curve: Sequence[Point]) -> None:
        """Goes nowhere."""

    def checkpoint(self, state: Callable[[], State]) -> None:
        """Is not kept."""


class Trained(NamedTuple):
    """A trial that was trained to its end: its result, and the network's params and buffers by name.

    The tensors are on the CPU; they are those that are evaluated, if the optimizer trains others.
    """

    result: TrialResult
    network: dict[str, Tensor]


class Executor(Protocol):
    """Trains the trials of a cohort.

    Promises: results in the order of the plans; a result is a pure function of its plan and the workload,
    so the company that a trial keeps, divergence beside it, cancellation or a resume change nothing.
    """

    def run(
        self,
        workload: Workload,
        plans: Sequence[TrialPlan],
        watch: Watch,
        resume: State | None = None,
    ) -> list[TrialResult]:
        """Train every plan to its end.

        Args:
            workload: what is trained, on its device.
            plans: the trials, of one workload.
            watch: the interface by which the outside follows the run and stops it.
            resume: a state that `watch.checkpoint` was offered in an earlier run of the same plans. That run
                is taken up there; None begins anew.

        Returns:
            One result a plan, in the order of the plans.

        Raises:
            Cancelled: `watch.cancelled()` became true; raised within one step, or one evaluation, of that.
        """
        ...

    def train(self, workload: Workload, plan: TrialPlan, watch: Watch) -> Trained:
        """Train one plan to its end, and keep its network; the result has the bits that `run` gives.

        Args:
            workload: what is trained, on its device.
            plan: the trial.
            watch: the interface by which the outside follows the run and stops it; no state is offered.

        Raises:
            Cancelled: `watch.cancelled()` became true.
        """
        ...

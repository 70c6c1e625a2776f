"""The executor of a person's training function: a child a trial, or one after another in this process."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from whichopt.service.trials import TrialPlan, TrialResult
from whichopt.workers.engine import State, Watch
from whichopt.workers.guests.account import Account
from whichopt.workers.guests.cohort import Cohort, Means
from whichopt.workers.guests.guest import Guest
from whichopt.workers.guests.scratch import scratch
from whichopt.workers.guests.start import uses_cuda
from whichopt.workers.guests.template import Template, can_be_used

Isolation = Literal["auto", "fork", "spawn", "inline"]


class GuestExecutor:
    """Runs the trials of a person's training function; see `Executor` for what it promises.

    Args:
        processes: trials at once; 1 where the function runs in this process.
        isolation: `fork` copies this process for each trial, `spawn` begins a new one that imports the
            function by its name, `inline` calls it here. `auto` is `spawn` for a name, and for a callable
            `fork` unless that cannot work here.
        stuck_s: seconds without a report after which a trial is ended.
        first_sign_s: seconds until a forked child must have reached the function.
        gpus: what each of the `processes` gets as CUDA_VISIBLE_DEVICES; none is set if it is empty.
        folder: the folder for output and checkpoints while trials run; the system's for such by default.
        copies: whether the clean processes of a name may be copies of one that has loaded torch.
    """

    def __init__(
        self,
        *,
        processes: int = 1,
        isolation: Isolation = "auto",
        stuck_s: float = 600.0,
        first_sign_s: float = 30.0,
        gpus: Sequence[str] = (),
        folder: Path | None = None,
        copies: bool = True,
    ) -> None:
        self.processes = processes
        self.isolation = isolation
        self.stuck_s = stuck_s
        self.first_sign_s = first_sign_s
        self.gpus = tuple(gpus)
        self.folder = folder
        self.template = Template() if copies and not gpus and can_be_used() else None

    def isolated(self, guest: Guest) -> Literal["fork", "spawn", "inline"]:
        """Return the isolation of the function's trials here."""
        if self.isolation != "auto":
            return self.isolation
        if guest.function is None:
            return "spawn"
        return "fork" if sys.platform == "linux" and not uses_cuda() else "inline"

    def run(
        self, workload: Guest, plans: Sequence[TrialPlan], watch: Watch, resume: State | None = None
    ) -> list[TrialResult]:
        """Run every plan to its end; see `Executor.run`.

        Raises:
            Cancelled: `watch.cancelled()` became true.
            FunctionFailed: the function raised, and not for values that are not finite; or its process was
                lost twice. Where it runs in this process, what it raised is raised.
        """
        results = self._run(workload, plans, watch, resume).results
        return [results[position] for position in range(len(plans))]

    def accounts(self, guest: Guest, plans: Sequence[TrialPlan], watch: Watch) -> list[Account]:
        """Run every plan to its end, and return all that was told; see `run`."""
        return self._run(guest, plans, watch, None).accounts

    def end(self) -> None:
        """End the process that clean ones are copies of; the next trial would begin another."""
        if self.template is not None:
            self.template.end()

    def _run(self, guest: Guest, plans: Sequence[TrialPlan], watch: Watch, resume: State | None) -> Cohort:
        means = Means(
            self.isolated(guest),
            self.processes,
            self.stuck_s,
            self.first_sign_s,
            self.gpus,
            self.template,
        )
        with scratch(self.folder) as folder:
            cohort = Cohort(means, guest, plans, watch, folder, resume)
            with _what_is_here_set_aside():
                if means.isolation == "inline":
                    cohort.run_here()
                else:
                    cohort.run_in_children()
        return cohort


@contextlib.contextmanager
def _what_is_here_set_aside() -> Iterator[None]:
    """Have the garbage collector look at what trials make alone.

    Going through all that torch has loaded takes a quarter of a second after each trial, and makes each child
    copy the memory that it shares with this process.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()

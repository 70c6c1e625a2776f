"""Where the functions of jobs run: in children of this process, by what it was given or may import."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

from whichopt.service.spec import ResolvedSpec
from whichopt.workers.engine import Watch
from whichopt.workers.guests.executor import GuestExecutor
from whichopt.workers.guests.guest import Guest, TrainingFunction
from whichopt.workers.guests.rehearsal import Check, rehearse

STUCK = 20.0
"""Times of its slowest rehearsed epoch that a trial may be silent before it is taken to hang: other trials
may have the cores meanwhile, and the first report waits for the data as well."""

LEAST_STUCK_S = 120.0
"""The same at least: a machine that swaps makes short epochs long."""


@dataclass(frozen=True)
class Functions:
    """What a process needs to run the functions of jobs.

    Attributes:
        executor: what runs their trials.
        given: the callable that this process was given; None: functions are imported by their names.
        allow: names that the operator allows; None for a person's own name, which may be a file.
        arguments: the command line of a script.
        check: what is done about a rehearsal's finding that spoils the job.
        is_own: whether the function is that of whoever runs this process. What it raises is then raised here,
            and its job waits for the next call; on workers it fails the job.
    """

    executor: GuestExecutor
    given: TrainingFunction | None = None
    allow: tuple[str, ...] | None = None
    arguments: tuple[str, ...] = ()
    check: Check = "error"
    is_own: bool = False

    def has(self, name: str) -> bool:
        """Tell if the function of that name can be run here."""
        return self.allow is None or name in self.allow

    def guest(self, spec: ResolvedSpec, *, checkpoint_s: float) -> Guest:
        """Return the function of that job."""
        return Guest.of(
            spec,
            self.given,
            allow=self.allow,
            arguments=self.arguments,
            checkpoint_s=checkpoint_s,
        )

    def executor_of(self, spec: ResolvedSpec) -> GuestExecutor:
        """Return the executor for that job: how long a trial may be silent follows from its rehearsal."""
        known = None if spec.guest is None else spec.guest.rehearsed
        if known is None:
            return self.executor
        usual = max(known.epoch_seconds[label] + known.fixed_seconds[label] for label in spec.labels)
        patient = copy(self.executor)
        patient.stuck_s = max(LEAST_STUCK_S, STUCK * usual)
        return patient

    def rehearsed(self, spec: ResolvedSpec, *, watch: Watch | None = None) -> ResolvedSpec:
        """Return the job with what a rehearsal of its function tells; as it is if there was one.

        Raises:
            FunctionFailed: the function raised, or one of the kinds that a rehearsal finds.
            Cancelled: the watch asked to stop.
        """
        if spec.guest is None or spec.guest.rehearsed is not None:
            return spec
        found = rehearse(
            self.guest(spec, checkpoint_s=float("inf")),
            spec.optimizers,
            self.executor,
            schedule=spec.schedule,
            check=self.check,
            watch=watch,
        )
        return spec.model_copy(update={"workload": spec.guest.with_rehearsal(found)})

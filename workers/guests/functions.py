"""Where the functions of jobs run: in children of this process, by what it was given or may import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass

from whichopt.service.guests import Rehearsed
from whichopt.service.settings import Settings
from whichopt.service.spec import ResolvedSpec
from whichopt.service.trials import Point
from whichopt.workers import checkpoints
from whichopt.workers.engine import State, Watch
from whichopt.workers.guests.executor import GuestExecutor
from whichopt.workers.guests.guest import Guest, TrainingFunction
from whichopt.workers.guests.rehearsal import Check, rehearse

STUCK = 20.0
"""Times of its slowest rehearsed epoch that a trial may be silent before it is taken to hang: other trials
may have the cores meanwhile, and the first report waits for the data as well."""

LEAST_STUCK_S = 120.0
"""The same at least: a machine that swaps makes short epochs long."""

TOGETHER_S = 120.0
"""Seconds of training after which it is counted anew how many trials are done: the length of a cohort."""

TOGETHER = (2, 32)
"""Least and most trials of a cohort for each place: what is lost with a process is few, and its results so
far, which are kept every other second, stay short."""


INLINE_LEASE = 2.0
"""Times of its slowest rehearsed epoch that a lease lasts at least, if the function runs in this process."""


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
        tick: called now and then while trials run, in the thread that runs them.
    """

    executor: GuestExecutor
    given: TrainingFunction | None = None
    allow: tuple[str, ...] | None = None
    arguments: tuple[str, ...] = ()
    check: Check = "error"
    is_own: bool = False
    tick: Callable[[], None] | None = None

    def watched(self, watch: Watch) -> Watch:
        """Return the watch, which ticks if somebody wants to know."""
        return watch if self.tick is None else _Ticking(watch, self.tick)

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
        known = _rehearsed(spec)
        if known is None:
            return self.executor
        patient = copy(self.executor)
        patient.stuck_s = max(LEAST_STUCK_S, STUCK * _slowest_epoch(spec, known))
        return patient

    def together(self, spec: ResolvedSpec) -> int:
        """Return how many trials this process takes at a time: minutes of training, two for each place."""
        places = self.executor.processes
        known = None if spec.guest is None else spec.guest.rehearsed
        if known is None:
            return TOGETHER[0] * places
        longest = max(
            known.epoch_seconds[label] * spec.budget.epochs + known.fixed_seconds[label]
            for label in spec.labels
        )
        least, most = TOGETHER
        return places * max(least, int(TOGETHER_S / max(longest, TOGETHER_S / most)))

    def settings_of(self, spec: ResolvedSpec, settings: Settings) -> Settings:
        """Return the settings for that job, whose times follow from its rehearsal.

        Checkpoints of all trials that run at once have their share of the time from the first one on. Where
        the function runs in this process, it may keep the thread that renews the lease from doing so for as
        long as an epoch takes.
        """
        known = _rehearsed(spec)
        if known is None:
            return settings
        keeps_s = self.executor.processes * (known.keep_seconds or 0.0)
        times = {"checkpoint_s": max(settings.checkpoint_s, keeps_s / checkpoints.SHARE)}
        if self.executor.isolated(self.guest(spec, checkpoint_s=0.0)) == "inline":
            times["lease_s"] = max(settings.lease_s, INLINE_LEASE * _slowest_epoch(spec, known))
        return settings.model_copy(update=times)

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
            [spec.optimizer(label) for label in spec.trained_labels],
            self.executor,
            schedule=spec.schedule,
            check=self.check,
            watch=watch,
        )
        return spec.model_copy(update={"workload": spec.guest.with_rehearsal(found)})


@dataclass(frozen=True)
class _Ticking:
    """A watch that ticks as often as it is asked."""

    watch: Watch
    tick: Callable[[], None]

    def cancelled(self) -> bool:
        self.tick()
        return self.watch.cancelled()

    def progress(self, position: int, examples: int, curve: Sequence[Point]) -> None:
        self.watch.progress(position, examples, curve)

    def checkpoint(self, state: Callable[[], State]) -> None:
        self.watch.checkpoint(state)


def _rehearsed(spec: ResolvedSpec) -> Rehearsed | None:
    return None if spec.guest is None else spec.guest.rehearsed


def _slowest_epoch(spec: ResolvedSpec, known: Rehearsed) -> float:
    """Return the seconds of an epoch with the slowest optimizer, and of what comes before and after it."""
    return max(known.epoch_seconds[label] + known.fixed_seconds[label] for label in spec.trained_labels)

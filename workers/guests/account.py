"""The account that the parent keeps of a trial: what its child has told, and the result that follows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from whichopt.service.errors import FunctionFailed, FunctionMute, WhichoptError, kind_of
from whichopt.service.guests import Start
from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import Point, TrialPlan, TrialResult
from whichopt.workers.guests.guest import Guest
from whichopt.workers.guests.pipe import Message

SPLIT = "validation"
"""Name of the split that reports are of."""


class Account:
    """What is known of one trial."""

    def __init__(self, guest: Guest, plan: TrialPlan, reports: Sequence[Sequence[Any]] = ()) -> None:
        self.guest = guest
        self.plan = plan
        self.reports = [list(report) for report in reports]
        """Of each epoch: optimizer steps, its number, its metrics."""
        self.start: Start | None = None
        self.parts: tuple[int, int, int] | None = None
        self.result: dict[str, float] | None = None
        self.test: dict[str, float] | None = None
        self.by_example: str | None = None
        self.raised: dict[str, Any] | None = None
        self.fault: dict[str, str] | None = None
        self.decided: TrialState | None = None
        self.ended: dict[str, Any] | None = None
        self.source: str | None = None
        self.is_alive = self.has_begun = False
        self.kept_reports: list[list[Any]] | None = None
        self.kept_in: float | None = None
        """Seconds that its last checkpoint took."""
        self.start_at: float | None = None
        self.epoch_at: float | None = None
        self._seconds = 0.0

    @property
    def epoch(self) -> int:
        return len(self.reports)

    @property
    def curve(self) -> list[Point]:
        """The points of the metric that configs are selected by."""
        return self._curves().get(self.guest.goal.curve, [])

    @property
    def is_over(self) -> bool:
        """Whether the trial's end is known, whatever its child still does."""
        return self.fault is not None or self.raised is not None or self.ended is not None

    def hear(self, message: Message) -> None:
        """Take in what the child has told."""
        for kind, told in message.items():
            getattr(self, f"_hear_{kind}")(told)

    def failure(self, output: str = "") -> WhichoptError | None:
        """Return the error that the trial's end is; None if it has a result."""
        name, label = self.guest.name, self.plan.label
        if self.fault is not None:
            return error_of(self.fault["code"], f"{name} with {label}: {self.fault['detail']}", label, output)
        if self.raised is not None and not self.raised["nonfinite"]:
            told = self.raised["traceback"].rstrip()
            printed = f"\n\nIts last output:\n{output}" if output else ""
            return FunctionFailed(
                f"{name} with {label} raised {self.raised['type']}: {self.raised['text']}\n\n{told}{printed}",
                label=label,
                log=output,
            )
        state = self.state
        if state is TrialState.COMPLETE and not self.reports:
            return FunctionMute(
                f"{name} with {label} ended without a report: call run.report({self.guest.goal.metric}=...) "
                "after each epoch of run.epochs",
                label=label,
                log=output,
            )
        if state is TrialState.COMPLETE and self.guest.tests and self._confirms and self.test is None:
            return FunctionFailed(
                f"{name} with {label} did not call run.test, as it did in the rehearsal: the runs that are "
                "compared must all be judged on the same data",
                label=label,
                log=output,
            )
        return None

    @property
    def state(self) -> TrialState | None:
        """How the trial has ended; None if nobody knows."""
        if self.raised is not None:
            return TrialState.DIVERGED if self.raised["nonfinite"] else None
        if self.decided is not None:
            return self.decided
        return None if self.ended is None else TrialState(self.ended["state"])

    def result_so_far(self) -> TrialResult:
        """Return the result; that of a cancelled trial, unless it has come to its end."""
        over = self.is_over and self.failure() is None
        return self.trial_result(self.state if over else TrialState.CANCELLED)

    def trial_result(self, state: TrialState | None = None) -> TrialResult:
        """Return the result if the trial ends in that state, its own by default."""
        state = state or self.state
        metrics = self._metrics()
        judged = self.test if self._confirms and self.test is not None else metrics.get(SPLIT, {})
        metric, baseline = self.guest.goal.metric, self.guest.baseline
        return TrialResult.model_validate(
            {
                "state": state,
                "value": judged[metric] if state is TrialState.COMPLETE else None,
                "metrics": {} if state is TrialState.DIVERGED else metrics,
                "curves": self._curves(),
                "reference": {metric: baseline} if self._confirms and baseline is not None else None,
                "steps": self._steps,
                "examples": self.epoch,
                "seconds": self._seconds,
                "start": self.start,
                "by_example": self.by_example if self._confirms and state is TrialState.COMPLETE else None,
            }
        )

    @property
    def facts(self) -> dict[str, Any]:
        """What is known at the end of the function."""
        assert self.ended is not None
        return self.ended

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics that it has reported, the job's first."""
        return tuple(dict.fromkeys(name for _, _, metrics in self.reports for name in metrics))

    @property
    def epoch_seconds(self) -> float:
        """Seconds of the first epoch: what came before it is a trial's, not an epoch's."""
        if self.epoch_at is None:
            return 0.0
        began = None if self.ended is None else self.ended["epochs_began"]
        return self.epoch_at - next((at for at in (began, self.start_at) if at is not None), 0.0)

    @property
    def fixed_seconds(self) -> float:
        """Seconds of the run beside its epoch, if it has one, and beside its checkpoint."""
        return max(0.0, self._seconds - self.epoch_seconds - (self.kept_in or 0.0))

    @property
    def _confirms(self) -> bool:
        return self.plan.phase is Phase.CONFIRM

    @property
    def _steps(self) -> int:
        if self.ended is not None:
            return int(self.ended["steps"])
        return int(self.reports[-1][0]) if self.reports else 0

    def _metrics(self) -> dict[str, dict[str, float]]:
        last = self.result or (self.reports[-1][2] if self.reports else {})
        validation = _finite(last)
        metrics = {SPLIT: validation} if validation else {}
        if self.test is not None and (test := _finite(self.test)):
            metrics["test"] = test
        return metrics

    def _curves(self) -> dict[str, list[Point]]:
        curves: dict[str, list[Point]] = {}
        for steps, epoch, metrics in self.reports:
            for name, value in _finite(metrics).items():
                curves.setdefault(f"{SPLIT}.{name}", []).append(Point(steps, epoch, value))
        return curves

    # -- what a child tells --------------------------------------------------------------------------

    def _hear_alive(self, _: bool) -> None:
        self.is_alive = True

    def _hear_source(self, source: str) -> None:
        self.source = source

    def _hear_begun(self, _: bool) -> None:
        self.is_alive = self.has_begun = True
        self.reports = []  # until it says that it goes on from its checkpoint

    def _hear_start(self, start: Mapping[str, Any]) -> None:
        self.start = Start.model_validate(start)

    def _hear_start_at(self, seconds: float) -> None:
        self.start_at = seconds

    def _hear_parts(self, parts: Sequence[int]) -> None:
        train, validation, test = parts
        self.parts = train, validation, test

    def _hear_report(self, report: Mapping[str, Any]) -> None:
        self.reports.append([report["steps"], report["epoch"], report["metrics"]])
        self._seconds = report["at"]
        if self.epoch_at is None:
            self.epoch_at = report["at"]

    def _hear_resumed(self, resumed: Mapping[str, Any]) -> None:
        self.reports = [list(report) for report in resumed["reports"]]
        self.kept_reports = list(self.reports)
        self.start = None if resumed["start"] is None else Start.model_validate(resumed["start"])

    def _hear_kept(self, epoch: int) -> None:
        self.kept_reports = self.reports[:epoch]

    def _hear_kept_in(self, seconds: float) -> None:
        self.kept_in = seconds

    def _hear_result(self, values: dict[str, float]) -> None:
        self.result = values

    def _hear_test(self, values: dict[str, float]) -> None:
        self.test = values

    def _hear_by_example(self, values: str) -> None:
        self.by_example = values

    def _hear_decided(self, state: str) -> None:
        self.decided = TrialState(state)

    def _hear_fault(self, fault: dict[str, str]) -> None:
        self.fault = fault

    def _hear_raised(self, raised: dict[str, Any]) -> None:
        self.raised = raised

    def _hear_ended(self, ended: dict[str, Any]) -> None:
        self.ended = ended
        self._seconds = ended["seconds"]


def error_of(code: str, detail: str, label: str | None = None, log: str = "") -> WhichoptError:
    """Return the error that has the code."""
    kind = kind_of(code)
    assert kind is not None
    return kind(detail, label=label, log=log) if issubclass(kind, FunctionFailed) else kind(detail)


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if math.isfinite(value)}

"""The course of a trial: what its function reports, and how that ends it. It decides alone, from its plan."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from whichopt.service.by_example import kept_examples, written
from whichopt.service.goal import Goal
from whichopt.service.spec.workloads import METRIC
from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import TrialPlan

Send = Callable[[Mapping[str, Any]], None]
"""Tells whoever runs the trial: a pipe's end in a child, a function in the same process."""

MOST_METRICS = 64
LONGEST_NAME = 64


class Stopped(SystemExit):
    """The trial is over: raised by `run.report`, so that it ends the function and nothing else.

    It is a SystemExit, which passes through `except Exception`; a plain script that it ends has the exit
    status 0. `state` says why.
    """

    def __init__(self, state: TrialState) -> None:
        super().__init__(0)
        self.state = state

    def __str__(self) -> str:
        return f"the trial is over: {self.state}"


class Course:
    """What has happened in a trial so far."""

    def __init__(
        self, plan: TrialPlan, goal: Goal, send: Send, *, cancelled: Callable[[], bool] = lambda: False
    ) -> None:
        self.plan = plan
        self.goal = goal
        self.send = send
        self.cancelled = cancelled
        self.epoch = 0
        self.state: TrialState | None = None
        self.tested = self.has_result = False
        self.reports: list[list[Any]] = []
        self.scores: dict[str, float] | None = None
        self._began = perf_counter()
        self._seconds_before = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of the function so far, those before a checkpoint included."""
        return self._seconds_before + perf_counter() - self._began

    @property
    def tests(self) -> bool:
        """Whether the test part counts in this trial."""
        return self.plan.phase is Phase.CONFIRM

    def begin(self) -> None:
        """Start the clock: the function is called now."""
        self._began = perf_counter()

    def report(self, metrics: Mapping[str, Any], steps: int) -> None:
        """End an epoch.

        Raises:
            Stopped: the trial is over.
            ValueError: the metrics lack the job's, or one is no number.
        """
        if self.state is not None:
            raise Stopped(self.state)
        values = self.numbers("report", metrics)
        if self.epoch >= self.plan.length:
            raise self.too_long()
        self.epoch += 1
        self.reports.append([steps, self.epoch, values])
        self.send({"report": {"epoch": self.epoch, "metrics": values, "steps": steps, "at": self.seconds}})
        self._judge(_first(values))

    def result(self, metrics: Mapping[str, Any]) -> None:
        """Give what the trial is judged by in place of its last report."""
        if self.state is not None:
            raise Stopped(self.state)
        if self.has_result:
            raise RuntimeError("run.result gives the value to judge, once: call it after the last epoch")
        self.has_result = True
        values = self.numbers("result", metrics)
        self.send({"result": values})
        if not math.isfinite(_first(values)):
            self.end(TrialState.DIVERGED)

    def test(self, value: Any, rows: int | None = None) -> None:
        """Give what the model scores on the test part, if that is known one of so many rows.

        The job's metric may be given row by row: its value is the mean.
        """
        self.tested = True
        wanted = self.goal.metric
        metrics = dict(value) if isinstance(value, Mapping) else {wanted: value}
        by_row = None if rows is None else _by_row(metrics.get(wanted), rows)
        if by_row is not None:
            metrics[wanted] = float(by_row.mean())
        self.scores = values = self.numbers("test", metrics)
        kept = None if by_row is None else written(by_row[kept_examples(len(by_row))])
        self.send({"test": values, **({} if kept is None else {"by_example": kept})})
        if not math.isfinite(_first(values)):
            self.end(TrialState.DIVERGED)

    def numbers(self, of: str, metrics: Mapping[str, Any]) -> dict[str, float]:
        """Return the metrics as numbers, the job's first.

        Raises:
            ValueError: the job's metric is not among them, or there are too many.
            TypeError: one is no number.
        """
        wanted = self.goal.metric
        if wanted not in metrics:
            if of == "test":
                detail = f"run.test gives {', '.join(metrics)}, but the job is judged by {wanted!r}"
                self.send({"fault": {"code": "test_lacks_metric", "detail": detail}})
            close = difflib.get_close_matches(wanted, list(metrics), n=1)
            hint = f"; if you mean {close[0]!r}, name that one in the job" if close else ""
            named = ", ".join(metrics) or "nothing"
            raise ValueError(f"run.{of} has {named}, but the job is judged by {wanted!r}{hint}")
        if len(metrics) > MOST_METRICS:
            raise ValueError(f"run.{of} takes at most {MOST_METRICS} metrics; it was given {len(metrics)}")
        for name in metrics:
            if len(name) > LONGEST_NAME or re.fullmatch(METRIC, name) is None:
                raise ValueError(
                    f"run.{of} cannot have a metric of the name {name[:200]!r}: take letters, digits and any "
                    f"of _ . / @ -, at most {LONGEST_NAME}, with a letter first"
                )
        return {name: _number(of, name, metrics[name]) for name in dict.fromkeys([wanted, *metrics])}

    def too_long(self) -> Stopped:
        """Return what ends a function that reports more often than its trial has epochs."""
        epochs = "1 epoch" if self.plan.length == 1 else f"{self.plan.length} epochs"
        return self.refused(
            "function_too_long",
            f"it reported once more after {epochs}: loop over run.epochs, or give max_epochs=run.max_epochs",
        )

    def refused(self, code: str, detail: str) -> Stopped:
        """Tell that the function cannot be run, with the stable code of the reason; return what ends it."""
        self.send({"fault": {"code": code, "detail": detail}})
        self.state = TrialState.CANCELLED
        return Stopped(self.state)

    def ended(self) -> TrialState:
        """Return how the trial has ended, now that its function has."""
        return self.state or TrialState.COMPLETE

    def state_of(self) -> dict[str, Any]:
        """Return all that `resume` needs."""
        return {"epoch": self.epoch, "reports": self.reports, "seconds": self.seconds}

    def resume(self, saved: Mapping[str, Any]) -> None:
        """Go on where a checkpoint was written."""
        self.epoch, self.reports = saved["epoch"], [list(one) for one in saved["reports"]]
        self._seconds_before = saved["seconds"]
        self.send({"resumed": {"reports": self.reports, "start": saved["start"]}})

    def _judge(self, value: float) -> None:
        if not math.isfinite(value):
            self.end(TrialState.DIVERGED)
        last = self.epoch >= self.plan.length
        reached = [rung for rung in self.plan.rungs if rung.examples == self.epoch]
        sign = self.goal.sign
        if not last and any(sign * value > sign * rung.threshold for rung in reached):
            self.end(TrialState.PRUNED)
        if self.cancelled():
            self.end(TrialState.CANCELLED)

    def end(self, state: TrialState) -> None:
        """End the trial in this state.

        Raises:
            Stopped: it does.
        """
        self.state = state
        self.send({"decided": state.value})
        raise Stopped(state)


def _first(values: Mapping[str, float]) -> float:
    return next(iter(values.values()))


def _by_row(value: Any, rows: int) -> npt.NDArray[np.float64] | None:
    """Return values of each row; None if it is anything else, such as the value of all."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().double().numpy()
    if not isinstance(value, np.ndarray) or value.shape != (rows,) or rows < 2:
        return None
    return value.astype(np.float64)


def _number(of: str, name: str, value: Any) -> float:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise TypeError(f"run.{of}({name}=...) takes a number or a tensor of one, not {type(value).__name__}")
    if isinstance(value, Tensor):
        if value.numel() != 1:
            shape = tuple(value.shape)
            raise TypeError(f"run.{of}({name}=...) takes a tensor of one number, not of shape {shape}")
        return float(value.detach().item())
    return float(value)

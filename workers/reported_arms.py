"""The arms of a report that can be compared again, by what each of them is in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from whichopt.service.errors import InvalidQuery, UnknownName
from whichopt.service.evidence.report.document import Report
from whichopt.service.records import RecordedTrial
from whichopt.service.states import Phase
from whichopt.workers.reported import confirmed

WINNER, RUNNER_UP, DEFAULT, TODAY = "winner", "runner-up", "default", "today"
"""What is recommended; the best of another optimizer; the recommended one's default; what is used today."""


def chosen(report: Report, asked: Sequence[str]) -> dict[str, RecordedTrial]:
    """Return a confirm run of each arm that is asked for, after one of what is recommended.

    Raises:
        UnknownName: the report has no such arm; the error names those that it has.
        InvalidQuery: no other arm is asked for, or one is named twice.
        InvalidReport: the report recommends nothing.
    """
    there = _arms(report)
    for name in asked:
        if name not in there:
            raise UnknownName(
                f"there is no arm {name!r} in this report, which has {', '.join(there)}"
                + (f" ({_why_not(report, name)})" if name in _FINDERS else ""),
                field="arms",
                value=name,
                allowed=list(there),
            )
    others = [name for name in asked if name != WINNER]
    if not others or len(set(asked)) < len(asked):
        raise InvalidQuery(
            f"--arms is {','.join(asked)}, but what is recommended is compared with other arms, each named "
            f"once; this report has {', '.join(there)}",
            field="arms",
            value=list(asked),
            allowed=list(there),
        )
    return {name: there[name] for name in (WINNER, *others)}


def _arms(report: Report) -> dict[str, RecordedTrial]:
    """Return a confirm run of each arm that the report has, by the arm's name."""
    found = {name: find(report) for name, find in _FINDERS.items()}
    return {name: trial for name, trial in found.items() if trial is not None}


def _winner(report: Report) -> RecordedTrial:
    return confirmed(report)[0]


def _runner_up(report: Report) -> RecordedTrial | None:
    told = report.recommendation
    others = [row.optimizer for row in told.ranking if row.optimizer != told.optimizer]
    return confirmed(report, others[0])[0] if others else None


def _default(report: Report) -> RecordedTrial | None:
    """Return a run of the recommended optimizer's default, unless that is what is recommended."""
    pick = _winner(report).plan
    default = report.spec.optimizer(pick.label).default
    return None if pick.config == default else _run_of(report, pick.label, default)


def _today(report: Report) -> RecordedTrial | None:
    return _run_of(report, TODAY)


def _run_of(report: Report, label: str, config: Mapping[str, object] | None = None) -> RecordedTrial | None:
    runs = (
        trial
        for trial in report.trials
        if trial.plan.phase is Phase.CONFIRM
        and trial.plan.label == label
        and trial.result is not None
        and (config is None or trial.plan.config == config)
    )
    return next(runs, None)


_FINDERS: Mapping[str, Callable[[Report], RecordedTrial | None]] = {
    WINNER: _winner,
    RUNNER_UP: _runner_up,
    DEFAULT: _default,
    TODAY: _today,
}


def _why_not(report: Report, name: str) -> str:
    pick = report.recommendation.optimizer
    return {
        RUNNER_UP: "its job had one optimizer",
        DEFAULT: f"what it recommends is the default of {pick}",
        TODAY: "its job was not told what is used today",
    }[name]

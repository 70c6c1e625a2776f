"""What came of a race: the two verdicts, and each optimizer's best config on fresh seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from benchmarks.shared.asked_races import Asked, Collapse
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.verdict.recommend import shown
from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import TrialResult
from whichopt.service.views import Interval, Recommendation


@dataclass(frozen=True)
class Standing:
    """An optimizer's best config: its test values over `seeds` fresh seeds, and what finding it took.

    `value` is None if the config diverged on one of them. `collapsed` is the number of its runs that did.
    """

    optimizer: str
    config: dict[str, Any]
    value: Interval | None
    beside: float | None
    seeds: int
    diverged: int
    collapsed: int | None
    trials: int
    seconds: float


@dataclass(frozen=True)
class Found:
    """A workload's outcome. `by_config` and `by_optimizer` are the verdicts in a few words."""

    asked: Asked
    metric: str
    by_config: str
    by_optimizer: str
    statement: str
    optimizer_statement: str
    standings: tuple[Standing, ...]
    seconds: float

    @property
    def reached(self) -> dict[str, float]:
        """The mean test value of each optimizer that has one."""
        return {one.optimizer: one.value.mean for one in self.standings if one.value is not None}


def found(asked: Asked, report: Report) -> Found:
    """Return what a job's report tells of its workload."""
    told = report.recommendation
    return Found(
        asked=asked,
        metric=told.metric,
        by_config=_by_config(told),
        by_optimizer=_by_optimizer(told),
        statement=told.statement,
        optimizer_statement=told.optimizer_verdict.statement,
        standings=tuple(_standing(asked, report, place) for place in range(len(told.ranking))),
        seconds=told.cost.seconds,
    )


def _by_config(told: Recommendation) -> str:
    if told.verdict == "winner":
        return f"**{told.optimizer}**"
    if told.verdict == "nothing":
        return "nothing can be deployed"
    return f"a tie of {_listed(told.equivalent)}"


def _by_optimizer(told: Recommendation) -> str:
    verdict = told.optimizer_verdict
    if verdict.verdict == "winner":
        return f"**{verdict.optimizer}**"
    if verdict.verdict == "tie":
        return f"a tie of {_listed(verdict.equivalent)}"
    return "nothing" if verdict.verdict == "nothing" else "not asked"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(sorted(names))


def _standing(asked: Asked, report: Report, place: int) -> Standing:
    row = report.recommendation.ranking[place]
    runs = champions_runs(report, row.optimizer, row.config)
    whole = [run for run in runs if run.state is TrialState.COMPLETE]
    return Standing(
        optimizer=row.optimizer,
        config=row.config,
        value=row.value,
        beside=None
        if asked.beside is None or not whole
        else fmean(run.metrics["test"][asked.beside] for run in whole),
        seeds=len(runs),
        diverged=len(runs) - len(whole),
        collapsed=None if asked.collapse is None else _collapsed(runs, asked.collapse),
        trials=row.trials,
        seconds=row.seconds,
    )


def champions_runs(report: Report, label: str, config: dict[str, Any]) -> list[TrialResult]:
    """Return the runs of that optimizer's config on fresh seeds, those of the first stage included."""
    return [
        trial.result
        for trial in report.trials
        if trial.plan.phase is Phase.CONFIRM
        and trial.plan.label == label
        and trial.result is not None
        and shown(report.spec, label, trial.plan.config) == config
    ]


def _collapsed(runs: Sequence[TrialResult], collapse: Collapse) -> int:
    return sum(
        run.state is not TrialState.COMPLETE or run.metrics["test"][collapse.metric] < collapse.below
        for run in runs
    )

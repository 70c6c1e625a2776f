"""Forges a report as somebody would who wants one optimizer to win, and recomputes all that follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from whichopt.service.by_example import read, written
from whichopt.service.evidence.report.document import Report, evidence
from whichopt.service.evidence.verdict.confirm_table import champions, read_confirm_table
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.planning.finalists import study_bests
from whichopt.service.records import RecordedTrial
from whichopt.service.states import Direction, Phase
from whichopt.service.trial_set import finalist_key
from whichopt.service.trials import TrialPlan, TrialResult
from whichopt.workers.retrained import Retrained, Train

FACTOR = 2.0
"""What the values of the forged runs are divided by."""


def forged(report: Report, label: str, count: int, *, factor: float = FACTOR) -> Report:
    """Return the report with the test values of so many runs of the label divided, and all that follows.

    The runs of the label's champion are the first of them, so that it stays the champion, and those of its
    other finalists follow. If that is too few, the validation values of the trials that its studies chose
    are divided too, which would be chosen all the same. So no contradiction is left for `verify`.

    Args:
        report: a report of a job whose metric is to be minimized.
        label: the optimizer that is to look good.
        count: the number of runs to forge.
        factor: what their values are divided by.

    Raises:
        ValueError: the metric is to be maximized, or the label has fewer such runs.
    """
    if report.spec.goal.direction is not Direction.MINIMIZE:
        raise ValueError("only values that are to be small are made better by dividing them")
    places = _runs(report, label)
    if count > len(places):
        raise ValueError(f"{label} has {len(places)} runs to forge, which is fewer than {count}")
    chosen = set(places[:count])
    trials = [
        _divided(report, trial, factor) if place in chosen else trial
        for place, trial in enumerate(report.trials)
    ]
    told = recommend(
        report.job.id,
        report.spec,
        trials,
        cut_short=report.job.cut_short,
        environments=report.environments,
    )
    return evidence(report.job, report.spec, trials, told, report.environments, earlier=report.earlier)


def most_runs(report: Report, label: str) -> int:
    """Return the number of runs of the label that can be forged."""
    return len(_runs(report, label))


def _runs(report: Report, label: str) -> list[int]:
    """Return the places of the runs to forge: of the label's champion, its other finalists, its search."""
    table = read_confirm_table(report.spec, report.trials).finalists
    best = {arm.key for arm in champions(table)}
    runs = [
        (finalist_key(trial.plan.label, trial.plan.config) not in best, place)
        for place, trial in enumerate(report.trials)
        if trial.plan.phase is Phase.CONFIRM
        and trial.plan.label == label
        and trial.result is not None
        and trial.result.value is not None
    ]
    of_search = [
        best for (whose, _), best in study_bests(report.spec, report.trials).items() if whose == label
    ]
    searched = [place for place, trial in enumerate(report.trials) if trial in of_search]
    return [*(place for _, place in sorted(runs)), *searched]


def _divided(report: Report, trial: RecordedTrial, factor: float) -> RecordedTrial:
    """Return the trial with its value divided, wherever it says it."""
    result, goal, searched = trial.result, report.spec.goal, trial.plan.phase is Phase.SEARCH
    assert result is not None
    assert result.value is not None
    value = result.value / factor
    split = "validation" if searched else report.spec.workload.judged_split
    curves = dict(result.curves)
    if searched:
        *points, last = curves[goal.curve]
        curves[goal.curve] = [*points, last._replace(value=value)]
    changed = {
        "value": value,
        "metrics": {**result.metrics, split: {**result.metrics[split], goal.metric: value}},
        "curves": curves,
        "by_example": None if result.by_example is None else written(read(result.by_example) / factor),
    }
    return trial.model_copy(update={"result": result.model_copy(update=changed)})


def recorded(truth: Report) -> Train:
    """Return what trains nothing and gives what training gave, as the true report has recorded it."""
    results: Mapping[str, TrialResult | None] = {
        trial.plan.model_dump_json(): trial.result for trial in truth.trials
    }

    def train(_: Report, plans: Sequence[TrialPlan]) -> Retrained:
        found = [results[plan.model_dump_json()] for plan in plans]
        return Retrained([one for one in found if one is not None], truth.environments[0])

    return train

"""Reads what past jobs with the same workload tell of a job that is planned. Writes nothing."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal

import sqlalchemy as sa

from whichopt.service.db.jobs import Jobs
from whichopt.service.db.readable import spec_of
from whichopt.service.db.tables import job, study, trial
from whichopt.service.db.trials import PLAN
from whichopt.service.errors import UnreadableRow
from whichopt.service.past import PastJob, PastJobs, PastSpread
from whichopt.service.spec import TODAY, ResolvedSpec
from whichopt.service.states import JobState, Phase, TrialState
from whichopt.service.trials import TrialPlan

MOST_JOBS = 20
"""Jobs about the same workload that are looked at, the newest first."""


class Past:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def of(self, spec: ResolvedSpec, *, queue: str) -> PastJobs:
        """Return what the past jobs tell that had this workload and batch size on this kind of worker."""
        found: list[PastJob] = []
        spread: PastSpread | None = None
        for row in self._rows(spec, queue):
            try:
                past = spec_of(row)
            except UnreadableRow:  # the log has it; others may tell
                continue
            if not _alike(past, spec):
                continue
            if (one := self._trained(row, past) or _probed(row, past)) is not None:
                found.append(one)
            if spread is None and row.state == JobState.SUCCEEDED and _judged_alike(past, spec):
                spread = self._spread(row.id, row.uid)
        return PastJobs(tuple(found), spread)

    def named(self, kind: Literal["model", "dataset", "optimizer"], name: str) -> bool:
        """Tell if a job has named that model, dataset or optimizer."""
        columns = {"model": job.c.model, "dataset": job.c.dataset, "optimizer": study.c.optimizer}
        return bool(self.connection.scalar(sa.select(sa.exists().where(columns[kind] == name))))

    def _rows(self, spec: ResolvedSpec, queue: str) -> Sequence[sa.Row[Any]]:
        workload = spec.workload
        names = (
            (job.c.task, workload.task),
            (job.c.dataset, workload.dataset_name),
            (job.c.model, workload.model_name),
            (job.c.function, workload.function_name),
        )
        about = [column.is_(None) if name is None else column == name for column, name in names]
        query = sa.select(job).where(job.c.queue == queue, *about).order_by(job.c.id.desc()).limit(MOST_JOBS)
        return self.connection.execute(query).all()

    def _trained(self, row: sa.Row[Any], spec: ResolvedSpec) -> PastJob | None:
        """What the job's results took; None without any."""
        query = (
            sa.select(
                trial.c.label,
                sa.func.sum(trial.c.seconds).label("seconds"),
                sa.func.sum(trial.c.examples).label("length"),
            )
            .where(trial.c.job_id == row.id, trial.c.result.is_not(sa.null()), trial.c.examples > 0)
            .group_by(trial.c.label)
        )
        seconds: defaultdict[str, float] = defaultdict(float)
        lengths: defaultdict[str, float] = defaultdict(float)
        for used in self.connection.execute(query):
            name = spec.optimizer(used.label).name  # also of today's config, which is no searched optimizer
            seconds[name] += used.seconds
            lengths[name] += used.length
        total = math.fsum(seconds.values())
        if total <= 0:
            return None
        elapsed = Jobs(self.connection).elapsed_s(row.id)
        return PastJob(row.uid, dict(seconds), dict(lengths), None if elapsed is None else elapsed / total)

    def _spread(self, job_id: int, uid: str) -> PastSpread | None:
        """The standard deviation over fresh seeds, pooled over the configs with the most runs, none diverged.

        These are the champions, between which a lead is. A default may vary many times as much as they do.
        """
        query = sa.select(trial.c.label, PLAN.label("plan"), trial.c.state, trial.c.value).where(
            trial.c.job_id == job_id,
            trial.c.phase == Phase.CONFIRM,
            trial.c.label != TODAY,
            trial.c.state.in_((TrialState.COMPLETE, TrialState.DIVERGED)),
        )
        values: defaultdict[tuple[str, str], list[float | None]] = defaultdict(list)
        for row in self.connection.execute(query):
            config = TrialPlan.model_validate_json(row.plan).config
            values[row.label, repr(sorted(config.items()))].append(row.value)
        finite = [
            [value for value in of_config if value is not None]
            for of_config in values.values()
            if len(of_config) > 1 and None not in of_config
        ]
        if not finite:
            return None
        most = max(map(len, finite))
        champions = [row for row in finite if len(row) == most]
        squares = (math.fsum((value - math.fsum(row) / most) ** 2 for value in row) for row in champions)
        deviation = math.sqrt(math.fsum(squares) / (len(champions) * (most - 1)))
        return PastSpread(uid, deviation, len(champions)) if deviation > 0 else None


def _probed(row: sa.Row[Any], spec: ResolvedSpec) -> PastJob | None:
    """What a step took when the job's executors were chosen by a probe; None if none was needed."""
    if not row.probe or spec.executors is None:
        return None
    seconds = {
        spec.optimizer(label).name: float(row.probe[executor])
        for label, executor in spec.executors.items()
        if executor in row.probe
    }
    lengths = dict.fromkeys(seconds, float(spec.batch_size))
    return PastJob(row.uid, seconds, lengths, None, is_probe=True) if seconds else None


def _alike(past: ResolvedSpec, spec: ResolvedSpec) -> bool:
    """Tell if a trial of both takes as long: the same workload and batch size, whatever it is judged by."""
    ours, theirs = spec.workload, past.workload
    if spec.guest is not None and past.guest is not None:
        same = None in (spec.guest.source, past.guest.source) or spec.guest.source == past.guest.source
        return same and spec.guest.function == past.guest.function
    return (
        spec.batch_size == past.batch_size
        and spec.guest is past.guest is None
        and all(
            getattr(ours, name) == getattr(theirs, name)
            for name in ("task", "dataset", "model", "content", "sizes")
        )
    )


def _judged_alike(past: ResolvedSpec, spec: ResolvedSpec) -> bool:
    """Tell if values of both are on one scale: the same metric after as many epochs."""
    return past.goal.metric == spec.goal.metric and past.budget.epochs == spec.budget.epochs

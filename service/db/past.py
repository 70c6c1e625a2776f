"""Reads what past jobs with the same workload tell of a job that is planned. Writes nothing."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Container, Sequence
from typing import Any, Literal

import sqlalchemy as sa

from whichopt.service.batches import GROWING
from whichopt.service.db.jobs import Jobs
from whichopt.service.db.readable import spec_of
from whichopt.service.db.tables import job, study, trial
from whichopt.service.db.trials import PLAN
from whichopt.service.errors import UnreadableRow
from whichopt.service.past import PastJob, PastJobs, PastSpread
from whichopt.service.spec import TODAY, ResolvedOptimizer, ResolvedSpec
from whichopt.service.states import JobState, Phase, TrialState
from whichopt.service.trials import TrialPlan

SIZES = ("batch_size", *GROWING)
"""Parts of a space that say how large a batch is."""

MOST_JOBS = 20
"""Jobs about the same workload that are looked at, the newest first."""


class Past:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def of(self, spec: ResolvedSpec, *, queue: str) -> PastJobs:
        """Return what past jobs with this workload tell, on this kind of worker, of batches as large."""
        found: list[PastJob] = []
        spread: PastSpread | None = None
        for row in self._rows(spec, queue):
            try:
                past = spec_of(row)
            except UnreadableRow:  # the log has it; others may tell
                continue
            if not _alike(past, spec):
                continue
            alike = _sized_alike(past, spec)
            if (one := self._trained(row, past, alike) or _probed(row, past, alike)) is not None:
                found.append(one)
            ended = row.state == JobState.SUCCEEDED and alike.issuperset(past.labels)
            if spread is None and ended and _judged_alike(past, spec):
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

    def _trained(self, row: sa.Row[Any], spec: ResolvedSpec, labels: Container[str]) -> PastJob | None:
        """What the job's results of those labels took; None without any."""
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
        everything = 0.0
        for used in self.connection.execute(query):
            everything += used.seconds
            if used.label not in labels:
                continue
            name = spec.optimizer(used.label).name  # also of today's config, which is no searched optimizer
            seconds[name] += used.seconds
            lengths[name] += used.length
        if math.fsum(seconds.values()) <= 0:
            return None
        elapsed = Jobs(self.connection).elapsed_s(row.id)
        clock = None if elapsed is None else elapsed / everything
        return PastJob(row.uid, dict(seconds), dict(lengths), clock)

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


def _probed(row: sa.Row[Any], spec: ResolvedSpec, labels: Container[str]) -> PastJob | None:
    """What as many examples as the job's batch size took when its executors were chosen by a probe; None if
    none was needed."""
    if not row.probe or spec.executors is None:
        return None
    seconds = {
        spec.optimizer(label).name: float(row.probe[executor])
        for label, executor in spec.executors.items()
        if executor in row.probe and label in labels
    }
    lengths = dict.fromkeys(seconds, float(spec.batch_size))
    return PastJob(row.uid, seconds, lengths, None, is_probe=True) if seconds else None


def _alike(past: ResolvedSpec, spec: ResolvedSpec) -> bool:
    """Tell if an example of both takes as long in batches of one size, whatever it is judged by."""
    ours, theirs = spec.workload, past.workload
    if spec.guest is not None and past.guest is not None:
        same = None in (spec.guest.source, past.guest.source) or spec.guest.source == past.guest.source
        return same and spec.guest.function == past.guest.function
    return spec.guest is past.guest is None and all(
        getattr(ours, name) == getattr(theirs, name)
        for name in ("task", "dataset", "model", "content", "sizes")
    )


def _sized_alike(past: ResolvedSpec, spec: ResolvedSpec) -> frozenset[str]:
    """Return the labels of the past job whose batches are as large as those of the other.

    Those of its optimizers count if the other has that optimizer with such batches, or not at all, but
    another one with such batches.
    """
    sizes = {chosen.label: _sizes(spec, chosen) for chosen in spec.optimizers}
    wanted = [(chosen.name, sizes[chosen.label]) for chosen in spec.optimizers]
    found = set()
    for label in past.trained_labels:
        chosen = past.optimizer(label)
        theirs = _sizes(past, chosen)
        own = [size for name, size in wanted if name == chosen.name] or [size for _, size in wanted]
        if theirs in own:
            found.add(label)
    return frozenset(found)


def _sizes(spec: ResolvedSpec, chosen: ResolvedOptimizer) -> dict[str, Any]:
    """Return what the label's space, or else the job, says of the size of a batch."""
    said = chosen.facts.of_training(chosen.space)
    return {name: said[name] for name in said if name in SIZES} or {"batch_size": spec.batch_size}


def _judged_alike(past: ResolvedSpec, spec: ResolvedSpec) -> bool:
    """Tell if values of both are on one scale: the same metric after as many epochs."""
    return past.goal.metric == spec.goal.metric and past.budget.epochs == spec.budget.epochs

"""Reads what past jobs said of an optimizer. Writes nothing."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from whichopt.service.db.readable import readable, recommendation_of
from whichopt.service.db.tables import job, study
from whichopt.service.errors import UnreadableRow
from whichopt.service.raced import RacedJob, Tally
from whichopt.service.states import Direction, JobState

MOST_COUNTED = 1000
"""The latest concluded jobs, which are counted."""

MOST_SHOWN = 10


class Raced:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def tallies(self) -> dict[str, Tally]:
        """Return, by the optimizer's name in the catalog, what the latest concluded jobs say."""
        latest = (
            sa.select(job.c.id, job.c.recommended, job.c.verdict)
            .where(job.c.state == JobState.SUCCEEDED)
            .order_by(job.c.id.desc())
            .limit(MOST_COUNTED)
            .subquery()
        )
        is_picked = latest.c.recommended == study.c.optimizer
        picked = sa.case((is_picked, latest.c.id))
        won = sa.case((sa.and_(is_picked, latest.c.verdict == "winner"), latest.c.id))
        query = (
            sa.select(
                study.c.optimizer,
                sa.func.count(latest.c.id.distinct()),
                sa.func.count(picked.distinct()),
                sa.func.count(won.distinct()),
            )
            .join(latest, latest.c.id == study.c.job_id)
            .where(study.c.replicate == 0)
            .group_by(study.c.optimizer)
        )
        return {name: Tally(*counts) for name, *counts in self.connection.execute(query)}

    def of(self, optimizer: str) -> list[RacedJob]:
        """Return the latest concluded jobs that the optimizer competed in, newest first.

        One that this version cannot read is left out; the log has it.
        """
        competed = sa.exists().where(study.c.job_id == job.c.id, study.c.optimizer == optimizer)
        rows = self.connection.execute(
            sa.select(job)
            .where(job.c.state == JobState.SUCCEEDED, competed)
            .order_by(job.c.id.desc())
            .limit(MOST_SHOWN)
        ).all()
        labels: dict[int, dict[str, str]] = {}
        named = sa.select(study.c.job_id, study.c.label, study.c.optimizer).where(
            study.c.job_id.in_([row.id for row in rows]), study.c.replicate == 0
        )
        for job_id, label, name in self.connection.execute(named.order_by(study.c.id)):
            labels.setdefault(job_id, {})[label] = name
        found = []
        for row in rows:
            try:
                found.append(_raced(row, labels[row.id], optimizer))
            except UnreadableRow:
                continue
        return [one for one in found if one is not None]


def _raced(row: Any, labels: dict[str, str], optimizer: str) -> RacedJob | None:
    """What the job said of it; None if none of its labels was confirmed."""
    if row.recommendation is None:
        return None
    told = readable(row, recommendation_of)
    own = next((one for one in told.ranking if labels.get(one.optimizer) == optimizer), None)
    if own is None:
        return None
    odds = {one.optimizer: one.probability_best for one in told.ranking}
    lr = own.config.get("lr")
    return RacedJob(
        uid=row.uid,
        name=row.name,
        about=row.function or f"{row.model} on {row.dataset}",
        verdict=told.verdict,
        recommended=told.optimizer,
        metric=told.metric,
        lower_is_better=told.direction is Direction.MINIMIZE,
        optimizers=labels,
        odds={label: chance for label, chance in odds.items() if chance is not None},
        label=own.optimizer,
        lr=float(lr) if isinstance(lr, int | float) else None,
        value=None if own.value is None else own.value.mean,
        default_value=None if own.default_value is None else own.default_value.mean,
        finished_at=row.finished_at,
    )

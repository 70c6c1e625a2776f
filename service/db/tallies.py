"""The counters of each job's trials, by label and phase, and of its fresh seeds.

They are moved in the transaction that writes the trials, by what changed in the cohorts that it writes: no
answer about a job has to read all its trials. The job's lock, which every such transaction has, keeps two of
them apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import sqlalchemy as sa

from whichopt.service.db.tables import fresh_seed, tally, trial
from whichopt.service.states import Phase, TrialState

DONE = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.DIVERGED, TrialState.FAILED)
"""States of the trials that have been trained, or will not be as we failed."""

SUMS = (
    "total",
    "done",
    "running",
    "cancelled",
    "pruned",
    "diverged",
    "failed",
    "steps",
    "examples",
    "seconds",
)
"""Columns of a tally that add up; the others are the extremes of the values."""


class Key(NamedTuple):
    """What is counted together; `number` is that of a fresh seed, None in search."""

    label: str
    phase: str
    number: int | None


Counted = Mapping[Key, sa.Row[Any]]


def _counts(state: TrialState) -> sa.ColumnElement[int]:
    return sa.func.count(sa.case((trial.c.state == state, 1))).label(state.value)


COUNTERS = (
    sa.func.count().label("total"),
    sa.func.count(sa.case((trial.c.state.in_(DONE), 1))).label("done"),
    *map(
        _counts,
        (
            TrialState.RUNNING,
            TrialState.CANCELLED,
            TrialState.PRUNED,
            TrialState.DIVERGED,
            TrialState.FAILED,
        ),
    ),
    sa.func.sum(trial.c.steps).label("steps"),
    sa.func.sum(trial.c.examples).label("examples"),
    sa.func.sum(trial.c.seconds).label("seconds"),
    sa.func.min(trial.c.value).label("least"),
    sa.func.max(trial.c.value).label("most"),
)
"""The columns of a tally as they are counted from trials."""


class Tallies:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    @contextmanager
    def follow(self, job_id: int, cohort_ids: Sequence[int]) -> Iterator[None]:
        """Move the job's counters by what the block changes in the trials of these cohorts, all the job's."""
        before = self._counted(cohort_ids)
        yield
        self._move(job_id, before, self._counted(cohort_ids))

    def _counted(self, cohort_ids: Sequence[int]) -> Counted:
        number = sa.case((trial.c.phase == Phase.CONFIRM, trial.c.number))
        query = (
            sa.select(trial.c.label, trial.c.phase, number.label("number"), *COUNTERS)
            .where(trial.c.cohort_id.in_(cohort_ids))
            .group_by(trial.c.label, trial.c.phase, sa.text("3"))
        )
        rows = self.connection.execute(query) if cohort_ids else ()
        return {Key(row.label, row.phase, row.number): row for row in rows}

    def _move(self, job_id: int, before: Counted, after: Counted) -> None:
        moved: defaultdict[tuple[str, str], dict[str, Any]] = defaultdict(lambda: dict.fromkeys(SUMS, 0))
        seeds: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
        for key, now in after.items():
            then = before.get(key)
            by = {name: getattr(now, name) - (0 if then is None else getattr(then, name)) for name in SUMS}
            of_label = moved[key.label, key.phase]
            for name in SUMS:
                of_label[name] += by[name]
            of_label["least"] = _extreme(min, of_label.get("least"), now.least)
            of_label["most"] = _extreme(max, of_label.get("most"), now.most)
            if key.number is not None:
                seeds[key.number][0] += by["total"]
                seeds[key.number][1] += by["done"]
        self._write(job_id, moved)
        self._write_seeds(job_id, seeds)

    def _write(self, job_id: int, moved: Mapping[tuple[str, str], Mapping[str, Any]]) -> None:
        known = {
            (row.label, row.phase): row
            for row in self.connection.execute(sa.select(tally).where(tally.c.job_id == job_id))
        }
        new, changed = [], []
        for (label, phase), by in moved.items():
            of_row = {"job_id": job_id, "label": label, "phase": phase}
            row = known.get((label, phase))
            if row is None:
                new.append({**of_row, **by})
            elif any(by[name] for name in SUMS):
                values = {name: getattr(row, name) + by[name] for name in SUMS}
                values["least"] = _extreme(min, row.least, by["least"])
                values["most"] = _extreme(max, row.most, by["most"])
                changed.append({**{f"of_{name}": value for name, value in of_row.items()}, **values})
        if new:
            self.connection.execute(tally.insert(), new)
        if changed:
            here = [tally.c[name] == sa.bindparam(f"of_{name}") for name in ("job_id", "label", "phase")]
            self.connection.execute(tally.update().where(*here), changed)

    def _write_seeds(self, job_id: int, moved: Mapping[int, Sequence[int]]) -> None:
        of_job = fresh_seed.c.job_id == job_id
        known = {
            row.number: row
            for row in self.connection.execute(
                sa.select(fresh_seed).where(of_job, fresh_seed.c.number.in_(moved))
            )
        }
        new = [
            {"job_id": job_id, "number": number, "runs": runs, "done": done}
            for number, (runs, done) in moved.items()
            if number not in known
        ]
        changed = [
            {"of_number": number, "runs": known[number].runs + runs, "done": known[number].done + done}
            for number, (runs, done) in moved.items()
            if number in known and (runs or done)
        ]
        if new:
            self.connection.execute(fresh_seed.insert(), new)
        if changed:
            here = (of_job, fresh_seed.c.number == sa.bindparam("of_number"))
            self.connection.execute(fresh_seed.update().where(*here), changed)


def _extreme(choose: Any, known: float | None, found: float | None) -> float | None:
    values = [value for value in (known, found) if value is not None]
    return choose(values) if values else None

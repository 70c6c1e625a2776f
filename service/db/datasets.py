"""The datasets that people send: added by a door, filled by the keeper of their reader, used by jobs.

A row has the `uid` of the sending that made it. Its keeper writes by that, so that one that was given up for
lost cannot write into a row that was sent again under the same name.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from whichopt.service.db import clock
from whichopt.service.db.readable import readable
from whichopt.service.db.tables import dataset, job
from whichopt.service.ids import new_uid
from whichopt.service.states import DatasetState, JobState
from whichopt.service.uploads import Choices, File, Table
from whichopt.service.views.datasets import DatasetProblem, DatasetProgress, DatasetView

ACTIVE = (JobState.QUEUED, JobState.RUNNING)

LISTED = ("task", "target", "rows", "split", "shape", "sizes")
"""Parts of what was found that a list shows."""

MOST_NAMES = 1000
"""Names that are looked through for the one that was meant."""


@dataclass(frozen=True)
class DatasetRow:
    """A dataset with the sending that made it."""

    uid: str
    preview: bool
    view: DatasetView


@dataclass(frozen=True)
class DatasetSummary:
    """What a list shows of a dataset, without its columns; what was found is None until it is read."""

    id: int
    name: str
    state: DatasetState
    file: File
    found: dict[str, Any] | None
    progress: DatasetProgress
    problem: DatasetProblem | None
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True)
class DatasetJob:
    """A job that uses, or used, a dataset."""

    uid: str
    name: str | None
    state: JobState
    verdict: str | None
    model: str
    created_at: datetime


class Datasets:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    # -- doors ---------------------------------------------------------------------------------------

    def add(self, name: str, *, preview: bool, file: File, choices: Choices, api_key_id: int | None) -> str:
        """Remember a dataset that is about to be read; return the uid of this sending.

        Raises:
            IntegrityError: the name is taken.
        """
        uid, now = new_uid(), clock.now()
        row = {
            "uid": uid,
            "name": name,
            "state": DatasetState.READING,
            "preview": preview,
            "file": file,
            "choices": choices,
            "progress": DatasetProgress(bytes=file.bytes),
            "api_key_id": api_key_id,
            "created_at": now,
            "seen_at": now,
        }
        self.connection.execute(dataset.insert().values(row))
        return uid

    def named(self, name: str, *, locks: bool = False) -> DatasetRow | None:
        """Return the dataset of that name; in a transaction that changes it, with a lock.

        Raises:
            UnreadableRow: its row cannot be read.
        """
        query = sa.select(dataset).where(dataset.c.name == name)
        row = self.connection.execute(query.with_for_update() if locks else query).one_or_none()
        return None if row is None else readable(row, _row)

    def names(self) -> list[str]:
        """Return the names of the latest datasets that jobs can use."""
        query = sa.select(dataset.c.name).where(dataset.c.state == DatasetState.READY)
        return list(self.connection.scalars(query.order_by(dataset.c.id.desc()).limit(MOST_NAMES)))

    def known(self, name: str) -> bool:
        """Tell if there is a dataset of that name, or a job that used one."""
        either = sa.or_(sa.exists().where(dataset.c.name == name), sa.exists().where(job.c.dataset == name))
        return bool(self.connection.scalar(sa.select(either)))

    def page(self, *, before: int | None, limit: int) -> list[DatasetSummary]:
        """Return the latest datasets, newest first; their columns stay in the database."""
        query = _summaries()
        if before is not None:
            query = query.where(dataset.c.id < before)
        rows = self.connection.execute(query.order_by(dataset.c.id.desc()).limit(limit))
        return [readable(row, _summary) for row in rows]

    def summary(self, name: str) -> DatasetSummary | None:
        """Return what a list shows of the dataset of that name."""
        row = self.connection.execute(_summaries().where(dataset.c.name == name)).one_or_none()
        return None if row is None else readable(row, _summary)

    def jobs(self, name: str, content: str, *, limit: int) -> list[DatasetJob]:
        """Return the latest jobs about a dataset with that content, newest first."""
        query = (
            sa.select(job.c.uid, job.c.name, job.c.state, job.c.verdict, job.c.model, job.c.created_at)
            .where(job.c.dataset == name, job.c.content == content)
            .order_by(job.c.id.desc())
            .limit(limit)
        )
        return [
            DatasetJob(row.uid, row.name, JobState(row.state), row.verdict, row.model or "", row.created_at)
            for row in self.connection.execute(query)
        ]

    def used_by(self, name: str, content: str | None) -> str | None:
        """Return the uid of a queued or running job that uses the dataset; None if there is none."""
        query = sa.select(job.c.uid).where(job.c.dataset == name, job.c.state.in_(ACTIVE))
        if content is not None:
            query = query.where(job.c.content == content)
        return self.connection.scalar(query.limit(1))

    def hold(self, name: str, content: str) -> bool:
        """Tell if a job can be made of the dataset, which stays there until this transaction has ended."""
        query = sa.select(dataset.c.id).where(
            dataset.c.name == name, dataset.c.content == content, dataset.c.state == DatasetState.READY
        )
        return self.connection.scalar(query.with_for_update(read=True)) is not None

    def make_real(self, uid: str) -> None:
        """Keep a preview, whether it has been read or not."""
        was_preview = dataset.c.state == DatasetState.PREVIEW
        state = sa.case((was_preview, DatasetState.READY.value), else_=dataset.c.state)
        self.connection.execute(
            dataset.update().where(dataset.c.uid == uid).values(state=state, preview=False, expires_at=None)
        )

    def remove(self, uid: str) -> None:
        self.connection.execute(dataset.delete().where(dataset.c.uid == uid))

    def contents(self) -> set[str]:
        """Return the names of all blobs of datasets, those included that only jobs refer to."""
        names = (
            sa.select(column).where(column.is_not(None)) for column in (dataset.c.content, job.c.content)
        )
        return set(self.connection.scalars(sa.union(*names)))

    # -- the keeper of a reader ----------------------------------------------------------------------

    def beat(self, uid: str, progress: DatasetProgress | None) -> bool:
        """Give a sign of life, with progress if there is any; return False if it is not wanted any more."""
        values: dict[str, Any] = {"seen_at": clock.now()}
        return self._reading(uid, **(values if progress is None else {**values, "progress": progress}))

    def finish(self, uid: str, table: Table, content: str, *, preview_s: float) -> bool:
        """Write what was found; return False if nobody waits for it any more."""
        preview = dataset.c.preview.is_(True)
        return self._reading(
            uid,
            state=sa.case((preview, DatasetState.PREVIEW.value), else_=DatasetState.READY.value),
            expires_at=sa.case((preview, clock.after(preview_s)), else_=sa.null()),
            found=table,
            content=content,
            progress=None,
        )

    def fail(self, uid: str, problem: DatasetProblem) -> bool:
        """Write why it could not be read; return False if nobody waits for it any more."""
        return self._reading(uid, state=DatasetState.FAILED.value, problem=problem)

    def _reading(self, uid: str, **values: Any) -> bool:
        changed = self.connection.execute(
            dataset.update()
            .where(dataset.c.uid == uid, dataset.c.state == DatasetState.READING)
            .values(values)
        )
        return bool(changed.rowcount)

    # -- the reaper ----------------------------------------------------------------------------------

    def abandon(self, silent_s: float, problem: DatasetProblem) -> int:
        """Fail those whose keeper has been silent for so long; return their number."""
        changed = self.connection.execute(
            dataset.update()
            .where(dataset.c.state == DatasetState.READING, clock.stale(dataset.c.seen_at, silent_s))
            .values(state=DatasetState.FAILED, problem=problem)
        )
        return changed.rowcount

    def expire(self) -> int:
        """Remove the previews whose time is over; return their number."""
        over = dataset.delete().where(
            dataset.c.state == DatasetState.PREVIEW, dataset.c.expires_at <= clock.now()
        )
        return self.connection.execute(over).rowcount


def _summaries() -> sa.Select[Any]:
    """The query for summaries, whose columns stay in the database."""
    names = ("id", "uid", "name", "state", "file", "progress", "problem", "created_at", "expires_at")
    kept = (dataset.c[name] for name in names)
    return sa.select(*kept, *(dataset.c.found[part].label(part) for part in LISTED))


def _progress(row: Any, file: File) -> DatasetProgress:
    return DatasetProgress.model_validate(row.progress or DatasetProgress(bytes=file.bytes, share=1.0))


def _row(row: Any) -> DatasetRow:
    file = File.model_validate(row.file)
    view = DatasetView(
        name=row.name,
        state=DatasetState(row.state),
        progress=_progress(row, file),
        problem=row.problem,
        file=file,
        choices=Choices.model_validate(row.choices),
        table=None if row.found is None else Table.model_validate(row.found),
        content=row.content,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
    return DatasetRow(uid=row.uid, preview=row.preview, view=view)


def _summary(row: Any) -> DatasetSummary:
    found = {part: getattr(row, part) for part in LISTED}
    file = File.model_validate(row.file)
    return DatasetSummary(
        id=row.id,
        name=row.name,
        state=DatasetState(row.state),
        file=file,
        found=None if found["rows"] is None else found,
        progress=_progress(row, file),
        problem=None if row.problem is None else DatasetProblem.model_validate(row.problem),
        created_at=row.created_at,
        expires_at=row.expires_at,
    )

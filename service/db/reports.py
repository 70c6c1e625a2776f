"""The rows that say where each job's report is stored, and how often making it was tried.

A report is derived from its job's rows, so that writing here moves no revision of the job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from whichopt.service.db import clock
from whichopt.service.db.jobs import Jobs
from whichopt.service.db.tables import job, report
from whichopt.service.states import JobState

MAX_ATTEMPTS = 3
"""Number of tries to make a report before it is given up, until its evidence or its renderer changes."""


FORMS = ("html", "json", "examples")
"""Columns of blobs: of the two forms of a report, and of values by example that are too many for its JSON."""


@dataclass(frozen=True)
class ReportRow:
    """A job, and what is kept of its report.

    `blobs` are the names of the blobs by form (`FORMS`). They show the job as it was at `revision` and
    were made by `renderer`; both are None if nobody has tried yet.
    """

    job_id: int
    state: JobState
    concluded: bool
    job_revision: int
    revision: int | None
    renderer: str | None
    blobs: Mapping[str, str]
    attempts: int
    error: str | None

    def is_current(self, renderer: str) -> bool:
        """Tell if the row is about the job as it is now, and about this renderer."""
        return (self.revision, self.renderer) == (self.job_revision, renderer)


ENDED = "its maker was ended before it was done"
"""The error of a try until it ends otherwise: a page may take more memory or time than its maker is given."""


class Reports:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def of_job(self, uid: str) -> ReportRow | None:
        """Return the job with what is kept of its report; None if there is no such job."""
        row = self.connection.execute(
            sa.select(
                job.c.id,
                job.c.state,
                job.c.revision.label("job_revision"),
                job.c.recommendation.is_not(sa.null()).label("concluded"),
                *(report.c[name] for name in ("revision", "renderer", *FORMS, "attempts", "error")),
            )
            .join_from(job, report, isouter=True)
            .where(job.c.uid == uid)
        ).one_or_none()
        if row is None:
            return None
        return ReportRow(
            job_id=row.id,
            state=JobState(row.state),
            concluded=bool(row.concluded),
            job_revision=row.job_revision,
            revision=row.revision,
            renderer=row.renderer,
            blobs={form: name for form in FORMS if (name := getattr(row, form)) is not None},
            attempts=row.attempts or 0,
            error=row.error,
        )

    def begin(self, job_id: int, revision: int, renderer: str, *, counts: bool = True) -> None:
        """Note a try to make the report; forget what another renderer or another revision has left.

        Only a try that `counts` may be the last one: that of the page, which is what can fail.
        """
        Jobs(self.connection).lock(job_id)
        now = clock.now()
        same = (report.c.job_id == job_id, report.c.revision == revision, report.c.renderer == renderer)
        counted = {"attempts": report.c.attempts + 1, "error": ENDED} if counts else {}
        again = self.connection.execute(report.update().where(*same).values(rung_at=now, **counted))
        if again.rowcount:
            return
        first: dict[str, Any] = {
            "revision": revision,
            "renderer": renderer,
            **dict.fromkeys(FORMS),
            "attempts": int(counts),
            "error": ENDED if counts else None,
            "rung_at": now,
        }
        known = self.connection.execute(report.update().where(report.c.job_id == job_id).values(first))
        if not known.rowcount:  # a job of an earlier version
            self.connection.execute(report.insert().values(job_id=job_id, **first))

    def keep(self, job_id: int, revision: int, renderer: str, *, form: str, blob: str) -> None:
        """Name the blob that was made, unless another renderer has begun since.

        The page is made last: with it the tries that came before are forgotten.
        """
        ended = {"attempts": 0, "error": None} if form == "html" else {}
        self._update(job_id, revision, renderer, **{form: blob}, **ended)

    def fail(
        self, job_id: int, revision: int, renderer: str, error: str | None, *, counts: bool = True
    ) -> None:
        """Remember why a try has failed; None if the report itself is not to blame.

        Unless it `counts`, the try is taken back: what stopped it will pass.
        """
        back = (
            {} if counts else {"attempts": sa.case((report.c.attempts > 0, report.c.attempts - 1), else_=0)}
        )
        self._update(job_id, revision, renderer, error=error, **back)

    def owed(self, not_rung_for_s: float) -> list[int]:
        """Return the jobs whose report is missing and was not rung for of late; note that it is now.

        Jobs that concluded before reports were kept have no row, and theirs is made when it is asked for.
        """
        waiting = report.update().where(
            sa.or_(report.c.html.is_(None), report.c.json.is_(None)),
            report.c.attempts < MAX_ATTEMPTS,
            clock.stale(report.c.rung_at, not_rung_for_s),
        )
        return sorted(self.connection.scalars(waiting.values(rung_at=clock.now()).returning(report.c.job_id)))

    def _update(self, job_id: int, revision: int, renderer: str, **values: Any) -> None:
        self.connection.execute(
            report.update()
            .where(report.c.job_id == job_id, report.c.revision == revision, report.c.renderer == renderer)
            .values(**values)
        )

"""The times of a job, by the database's clock."""

from __future__ import annotations

import sqlalchemy as sa

from whichopt.service.db import clock
from whichopt.service.db.tables import job, trial


class JobTimes:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def running_s(self, job_id: int) -> float:
        """The time since the job's first claim; 0 before one."""
        started_at = self.connection.scalar(sa.select(job.c.started_at).where(job.c.id == job_id))
        return 0.0 if started_at is None else (clock.read(self.connection) - started_at).total_seconds()

    def elapsed_s(self, job_id: int) -> float | None:
        """From the job's first claim to the last of its results, less its standstills; None before one."""
        started_at = self.connection.scalar(sa.select(job.c.started_at).where(job.c.id == job_id))
        last = self.connection.scalar(
            sa.select(sa.func.max(trial.c.finished_at)).where(trial.c.job_id == job_id)
        )
        if started_at is None or last is None:
            return None
        elapsed_s: float = (last - started_at).total_seconds()
        # Nothing is known of it if the clock was set back, or the job has stood still since its last result.
        return elapsed_s if elapsed_s > 0 else None

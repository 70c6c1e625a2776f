"""The workers that are there: a row each, kept fresh by the worker itself."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from service.db.tables import worker


class Workers:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def seen(self, name: str, *, queue: str, processes: int = 1) -> None:
        """Notes that worker `name` lives, which takes work from `queue` for so many processes."""
        now = datetime.now(UTC)
        state = {"queue": queue, "processes": processes, "seen_at": now}
        known = self.connection.execute(worker.update().where(worker.c.name == name).values(state))
        if known.rowcount == 0:
            self.connection.execute(
                worker.insert().values(name=name, stopping=False, started_at=now, **state)
            )

    def stopping(self, name: str) -> None:
        """Asks the cohorts that `name` runs to be given back at their next tick."""
        self.connection.execute(worker.update().where(worker.c.name == name).values(stopping=True))

    def gone(self, name: str) -> None:
        self.connection.execute(worker.delete().where(worker.c.name == name))

    def live(self, within_s: float) -> dict[str, int]:
        """Workers seen in the last `within_s` seconds, by queue."""
        since = datetime.now(UTC) - timedelta(seconds=within_s)
        rows = self.connection.scalars(
            sa.select(worker.c.queue).where(worker.c.seen_at >= since, worker.c.stopping.is_(False))
        )
        return dict(Counter(rows))

    def processes(self, queue: str, *, within_s: float) -> int:
        """Processes that take work from `queue`, of the workers seen in the last `within_s` seconds."""
        since = datetime.now(UTC) - timedelta(seconds=within_s)
        query = sa.select(sa.func.coalesce(sa.func.sum(worker.c.processes), 0)).where(
            worker.c.queue == queue, worker.c.seen_at >= since, worker.c.stopping.is_(False)
        )
        return int(self.connection.execute(query).scalar_one())

    def processes_by_queue(self, within_s: float) -> Counter[str]:
        """Processes of the workers seen in the last `within_s` seconds, by queue."""
        since = datetime.now(UTC) - timedelta(seconds=within_s)
        query = (
            sa.select(worker.c.queue, sa.func.sum(worker.c.processes))
            .where(worker.c.seen_at >= since, worker.c.stopping.is_(False))
            .group_by(worker.c.queue)
        )
        return Counter({queue: int(count) for queue, count in self.connection.execute(query)})

    def live_on(self, host: str, *, within_s: float) -> bool:
        """Whether a worker of that host was seen in the last `within_s` seconds."""
        since = datetime.now(UTC) - timedelta(seconds=within_s)
        query = sa.select(worker.c.id).where(worker.c.seen_at >= since, worker.c.name.endswith(f"@{host}"))
        return self.connection.scalar(query.limit(1)) is not None

    def bury(self, older_than_s: float) -> None:
        """Forgets workers that have not been seen for long."""
        before = datetime.now(UTC) - timedelta(seconds=older_than_s)
        self.connection.execute(worker.delete().where(worker.c.seen_at < before))

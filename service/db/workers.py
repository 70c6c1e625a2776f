"""The workers that are there: a row each, kept fresh by the worker itself."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from service.db.tables import worker


class Workers:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def seen(self, name: str, *, queue: str) -> None:
        """Notes that worker `name`, which takes work from `queue`, lives."""
        now = datetime.now(UTC)
        known = self.connection.execute(
            worker.update().where(worker.c.name == name).values(seen_at=now, queue=queue)
        )
        if known.rowcount == 0:
            row = {"name": name, "queue": queue, "stopping": False, "started_at": now, "seen_at": now}
            self.connection.execute(worker.insert().values(row))

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

    def live_on(self, host: str, *, within_s: float) -> bool:
        """Whether a worker of that host was seen in the last `within_s` seconds."""
        since = datetime.now(UTC) - timedelta(seconds=within_s)
        query = sa.select(worker.c.id).where(worker.c.seen_at >= since, worker.c.name.endswith(f"@{host}"))
        return self.connection.scalar(query.limit(1)) is not None

    def bury(self, older_than_s: float) -> None:
        """Forgets workers that have not been seen for long."""
        before = datetime.now(UTC) - timedelta(seconds=older_than_s)
        self.connection.execute(worker.delete().where(worker.c.seen_at < before))

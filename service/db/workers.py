"""The workers that are there: a row each, kept fresh by the worker itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
import structlog
from pydantic import ValidationError
from sqlalchemy.dialects import postgresql, sqlite

from whichopt.service.catalog.plugins import OFFER, OFFERS, Offer
from whichopt.service.db import clock
from whichopt.service.db.tables import worker
from whichopt.service.failures import failure
from whichopt.service.states import Agreement

log = structlog.get_logger()


class Workers:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def seen(
        self,
        name: str,
        *,
        queue: str,
        processes: int = 1,
        agreement: Agreement | None = None,
        functions: Mapping[str, str] | None = None,
        plugins: Sequence[Offer] | None = None,
    ) -> None:
        """Note that worker `name` lives, which takes work from `queue` for so many processes.

        A row that was forgotten meanwhile gets its `agreement` back. `functions` has the source hash of each
        function that it offers, by name, and `plugins` are those that are installed there; None leaves what
        is known.
        """
        now = clock.now()
        state: dict[str, Any] = {"queue": queue, "processes": processes, "seen_at": now}
        if functions is not None:
            state["functions"] = dict(functions)
        if plugins is not None:
            state["plugins"] = OFFERS.dump_python(list(plugins), mode="json")
        new = self._insert().values(name=name, agreement=agreement, stopping=False, started_at=now, **state)
        self.connection.execute(new.on_conflict_do_update(index_elements=["name"], set_=state))

    def probed(self, name: str, *, queue: str, agreement: Agreement, processes: int = 1) -> None:
        """Note what a process of worker `name` found of its kernels.

        The first process that is ready makes the row: a worker lives once it can train. One process that
        found no agreement speaks for all of its worker.
        """
        now = clock.now()
        new = self._insert().values(
            name=name,
            queue=queue,
            processes=processes,
            agreement=agreement,
            stopping=False,
            started_at=now,
            seen_at=now,
        )
        worse = sa.case((worker.c.agreement == Agreement.CLOSE, Agreement.CLOSE), else_=agreement)
        self.connection.execute(new.on_conflict_do_update(index_elements=["name"], set_={"agreement": worse}))

    def answer_of(self, name: str) -> Agreement | None:
        """Return how far results agree on worker `name`, if one of its processes has said so."""
        answer = self.connection.scalar(sa.select(worker.c.agreement).where(worker.c.name == name))
        return None if answer is None else Agreement(answer)

    def agreement(self, queue: str, *, within_s: float) -> Agreement | None:
        """Return how far results agree on the live workers of a queue; None if no worker is live.

        A worker that has not answered may be of a version that asks for no agreement: it counts as CLOSE.
        """
        answers = self.connection.scalars(
            sa.select(worker.c.agreement).where(
                worker.c.queue == queue, clock.fresh(worker.c.seen_at, within_s), worker.c.stopping.is_(False)
            )
        ).all()
        if not answers:
            return None
        return Agreement.BITS if set(answers) == {Agreement.BITS} else Agreement.CLOSE

    def stopping(self, name: str) -> None:
        """Asks the cohorts that `name` runs to be given back at their next tick."""
        self.connection.execute(worker.update().where(worker.c.name == name).values(stopping=True))

    def gone(self, name: str) -> None:
        self.connection.execute(worker.delete().where(worker.c.name == name))

    def functions_of(self, name: str) -> list[str] | None:
        """Return the functions that worker `name` offers; None until it has told."""
        told = self.connection.scalar(sa.select(worker.c.functions).where(worker.c.name == name))
        return None if told is None else list(told)

    def plugins_of(self, name: str) -> list[Offer] | None:
        """Return the plug-ins that are installed where worker `name` runs; None until it has told."""
        told = self.connection.scalar(sa.select(worker.c.plugins).where(worker.c.name == name))
        return None if told is None else _offers(told)

    def plugins(self, *, within_s: float) -> list[tuple[str, str, Offer]]:
        """Return (worker, queue, plug-in) of all that live workers have, by worker."""
        rows = self.connection.execute(
            sa.select(worker.c.name, worker.c.queue, worker.c.plugins)
            .where(
                clock.fresh(worker.c.seen_at, within_s),
                worker.c.stopping.is_(False),
                worker.c.plugins.is_not(sa.null()),
            )
            .order_by(worker.c.name)
        )
        return [(row.name, row.queue, offer) for row in rows for offer in _offers(row.plugins)]

    def offers(self, *, within_s: float) -> list[tuple[str, str, str, str]]:
        """Return (worker, queue, function, source hash) of all that live workers offer, by worker."""
        rows = self.connection.execute(
            sa.select(worker.c.name, worker.c.queue, worker.c.functions)
            .where(clock.fresh(worker.c.seen_at, within_s), worker.c.stopping.is_(False))
            .order_by(worker.c.name)
        )
        return [
            (row.name, row.queue, function, source)
            for row in rows
            for function, source in (row.functions or {}).items()
        ]

    def live(self, within_s: float) -> dict[str, int]:
        """Training processes of the workers seen in the last `within_s` seconds, by queue."""
        rows = self.connection.execute(
            sa.select(worker.c.queue, sa.func.sum(worker.c.processes))
            .where(clock.fresh(worker.c.seen_at, within_s), worker.c.stopping.is_(False))
            .group_by(worker.c.queue)
        )
        return {queue: int(processes) for queue, processes in rows}

    def processes(self, queue: str, *, within_s: float) -> int:
        """Processes that take work from `queue`, of the workers seen in the last `within_s` seconds."""
        return self.live(within_s).get(queue, 0)

    def live_on(self, host: str, *, within_s: float) -> bool:
        """Tell if a worker of that host was seen in the last `within_s` seconds."""
        here = worker.c.name.endswith(f"@{host}", autoescape=True)
        query = sa.select(worker.c.id).where(clock.fresh(worker.c.seen_at, within_s), here)
        return self.connection.scalar(query.limit(1)) is not None

    def _insert(self) -> postgresql.Insert | sqlite.Insert:
        """An insert with `on_conflict_do_update`, which only the dialects have."""
        if self.connection.dialect.name == "postgresql":
            return postgresql.insert(worker)
        return sqlite.insert(worker)

    def bury(self, older_than_s: float) -> None:
        """Forgets workers that have not been seen for long."""
        self.connection.execute(worker.delete().where(clock.stale(worker.c.seen_at, older_than_s)))


def _offers(told: Any) -> list[Offer]:
    """Return the plug-ins of a row, but for those that a worker of another version tells otherwise."""
    found = []
    for one in told if isinstance(told, list) else ():
        try:
            found.append(OFFER.validate_python(one))
        except ValidationError as error:
            log.warning("plugin_not_understood", told=one, **failure(error))
    return found

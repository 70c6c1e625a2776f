"""A worker and plug-ins: what is installed beside it, and so what it can train."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whichopt.service.catalog.plugins import BrokenOffer, kind_of
from whichopt.service.installed import installed
from whichopt.service.spec.needs import need
from whichopt.service.steady import Steady
from whichopt.workers.identity import Identity, identity

if TYPE_CHECKING:
    from whichopt.service.db import Store


def are_here() -> bool:
    """Tell if any plug-in is installed beside this worker; none is imported for that."""
    return bool(installed())


def has(store: Store) -> frozenset[str]:
    """Return the plug-ins that this process's worker offers, as jobs' needs are called.

    One that was uninstalled since is among them: its jobs then fail with the reason. A process that left them
    to others would take their messages again and again, and nobody would see why they wait.
    """
    process = identity()
    if process is None:  # no process of its worker tells anything
        return frozenset(need(one.kind, one.name) for one in installed())
    with store.read() as tx:
        told = tx.workers.plugins_of(process.name) or []
    return frozenset(need(kind_of(one), one.name) for one in told if not isinstance(one, BrokenOffer))


class TellPlugins(Steady):
    """Writes into the worker's row what the plug-ins that are installed here offer."""

    def __init__(self, store: Store, process: Identity, *, pause_s: float) -> None:
        super().__init__("tell-plugins", pause_s, at_once=True)
        self.store = store
        self.process = process

    def step(self) -> None:
        from whichopt.workers.plugins.offered import offered

        name, queue, processes = self.process.name, self.process.queue, self.process.processes
        with self.store.read() as tx:
            if tx.workers.answer_of(name) is None:
                return  # until then the worker has no row
        found = offered()
        with self.store.transaction() as tx:
            tx.workers.seen(name, queue=queue, processes=processes, plugins=found)
        self.end()

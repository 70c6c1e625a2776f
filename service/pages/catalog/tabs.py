"""The tabs of the catalog's pages."""

from __future__ import annotations

from whichopt.service import plugins
from whichopt.service.catalog.built_in import Catalog
from whichopt.service.db import Store
from whichopt.service.settings import Settings


def known(store: Store, settings: Settings) -> Catalog:
    """Return the built-in entries, and those of the plug-ins that live workers offer."""
    with store.read() as tx:
        return plugins.offered(tx, within_s=settings.worker_alive_s)


def tabs(store: Store, settings: Settings) -> list[tuple[str, str, int]]:
    """Return the tabs: what the address says, the word, and how many entries there are."""
    with store.read() as tx:
        found = plugins.offered(tx, within_s=settings.worker_alive_s)
        installed = plugins.views(tx, within_s=settings.worker_alive_s)
    return [
        ("optimizers", "Optimizers", len(found.optimizers)),
        ("datasets", "Datasets", len(found.datasets)),
        ("models", "Models", len(found.models)),
        ("tasks", "Tasks", len(found.tasks)),
        ("functions", "Functions", len(settings.allowed_functions)),
        ("plugins", "Plug-ins", len(installed)),
    ]

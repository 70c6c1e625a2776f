"""The optimizer that a plan names, as its catalog entry: whichopt's own, or a plug-in's."""

from __future__ import annotations

from functools import cache

from whichopt.service.catalog import optimizers
from whichopt.service.catalog.optimizer_entry import OptimizerEntry
from whichopt.service.errors import UnknownName
from whichopt.service.installed import installed
from whichopt.workers.plugins.described import optimizer_offer
from whichopt.workers.plugins.loaded import loaded


def optimizer(name: str) -> OptimizerEntry:
    """Return the entry of that name. A plug-in is imported, once in a process.

    Raises:
        UnknownName: neither whichopt nor a package that is installed here has such an optimizer.
        PluginFailed: the plug-in cannot be used.
    """
    try:
        return optimizers.optimizer(name)
    except UnknownName:
        if all((one.kind, one.name) != ("optimizer", name) for one in installed()):
            raise
    return _of_a_plugin(name)


@cache
def _of_a_plugin(name: str) -> OptimizerEntry:
    return optimizer_offer(loaded("optimizer", name)).entry

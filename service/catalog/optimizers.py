"""The optimizers that a job may name.

Spaces respect inclusion: wherever a class has eps, weight decay or momentum, the space opens it, at every
budget, so that nobody wins by having more to tune.
"""

from __future__ import annotations

from whichopt.service.catalog import find
from whichopt.service.catalog.founding_optimizers import FOUNDING
from whichopt.service.catalog.growing_optimizers import GROWING
from whichopt.service.catalog.later_optimizers import LATER
from whichopt.service.catalog.optimizer_entry import OptimizerEntry
from whichopt.service.catalog.recent_optimizers import RECENT

OPTIMIZERS: tuple[OptimizerEntry, ...] = (*FOUNDING, *LATER, *RECENT, *GROWING)
"""In the order in which they are shown. The first is taken in the last ties, so a new one comes last."""


def optimizer(name: str, *, field: str | None = None) -> OptimizerEntry:
    return find("optimizer", name, OPTIMIZERS, field=field)

"""What each optimizer of the catalog does, for people."""

from __future__ import annotations

from collections.abc import Mapping

from whichopt.service.catalog.founding_updates import FOUNDING_UPDATES
from whichopt.service.catalog.growing_updates import GROWING_UPDATES
from whichopt.service.catalog.later_updates import LATER_UPDATES
from whichopt.service.catalog.recent_updates import RECENT_UPDATES
from whichopt.service.catalog.update import Update

UPDATES: Mapping[str, Update] = {**FOUNDING_UPDATES, **LATER_UPDATES, **RECENT_UPDATES, **GROWING_UPDATES}
"""The update of each optimizer of the catalog, by its name."""

"""Plans for the page of a new job, each kept for a while: a form asks for the same one again and again."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from weakref import WeakKeyDictionary

from whichopt.service import plans
from whichopt.service.db import Store
from whichopt.service.spec import ResolvedSpec
from whichopt.service.spec.digest import digest
from whichopt.service.views import JobPlan

KEPT_S = 60.0
"""Seconds for which a plan is kept: jobs that end in the meantime change what it says of time."""

MOST_KEPT = 64

Plans = OrderedDict[str, tuple[float, JobPlan]]

_LOCK = threading.Lock()
_KEPT: WeakKeyDictionary[Store, Plans] = WeakKeyDictionary()


def name_of(spec: ResolvedSpec) -> str:
    """Return the name of the spec's plan: the same for specs that differ in their names alone."""
    return digest(spec.model_copy(update={"name": None}))[:24]


def plan(store: Store, spec: ResolvedSpec, *, alive_s: float) -> JobPlan:
    """Return the plan of a job, as it is or was some seconds ago.

    Args:
        alive_s: how recently, in seconds, a worker must have been seen to count.

    Raises:
        Unavailable: others' plans take too long, or are too many; asking again will do.
    """
    name = name_of(spec)
    if (found := kept(store, name)) is not None:
        return found
    made = plans.plan(store, spec, alive_s=alive_s)
    with _LOCK:
        here = _KEPT.setdefault(store, OrderedDict())
        here[name] = (time.monotonic(), made)
        while len(here) > MOST_KEPT:
            here.popitem(last=False)
    return made


def kept(store: Store, name: str) -> JobPlan | None:
    """Return the plan of that name if it was made just now."""
    with _LOCK:
        at, found = _KEPT.get(store, {}).get(name, (0.0, None))
    return found if time.monotonic() - at < KEPT_S else None

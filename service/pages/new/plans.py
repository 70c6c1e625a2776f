"""Plans for the page of a new job, each kept for a while, as a form asks for the same one again and again."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from whichopt.service import plans
from whichopt.service.db import Store
from whichopt.service.errors import Unavailable
from whichopt.service.evidence.power.chances import Design, config_chances
from whichopt.service.figures.figure import Figure, Metric
from whichopt.service.figures.odds import Chances, chance_by_lead
from whichopt.service.spec import ResolvedSpec
from whichopt.service.spec.budget import TRIALS
from whichopt.service.spec.digest import digest
from whichopt.service.views import JobPlan

KEPT_S = 60.0
"""Seconds for which a plan is kept: jobs that end in the meantime change what it says of time."""

MOST_KEPT, MOST_FORMS = 64, 512

LOOK_S = 0.1
"""Seconds between two looks of a plan that waits at whether it is still asked for."""

SEEDS = (4, 10, 20)
"""Fresh seeds of the jobs that a plan's figure shows beside the plan's own."""


@dataclass(frozen=True)
class _Kept:
    at: float
    spec: ResolvedSpec
    plan: JobPlan


_LOCK = threading.Lock()
_KEPT: WeakKeyDictionary[Store, OrderedDict[str, _Kept]] = WeakKeyDictionary()
_ASKED: OrderedDict[str, str] = OrderedDict()
"""The name of the plan that each form asks for."""

_PLANNING = threading.Lock()
"""One plan for a page at a time, so that those for others, and for the API, find their turn."""

_SIMULATING = threading.Lock()
"""One simulation for a figure at a time: each takes some tenths of a second."""


def name_of(spec: ResolvedSpec) -> str:
    """Return the name of the spec's plan: the same for specs that differ in their names alone."""
    return digest(spec.model_copy(update={"name": None}))[:24]


def plan(store: Store, spec: ResolvedSpec, *, form: str, alive_s: float) -> JobPlan | None:
    """Return the plan of a job, as it is or was some seconds ago; None if its form asks for another by now.

    Args:
        form: what names the form; of those plans that it asks for only the last is made.
        alive_s: how recently, in seconds, a worker must have been seen to count.

    Raises:
        Unavailable: others' plans take too long, or are too many; asking again will do.
    """
    name = name_of(spec)
    if (found := kept(store, name)) is not None:
        return found
    with _LOCK:
        _ASKED[form] = name
        _ASKED.move_to_end(form)
        while len(_ASKED) > MOST_FORMS:
            _ASKED.popitem(last=False)
    end = time.monotonic() + plans.WAIT_S
    while not _PLANNING.acquire(timeout=LOOK_S):
        if _ASKED.get(form) != name:
            return None
        if time.monotonic() > end:
            raise Unavailable(plans.BUSY)
    try:
        if _ASKED.get(form) != name:
            return None
        made = kept(store, name) or plans.plan(store, spec, alive_s=alive_s)
    finally:
        _PLANNING.release()
    with _LOCK:
        here = _KEPT.setdefault(store, OrderedDict())
        here[name] = _Kept(time.monotonic(), spec, made)
        here.move_to_end(name)
        while len(here) > MOST_KEPT:
            here.popitem(last=False)
    return made


def kept(store: Store, name: str) -> JobPlan | None:
    """Return the plan of that name if it was made just now."""
    found = _found(store, name)
    return None if found is None or time.monotonic() - found.at > KEPT_S else found.plan


def words(plan: JobPlan) -> Figure | None:
    """Return the figure of a plan's chances without other jobs beside it: its words; None without chances."""
    return chance_by_lead((_own(plan, ""),)) if plan.power.config else None


def figure(store: Store, name: str) -> Figure | None:
    """Return the figure of the chances of a plan, beside jobs with fewer and with more fresh seeds.

    It is None if there is no such plan any more, or if the plan has no chances.
    """
    found = _found(store, name)
    if found is None or not found.plan.power.config:
        return None
    made, spec = found.plan, found.spec
    seeds = spec.budget.confirm_seeds
    curves = [_own(made, f"{seeds} seeds")]
    leads = tuple(row.lead for row in made.power.config)
    for other in (one for one in SEEDS if not 0.6 * seeds < one < 1.6 * seeds):
        design = Design(len(spec.labels), spec.budget.replicates, other, _study_trials(spec, made))
        with _SIMULATING:
            curves.append(
                Chances(f"{other} seeds", tuple(zip(leads, config_chances(design, leads), strict=True)))
            )
    return chance_by_lead(curves, lead=made.deviation, metric=Metric(made.metric, made.direction, "test"))


def _own(plan: JobPlan, name: str) -> Chances:
    return Chances(name, tuple((row.lead, row.chance) for row in plan.power.config), is_own=True)


def _study_trials(spec: ResolvedSpec, plan: JobPlan) -> int:
    """Return the search trials of a study: for minutes those that the plan counted, or the usual ones."""
    studies = spec.budget.replicates
    if spec.budget.trials is not None or spec.budget.settled is not None:
        return spec.budget.study_trials
    return max(
        1, TRIALS // studies if plan.cost is None else plan.cost.search // (studies * len(spec.labels))
    )


def _found(store: Store, name: str) -> _Kept | None:
    with _LOCK:
        return _KEPT.get(store, OrderedDict()).get(name)

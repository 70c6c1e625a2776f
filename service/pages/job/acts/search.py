"""Act 1: every trial by its validation value, one lane an optimizer."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from whichopt.service.evidence.forecast.leads import Leads, leads
from whichopt.service.pages.job.drawn_batches import growing
from whichopt.service.pages.job.lane_marks import Marks, search_marks
from whichopt.service.pages.job.lanes import Scale, in_columns, scale
from whichopt.service.pages.job.scene import Scene
from whichopt.service.pages.job.search_lane import (
    SearchLane,
    by_rank,
    hardly_moved,
    search_lanes,
    studies_so_far,
)
from whichopt.service.pages.job.search_words import leader_said, sentence
from whichopt.service.race import RunningCohort
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase

FIGURES = {
    **{f"best-{against}": f"best-so-far?against={against}" for against in ("trials", "steps", "seconds")},
    "learning": "learning-curves",
}
"""The figures of this act: their addresses below `/jobs/ID/figures/`, by the ids of their elements."""

BATCHES = {name: f"batches/{name}?phase=search" for name in ("batch-sizes", "batch-noise")}
"""Those of a job in which batches grow."""


@dataclass(frozen=True)
class Row:
    """A row of the race's table; `id` is that of its element, and `chance` that it leads at the end.

    `running` are the marks within `marks` that are of trials in training.
    """

    id: str
    lane: SearchLane
    marks: Markup
    running: Markup
    chance: float | None


@dataclass(frozen=True)
class RunningRow:
    """A cohort that is being trained, in words."""

    round: int
    count: int
    labels: str
    epoch: int
    epochs: int
    seconds: float | None
    worker: str


def values(scene: Scene) -> dict[str, Any]:
    """Return what `job/search.html` and its parts are filled with."""
    totals = {entry.optimizer: scene.spec.trials_of(entry.optimizer) for entry in _searched(scene)}
    kept = scene.memory.setdefault("lanes", {})
    lanes = search_lanes(scene.spec, scene.race, scene.tones, totals, kept)
    found = _leads(scene, lanes)
    shared = _scale(scene, lanes)
    rows = [
        _row(scene, lane, shared, None if found is None else found.chances[lane.label])
        for lane in by_rank(lanes)
    ]
    return {
        "sentence": sentence(scene, lanes, found),
        "leader_said": leader_said(lanes),
        "rows": rows,
        "shown": in_columns([lane.best[1] for lane in lanes if lane.best is not None]),
        "ticks": shared.ticks,
        "metric": scene.spec.goal.metric,
        "many": any(len(lane.trials) > 200 for lane in lanes),
        "counts": counts(lanes),
        "drawn_at": _figures_revision(lanes),
        "running": [running_row(scene.spec, cohort) for cohort in scene.race.running],
        "over": _over(scene),
        "figures": FIGURES | (BATCHES if growing(scene.spec) else {}),
        "empty": scene.job.state.ended and not any(lane.ended for lane in lanes),
    }


def _figures_revision(lanes: Sequence[SearchLane]) -> int:
    """A number that moves with the results, about 60 times in a search: so often figures are drawn."""
    ended = sum(lane.ended for lane in lanes)
    return ended // max(1, sum(lane.total for lane in lanes) // 60)


def counts(lanes: Sequence[SearchLane]) -> str:
    """Say how many trials there are in each state."""
    parts = (
        (sum(lane.ended for lane in lanes), "trials"),
        (sum(len(lane.parted.running) for lane in lanes), "running"),
        (sum(lane.parted.cut for lane in lanes), "pruned"),
        (sum(lane.parted.diverged for lane in lanes), "diverged"),
    )
    return ", ".join(f"{count:,} {what}" for count, what in parts if count or what == "trials")


def running_row(spec: ResolvedSpec, cohort: RunningCohort) -> RunningRow:
    """Return a cohort that is being trained, in words."""
    labels = [side.label for side in cohort.trials]
    each = {label: labels.count(label) for label in dict.fromkeys(labels)}
    passed = None if cohort.since is None else (datetime.now(UTC) - cohort.since).total_seconds()
    return RunningRow(
        round=cohort.round + 1,
        count=len(labels),
        labels=", ".join(f"{count} {label}" for label, count in each.items()),
        epoch=round(cohort.share * spec.budget.epochs),
        epochs=spec.budget.epochs,
        seconds=None if passed is None else max(0.0, passed),
        worker=cohort.worker or "",
    )


def _leads(scene: Scene, lanes: Sequence[SearchLane]) -> Leads | None:
    """The chances to lead at the end, computed when a hundredth of the results, or a better one, is new."""
    if _over(scene) or not all(lane.total for lane in lanes):
        return None
    kept = scene.memory.get("leads")
    if kept is None or not all(map(hardly_moved, kept[0], lanes)):
        replicates = scene.spec.budget.replicates
        found = leads({lane.label: studies_so_far(lane, replicates) for lane in lanes})
        kept = scene.memory["leads"] = (lanes, found)
    chances: Leads | None = kept[1]
    return chances


def _scale(scene: Scene, lanes: Sequence[SearchLane]) -> Scale:
    """The scale of all lanes, kept from before if no lane has changed."""
    kept = scene.memory.get("scale")
    if kept is None or kept[0] != lanes:
        values = itertools.chain.from_iterable(lane.shown_values for lane in lanes)
        kept = scene.memory["scale"] = (lanes, scale(values, scene.spec.goal.direction))
    found: Scale = kept[1]
    return found


def _row(scene: Scene, lane: SearchLane, shared: Scale, chance: float | None) -> Row:
    id_ = f"lane-{scene.spec.labels.index(lane.label)}"
    marks = _marks(scene, lane, shared)
    running = marks.running(lane, scene.race.latest, id=f"{id_}-running")
    return Row(id_, lane, marks.with_running(running), running, chance)


def _marks(scene: Scene, lane: SearchLane, shared: Scale) -> Marks:
    """The lane's drawing, kept from before but for the trials that are being trained."""
    kept: dict[str, Marks] = scene.memory.setdefault("marks", {})
    before = kept.get(lane.label)
    # Of a search that is over everything is drawn, to the last trial.
    if before is None or not (before.hold_for(lane, shared) and (before.lane is lane or not _over(scene))):
        before = kept[lane.label] = search_marks(lane, shared)
    return before


def _over(scene: Scene) -> bool:
    """Tell if no trial of the search is to come."""
    return scene.job.state.ended or scene.job.phase is Phase.CONFIRM


def _searched(scene: Scene) -> list[Any]:
    labels = set(scene.spec.labels)
    return [entry for entry in scene.job.ledger if entry.optimizer in labels]

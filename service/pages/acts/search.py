"""Act 1: every trial by its validation value, one lane an optimizer."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from whichopt.service.evidence.forecast.leads import Leads, StudySoFar, leads
from whichopt.service.pages.lane_marks import search_marks
from whichopt.service.pages.lanes import Scale, scale
from whichopt.service.pages.scene import Scene
from whichopt.service.pages.search_lane import ENDED, SearchLane, by_rank, search_lanes
from whichopt.service.pages.search_words import leader_said, sentence
from whichopt.service.race import RaceTrial, RunningCohort
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import TrialState


@dataclass(frozen=True)
class Row:
    """A row of the race's table; `id` is that of its element, and `chance` that it leads at the end."""

    id: str
    lane: SearchLane
    marks: Markup
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
    lanes = search_lanes(scene.spec, scene.race, scene.tones, totals)
    found = _leads(scene, lanes)
    shared = scale(
        itertools.chain.from_iterable(lane.shown_values for lane in lanes), scene.spec.goal.direction
    )
    rows = [
        Row(
            id=f"lane-{scene.spec.labels.index(lane.label)}",
            lane=lane,
            marks=_marks(scene, lane, shared),
            chance=None if found is None else found.chances[lane.label],
        )
        for lane in by_rank(lanes)
    ]
    return {
        "sentence": sentence(scene, lanes, found),
        "leader_said": leader_said(lanes),
        "rows": rows,
        "ticks": shared.ticks,
        "metric": scene.spec.goal.metric,
        "many": any(len(lane.trials) > 200 for lane in lanes),
        "counts": counts(lanes),
        "running": [running_row(scene.spec, cohort) for cohort in scene.race.running],
        "over": scene.job.state.ended or scene.job.phase == "confirm",
    }


def counts(lanes: Sequence[SearchLane]) -> str:
    """Say how many trials there are in each state."""
    parts = (
        (sum(lane.ended for lane in lanes), "trials"),
        (sum(len(lane.running) for lane in lanes), "running"),
        (sum(len(lane.pruned) for lane in lanes), "pruned"),
        (sum(lane.diverged for lane in lanes), "diverged"),
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


def studies_so_far(lane: SearchLane, replicates: int) -> list[StudySoFar]:
    """Return the studies of a lane as they stand in the middle of their search."""
    found: dict[int, list[RaceTrial]] = {replicate: [] for replicate in range(replicates)}
    for trial in lane.trials:
        found.setdefault(trial.replicate or 0, []).append(trial)
    sign, each = lane.direction.sign, lane.total // max(1, replicates)
    studies = []
    for trials in found.values():
        ended = [trial for trial in trials if trial.state in ENDED]
        done = [one.value for one in ended if one.state is TrialState.COMPLETE and one.value is not None]
        losses = tuple(sign * value for value in done)
        studies.append(StudySoFar(losses, len(ended), max(0, each - len(ended))))
    return studies


def _leads(scene: Scene, lanes: Sequence[SearchLane]) -> Leads | None:
    """The chances to lead at the end, computed once for each state of the results."""
    if scene.job.state.ended or scene.job.phase == "confirm" or not all(lane.total for lane in lanes):
        return None
    key = tuple((lane.label, lane.ended, lane.total) for lane in lanes)
    kept = scene.memory.get("leads")
    if kept is None or kept[0] != key:
        replicates = scene.spec.budget.replicates
        found = leads({lane.label: studies_so_far(lane, replicates) for lane in lanes})
        kept = scene.memory["leads"] = (key, found)
    chances: Leads | None = kept[1]
    return chances


def _marks(scene: Scene, lane: SearchLane, shared: Scale) -> Markup:
    """The lane's drawing, kept from before if nothing in it has changed."""
    kept: dict[str, tuple[Any, Markup]] = scene.memory.setdefault("lanes", {})
    # The trials that have not changed are the same objects, so this compares no more than their places.
    state: Mapping[str, Any] = {"trials": lane.trials, "latest": lane.latest, "scale": shared}
    before = kept.get(lane.label)
    if before is None or before[0] != state:
        before = kept[lane.label] = (state, search_marks(lane, shared))
    return before[1]


def _searched(scene: Scene) -> list[Any]:
    labels = set(scene.spec.labels)
    return [entry for entry in scene.job.ledger if entry.optimizer in labels]

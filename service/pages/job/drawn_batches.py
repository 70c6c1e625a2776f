"""How the batches of a job's best trials, or of its finalists, have grown: drawn from the curves of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from whichopt.service.batches import NOISE_CURVE, SIZE_CURVE, first_size, last_size
from whichopt.service.figures import batches
from whichopt.service.figures.batches import Grown
from whichopt.service.figures.figure import Figure
from whichopt.service.pages.job.scene import Scene, recommendation_of
from whichopt.service.pages.job.search_lane import search_lanes
from whichopt.service.race import RaceTrial
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase
from whichopt.service.training_words import growing_part

RUNS = {
    Phase.SEARCH: "best trial of each optimizer",
    Phase.CONFIRM: "fresh-seed runs of each optimizer's best config",
}

Name = Literal["batch-sizes", "batch-noise"]

DRAWN: Mapping[Name, Callable[..., Figure | None]] = {
    "batch-sizes": batches.batch_sizes,
    "batch-noise": batches.batch_noise,
}


def growing(spec: ResolvedSpec) -> bool:
    """Tell if the batches of some optimizer of a job grow."""
    return any(growing_part(spec, one.label, one.default) for one in spec.optimizers)


def drawn(shown: Scene, phase: Phase) -> list[Figure]:
    """Draw how batches grew in one phase; nothing if no such trial has ended yet."""
    if not growing(shown.spec):
        return []
    trials = _best(shown) if phase is Phase.SEARCH else _finalists(shown)
    ids = [trial.id for runs in trials.values() for trial in runs]
    with shown.store.read() as tx:
        sizes, noise = (tx.races.curves(ids, curve=curve) for curve in (SIZE_CURVE, NOISE_CURVE))
    found = []
    for label, runs in trials.items():
        own = growing_part(shown.spec, label, runs[0].config)
        curves = [
            [[(point.examples, point.value) for point in of.get(run.id, [])] for run in runs]
            for of in (sizes, noise)
        ]
        if own is not None and any(curves[0]):
            found.append(Grown(label, first_size(own), last_size(own), *curves))
    if not found:
        return []
    made = (draw(found, shown.tones, runs=RUNS[phase]) for draw in DRAWN.values())
    return [one for one in made if one is not None]


def _best(shown: Scene) -> dict[str, list[RaceTrial]]:
    """Return the best search trial of each optimizer whose batches grow."""
    lanes = search_lanes(shown.spec, shown.race, shown.tones, {})
    best = {lane.label: lane.best[0] for lane in lanes if lane.best is not None}
    return {label: [trial] for label, trial in best.items() if growing_part(shown.spec, label, trial.config)}


def _finalists(shown: Scene) -> dict[str, list[RaceTrial]]:
    """Return the fresh-seed runs of the best config of each optimizer whose batches grow."""
    found: dict[str, list[RaceTrial]] = {}
    for row in recommendation_of(shown).ranking:
        if growing_part(shown.spec, row.optimizer, row.config):
            runs = shown.race.confirmed.get(row.optimizer, ())
            own = [run for run in runs if _is(shown.spec, run, row.config)]
            found |= {row.optimizer: own} if own else {}
    return found


def _is(spec: ResolvedSpec, run: RaceTrial, config: Mapping[str, Any]) -> bool:
    return spec.shown(run.label, dict(run.config)) == config

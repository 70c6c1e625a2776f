"""The looks of jobs, computed once for each look and shared by all who see the page."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from whichopt.service.evidence.analysis.tunability import default_and_tuned
from whichopt.service.evidence.statistics.estimates import mean
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable, read_confirm_table
from whichopt.service.evidence.verdict.look_by_look import Looks, look_by_look
from whichopt.service.figures.tuning import Tuned
from whichopt.service.pages.job.scene import Scene
from whichopt.service.race import RaceTrial
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase, TrialState
from whichopt.service.trial_set import counted
from whichopt.service.trials import Trial, TrialPlan, TrialResult
from whichopt.service.turns import turn

MOST_KEPT = 64
"""Number of jobs whose looks are kept; each has a few kB."""

Key = tuple[str, int, bool]


@dataclass(frozen=True)
class Confirmed:
    """What confirm has found so far.

    `tuned` has each optimizer's default and what its studies chose, by their means over the fresh seeds of
    every finalist; it is empty before there are any. `worst` is what a constant predictor scores on the split
    that is judged, None if no run knows.
    """

    looks: Looks
    tuned: tuple[Tuned, ...]
    worst: float | None


_kept: OrderedDict[str, tuple[Key, Confirmed]] = OrderedDict()
_lock = threading.Lock()


def looks_of(scene: Scene) -> Looks:
    """Return the job's looks, as `confirmed` has them."""
    return confirmed(scene).looks


def looks_if_kept(scene: Scene) -> Looks | None:
    """Return the job's looks if nothing has to be computed for them."""
    found = _found(scene)
    return None if found is None else found.looks


def confirmed(scene: Scene) -> Confirmed:
    """Return what confirm has found; it is computed if a look was taken since it was last asked for.

    Raises:
        Unavailable: somebody else has been computing them for too long to wait for.
    """
    key = _key(scene)
    found = _found(scene)
    if found is not None:
        return found
    with turn("looks", scene.job.id):
        found = _found(scene)
        if found is None:
            found = _computed(scene)
            with _lock:
                _kept[scene.job.id] = key, found
                _kept.move_to_end(scene.job.id)
                while len(_kept) > MOST_KEPT:
                    _kept.popitem(last=False)
    return found


def _found(scene: Scene) -> Confirmed | None:
    with _lock:
        known = _kept.get(scene.job.id)
    return known[1] if known is not None and known[0] == _key(scene) else None


def _key(scene: Scene) -> Key:
    """What the looks depend on: between two of them nothing that they show changes."""
    job = scene.job
    if job.state.ended:
        return job.id, job.revision, True
    confirm = job.progress.confirm
    taken = [] if confirm is None else [seeds for seeds in confirm.looks if seeds <= confirm.seeds_done]
    return job.id, max(taken, default=0), False


def _computed(scene: Scene) -> Confirmed:
    spec = scene.spec
    with scene.store.read() as tx:
        confirm = tx.trials.of_job(scene.job_id, curve=None, phase=Phase.CONFIRM)
    # The race has the search already: of its thousands of trials, plans need not be read again.
    search = [_trial(one) for trials in scene.race.searched.values() for one in trials]
    counting = counted([*search, *confirm], scene.job.concluded_seeds)
    looks = look_by_look(spec, counting, ended=scene.job.state.ended)
    table = read_confirm_table(spec, counting) if looks.taken else None
    return Confirmed(
        looks=looks,
        tuned=tuple(_tuned(spec, table, label) for label in spec.labels) if table else (),
        worst=_constant(spec, counting),
    )


def _trial(one: RaceTrial) -> Trial:
    """A search trial, with what its job is judged by."""
    facts: dict[str, Any] = {
        "label": one.label,
        "config": dict(one.config),
        "phase": one.phase,
        "origin": one.origin,
        "replicate": one.replicate,
        "number": one.number,
    }
    plan = TrialPlan.model_construct(**facts)
    result = None
    if one.state.has_result:
        state: Any = one.state
        result = TrialResult.model_construct(
            state=state,
            value=one.value if one.state is TrialState.COMPLETE else None,
            metrics={},
            curves={},
            reference=None,
            steps=one.steps,
            examples=one.examples,
            seconds=one.seconds,
        )
    return Trial(plan=plan, state=one.state, result=result)


def _tuned(spec: ResolvedSpec, table: ConfirmTable, label: str) -> Tuned:
    default, tuned = default_and_tuned(table, label)
    sign = spec.goal.sign
    return Tuned(
        label=label,
        default=sign * mean(default) if default else None,
        tuned=sign * mean([mean(row) for row in tuned]) if tuned else None,
    )


def _constant(spec: ResolvedSpec, trials: Sequence[Trial]) -> float | None:
    """Return what a constant predictor scores on the split that is judged; None if no run knows."""
    if spec.guest is not None:
        return spec.guest.baseline
    known = (trial.result.reference for trial in trials if trial.result is not None)
    return next((reference[spec.goal.metric] for reference in known if reference), None)

"""The looks of jobs, computed once for each look and shared by all who see the page."""

from __future__ import annotations

import threading
from collections import OrderedDict

from whichopt.service.evidence.verdict.look_by_look import Looks, look_by_look
from whichopt.service.pages.scene import Scene
from whichopt.service.trial_set import counted
from whichopt.service.turns import turn

MOST_KEPT = 64
"""Number of jobs whose looks are kept; each has a few kB."""

Key = tuple[str, int, bool]

_kept: OrderedDict[str, tuple[Key, Looks]] = OrderedDict()
_lock = threading.Lock()


def looks_of(scene: Scene) -> Looks:
    """Return the job's looks; they are computed if one was taken since they were last asked for.

    Raises:
        Unavailable: somebody else has been computing them for too long to wait for.
    """
    key = _key(scene)
    found = looks_if_kept(scene)
    if found is not None:
        return found
    with turn("looks", scene.job.id):
        found = looks_if_kept(scene)
        if found is None:
            found = _computed(scene)
            with _lock:
                _kept[scene.job.id] = key, found
                _kept.move_to_end(scene.job.id)
                while len(_kept) > MOST_KEPT:
                    _kept.popitem(last=False)
    return found


def looks_if_kept(scene: Scene) -> Looks | None:
    """Return the job's looks if nothing has to be computed for them."""
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


def _computed(scene: Scene) -> Looks:
    with scene.store.read() as tx:
        trials = tx.trials.of_job(scene.job_id, curve=None)
    counting = counted(trials, scene.job.concluded_seeds)
    return look_by_look(scene.spec, counting, ended=scene.job.state.ended)

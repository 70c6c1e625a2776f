"""Finds the studies that had no config left to try."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from whichopt.service.configs import room
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase
from whichopt.service.trials import Trial


def exhausted(spec: ResolvedSpec, trials: Sequence[Trial]) -> dict[str, int]:
    """Return the labels whose studies ran out of configs before they ran out of trials, with the number of
    configs of each space.

    Earlier versions spent the rest on configs that had been trained; the labels of such a job are left out.
    """
    ran = Counter(trial.plan.label for trial in trials if trial.plan.phase is Phase.SEARCH)
    room_of = {}
    for chosen in spec.optimizers:
        configs = room(chosen.searched, chosen.default)
        more = spec.budget.timed or configs < spec.budget.study_trials
        if more and ran[chosen.label] == spec.budget.replicates * configs:
            room_of[chosen.label] = configs
    return room_of

"""Which studies had no config left to try."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from whichopt.service.configs import room
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase
from whichopt.service.trials import Trial


def exhausted(spec: ResolvedSpec, trials: Sequence[Trial]) -> dict[str, int]:
    """The labels whose studies trained every config of their space, with how many that are, where the budget
    had more trials for them.

    Earlier versions spent those on configs that had been trained: such a job's labels are not among them.
    """
    ran = Counter(trial.plan.label for trial in trials if trial.plan.phase is Phase.SEARCH)
    found = {}
    for chosen in spec.optimizers:
        configs = room(chosen.searched, chosen.default)
        more = spec.budget.timed or configs < spec.budget.study_trials
        if more and ran[chosen.label] == spec.budget.replicates * configs:
            found[chosen.label] = configs
    return found

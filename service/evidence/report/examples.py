"""Checks the values by example of a report's trials against the metrics that they are the parts of."""

from __future__ import annotations

import math
from collections.abc import Iterator

from whichopt.service.by_example import kept_count, read
from whichopt.service.evidence.verdict.over_examples import judged_examples
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import Trial

RELATIVE = 1e-6
"""Of the mean size of the values: a float32 is exact to 6e-8 of its own, and so is their mean."""


def contradictions_by_example(spec: ResolvedSpec, trial: Trial) -> Iterator[str]:
    """Yield what the trial's values by example say otherwise than its result; a trial need not have any.

    If all examples are kept, their mean is the metric. Of a part of them, nothing says what it must be.
    """
    result = trial.result
    if result is None or result.by_example is None:
        return
    if trial.plan.phase is not Phase.CONFIRM or trial.state is not TrialState.COMPLETE:
        yield "it has values by example, which only complete confirm runs have"
        return
    try:
        values = read(result.by_example).tolist()
    except ValueError as error:
        yield str(error)
        return
    size = judged_examples(spec)
    if size is None or len(values) != kept_count(size):
        of = "an unknown number" if size is None else f"{size:,}"
        yield f"it has values of {len(values):,} examples, of a test split of {of}"
        return
    if not all(map(math.isfinite, values)):
        yield "one of its values by example is not a finite number"
        return
    if result.value is None or kept_count(size) < size:
        return
    mean = math.fsum(values) / size
    if abs(mean - result.value) > RELATIVE * math.fsum(map(abs, values)) / size:
        yield (
            f"its {spec.goal.metric} is {result.value}, but the mean of its {size:,} values by example is "
            f"{mean}"
        )

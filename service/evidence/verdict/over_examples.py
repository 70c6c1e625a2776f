"""Whether the recommended config's lead would hold on new test examples, drawn as these were.

The verdicts take the test split as it is: their unit is a seed or a study. If the metric is a mean over
examples, confirm has kept its value on each of them (`whichopt.service.by_example`), and the lead over the
best rival gets a second interval, over seeds and examples together
(`whichopt.service.evidence.statistics.examples`), on the same seeds and at the same level as the verdict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from whichopt.service.by_example import kept_count, read
from whichopt.service.evidence.statistics.estimates import ALPHA
from whichopt.service.evidence.statistics.examples import OverBoth, over_seeds_and_examples
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable
from whichopt.service.evidence.verdict.margin import worsened
from whichopt.service.evidence.verdict.winners import ConfigVerdict
from whichopt.service.planning.looks import Look
from whichopt.service.spec import Margin, ResolvedSpec
from whichopt.service.trial_set import TrialSet
from whichopt.service.trials import Trial
from whichopt.service.views import OverExamples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]


def over_examples(
    spec: ResolvedSpec, trials: Sequence[Trial], table: ConfirmTable, verdict: ConfigVerdict, look: Look
) -> OverExamples | None:
    """Return the lead over seeds and examples; None if the values by example are not all there."""
    size = judged_examples(spec)
    pick = verdict.pick
    rivals = _rivals(table, pick)
    if size is None or table.has_nothing or not rivals or not table.shown(pick):
        return None
    values = _values(spec, trials, table, kept_count(size))
    if pick not in values or not all(rival in values for rival in rivals):
        return None
    nearest = min(rivals, key=lambda rival: table.means[rival])
    lead = _lead(table, values, pick, nearest, size)
    if lead is None:
        return None
    low, high = lead.bounds(look.config_level(ALPHA / 2))
    if not all(map(math.isfinite, (low, high))):
        return None
    return OverExamples(
        rival=table.arms[nearest].label,
        mean=lead.mean,
        low=low,
        high=high,
        examples=size,
        kept=kept_count(size),
        seeds=len(table.seeds),
        level=1 - ALPHA,
        holds=_holds(spec, table, values, verdict, rivals, look),
    )


def judged_examples(spec: ResolvedSpec) -> int | None:
    """Return the number of examples that runs are judged on; None if nobody knows."""
    if spec.guest is None:
        return spec.sizes.test
    known = spec.guest.rehearsed
    return None if known is None or known.parts is None else known.parts[2]


def _rivals(table: ConfirmTable, pick: int) -> list[int]:
    """The arms of the other labels that can be deployed; an only label's rival is its default."""
    label = table.arms[pick].label
    if len(table.labels) > 1:
        return [i for i in table.clean if table.arms[i].label != label]
    return [i for i in table.clean if table.arms[i].is_default and i != pick]


def _values(
    spec: ResolvedSpec, trials: Sequence[Trial], table: ConfirmTable, count: int
) -> Mapping[int, Matrix]:
    """The values by seed and example of each arm of the table that has them all."""
    import numpy as np

    confirm = TrialSet(spec, trials).by_finalist
    found: dict[int, Matrix] = {}
    for at, arm in enumerate(table.arms):
        kept = _by_seed(confirm.get(arm.key, ()))
        rows = [read(kept[seed]) for seed in table.seeds if seed in kept]
        if len(rows) == len(table.seeds) and all(
            len(row) == count and np.isfinite(row).all() for row in rows
        ):
            found[at] = np.stack(rows)
    return found


def _by_seed(runs: Sequence[Trial]) -> dict[int, str]:
    return {
        run.plan.number: run.result.by_example
        for run in runs
        if run.result is not None and run.result.by_example is not None
    }


def _lead(
    table: ConfirmTable,
    values: Mapping[int, Matrix],
    pick: int,
    rival: int,
    size: int,
    margin: Margin | None = None,
) -> OverBoth | None:
    """How much better the pick is than the rival, beyond the margin if there is one.

    The mean is that of the whole test split, as the table has it.
    """
    import numpy as np

    losses = table.losses[pick]
    bar = worsened(losses, margin)
    beyond = np.asarray(bar) - np.asarray(losses)
    return over_seeds_and_examples(
        table.sign * (values[rival] - values[pick]) - beyond[:, None],
        center=table.difference(rival, pick, bar).mean,
        examples=size,
        least_error=table.least_error(rival, pick),
    )


def _holds(
    spec: ResolvedSpec,
    table: ConfirmTable,
    values: Mapping[int, Matrix],
    verdict: ConfigVerdict,
    rivals: Sequence[int],
    look: Look,
) -> bool | None:
    """Tell if what the verdict claims holds on new examples; None if it claims no lead.

    It claims one over every rival, by more than the margin if there is one; of a job with one optimizer, over
    the default.
    """
    tail, best = look.config_level(table.config_alpha), verdict.best
    margin = spec.margin
    if len(table.labels) == 1:
        margin = None
        claimed = all(table.difference(rival, best).above_zero(tail) for rival in rivals)
    else:
        claimed = verdict.verdict == "winner"
    if not claimed:
        return None
    leads = [_lead(table, values, best, rival, judged_examples(spec) or 0, margin) for rival in rivals]
    return all(lead is not None and lead.bounds(tail)[0] > 0 for lead in leads)

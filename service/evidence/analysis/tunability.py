"""The gain of tuning over the default, how early it comes, and how much of it was luck of the search."""

from __future__ import annotations

from collections.abc import Sequence

from whichopt.service.evidence.analysis.incumbents import expectation, incumbents
from whichopt.service.evidence.analysis.job_data import JobData
from whichopt.service.evidence.analysis.shapes import Change, Tunability
from whichopt.service.evidence.statistics.estimates import (
    ALPHA,
    Estimate,
    crossed_difference,
    mean,
    paired_difference,
)
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable
from whichopt.service.planning.finalists import study_bests

METHOD = (
    "Areas: the sum of w(t) times the expected incumbent after t trials of a study (averaged over studies "
    "and over the orders of the random trials). The weights w sum to 1; they are uniform, or fall linearly "
    "to reward early gains (Sivaprasad et al. 2020). Gain: the mean test value of the configs that the "
    "studies chose, minus the default's, paired by fresh seed; null if one of their runs diverged, as that "
    "has no value. Its interval accounts for the luck of studies and seeds, at 95% for one optimizer, not "
    "simultaneously for all. Optimism of the search: the chosen configs' validation value over the fresh "
    "seeds, compared with the value that they were chosen for."
)

STAND_INS_METHOD = METHOD.replace(
    "null if one of their runs diverged, as that has no value",
    "a diverged run scores what a constant predictor scores",
)

VALIDATION_METHOD = METHOD.replace("mean test value", "mean validation value")
"""If nobody holds a test part back."""


def tunability(data: JobData, label: str) -> Tunability:
    uniform, early = _areas(data, label)
    default, tuned = default_and_tuned(data.table, label)
    searched, confirmed = _validation(data, label)
    gain = _gain(default, tuned) if default and tuned else None
    return Tunability(
        optimizer=label,
        area_uniform=data.value(uniform),
        area_early=data.value(early),
        default_value=data.value(mean(default)) if default else None,
        tuned_value=data.value(mean([mean(row) for row in tuned])) if tuned else None,
        gain=gain,
        gain_over=None if gain is None else "studies and seeds" if len(tuned) > 1 else "seeds",
        seeds=0 if data.table is None else len(data.table.finalists.seeds),
        searched_value=data.value(mean(searched)) if searched else None,
        confirmed_value=data.value(mean(confirmed)) if confirmed else None,
        search_optimism=mean(confirmed) - mean(searched) if searched else None,
    )


def _areas(data: JobData, label: str) -> tuple[float | None, float | None]:
    studies = [[expectation(incumbent) for incumbent in incumbents(s)] for s in data.studies[label]]
    losses = []
    for after in zip(*studies, strict=False):  # up to where the shortest study ends
        known = [loss for loss in after if loss is not None]
        if len(known) < len(studies):
            return None, None
        losses.append(mean(known))
    if not losses:
        return None, None
    count = len(losses)
    total = count * (count + 1) / 2
    early = mean([loss * ((count - t) * count / total) for t, loss in enumerate(losses)])
    return mean(losses), early


def default_and_tuned(
    table: ConfirmTable | None, label: str
) -> tuple[tuple[float, ...], list[tuple[float, ...]]]:
    """Return losses on the test split by seed, of the default and of each study's choice.

    There are none of what has diverged on a seed, and none at all without a table.
    """
    if table is None:
        return (), []
    table = table.finalists
    default = table.default(label)
    studies = sorted((replicate, i) for i in table.of(label) for replicate in table.arms[i].replicates)
    chosen = [i for _, i in studies]
    tuned = [table.losses[i] for i in chosen] if all(map(table.shown, chosen)) else []
    return table.losses[default] if table.shown(default) else (), tuned


def _gain(default: Sequence[float], tuned: Sequence[Sequence[float]]) -> Change:
    gain: Estimate
    if len(tuned) > 1:
        gain = crossed_difference([default] * len(tuned), tuned)
    else:
        gain = paired_difference(default, tuned[0])
    low, high = gain.bounds(ALPHA / 2)
    base = abs(mean(default))
    return Change(
        mean=gain.mean,
        low=low,
        high=high,
        level=1 - ALPHA,
        percent=100 * (gain.mean / base) if base > 0 else None,
    )


def _validation(data: JobData, label: str) -> tuple[list[float], list[float]]:
    """Validation losses of the configs that the studies chose: in search, and over the fresh seeds.

    Studies without a complete trial are left out, and those whose choice diverged on a fresh seed.
    """
    searched: list[float] = []
    confirmed: list[float] = []
    table = None if data.table is None else data.table.finalists
    if table is None:
        return searched, confirmed
    for (of, replicate), trial in sorted(study_bests(data.spec, data.trials).items()):
        row = table.validation[table.study(of, replicate)] if of == label else None
        if row is not None and trial.result is not None and trial.result.value is not None:
            searched.append(data.sign * trial.result.value)
            confirmed.append(data.sign * mean(row))
    return searched, confirmed

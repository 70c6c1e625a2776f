"""The ranking of a recommendation: each optimizer's best finalist, by its mean, and what finding it cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from whichopt.service.evidence.statistics.estimates import ALPHA, mean, mean_estimate
from whichopt.service.evidence.statistics.intervals import Bounds
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable
from whichopt.service.evidence.verdict.probability import config_probabilities
from whichopt.service.evidence.verdict.winners import ConfigGaps, ConfigVerdict, ranked
from whichopt.service.planning.looks import Look
from whichopt.service.spec import ResolvedSpec
from whichopt.service.trials import Trial
from whichopt.service.views import Cost, Difference, Interval, RankedOptimizer


def ranking(
    spec: ResolvedSpec,
    trials: Sequence[Trial],
    table: ConfirmTable,
    verdict: ConfigVerdict,
    gaps: ConfigGaps,
    look: Look,
) -> list[RankedOptimizer]:
    """Return one entry a label, by its best arm's mean; differences are to the best arm of all.

    That of the label that is recommended shows the config that is. Labels with nothing to deploy come last.
    """
    pick = None if table.has_nothing else verdict.pick
    probability = config_probabilities(table, seed=spec.seed)
    counts_diverged = not table.shows_stand_ins
    rows = []
    for label in sorted(ranked(table), key=lambda label: not table.shown(table.best(label))):
        arm = table.representative(label) if pick is None or table.arms[pick].label != label else pick
        with_default = table.with_default(label)
        default = with_default.default(label)
        finalist, validation = table.arms[arm], table.validation[arm]
        cost = cost_of(trial for trial in trials if trial.plan.label == label)
        rows.append(
            RankedOptimizer(
                optimizer=label,
                config=spec.shown(finalist.label, finalist.config),
                replicate=finalist.replicate,
                value=interval_of(table, arm, look),
                default_value=interval_of(with_default, default, _look_of(with_default, table, look)),
                diverged_seeds=table.diverged[arm] if counts_diverged else None,
                default_diverged_seeds=with_default.diverged[default] if counts_diverged else None,
                searched_value=finalist.searched_value,
                confirmed_validation=None if validation is None else mean(validation),
                probability_best=None if table.has_nothing else probability[label],
                difference=_difference(table, arm, verdict.best, gaps.bounds[arm]),
                practically_equivalent=None
                if spec.margin is None
                else label in gaps.within and not table.has_nothing,
                diverged=table.diverged_runs(label),
                trials=cost.trials,
                steps=cost.steps,
                examples=cost.examples,
                seconds=cost.seconds,
            )
        )
    return rows


def _look_of(part: ConfirmTable, table: ConfirmTable, look: Look) -> Look:
    """The look of a part of the table: its first stage is looked at once."""
    return look if part is table else replace(look, seeds=len(part.seeds))


def interval_of(table: ConfirmTable, arm: int, look: Look) -> Interval | None:
    """Return the arm's mean with its interval at this look; None of an arm with a diverged run."""
    if not table.shown(arm):
        return None
    estimate = mean_estimate(table.values[arm])
    low, high = estimate.bounds(look.config_level(ALPHA / (2 * len(table.arms))))
    return Interval(mean=estimate.mean, low=low, high=high, level=1 - ALPHA, seeds=len(table.seeds))


def _difference(table: ConfirmTable, arm: int, best: int, gap: Bounds) -> Difference | None:
    """None of an arm with a diverged run."""
    if not table.shown(arm):
        return None
    ours, theirs = table.losses[arm], table.losses[best]
    difference = table.difference(arm, best)
    spread = difference.error * math.sqrt(len(ours))
    worse = [(a > b) + (a == b) / 2 for a, b in zip(ours, theirs, strict=True)]
    return Difference(
        mean=difference.mean,
        low=gap.low,
        high=gap.high,
        percent=percent_of(difference.mean, table.means[best]),
        effect=difference.mean / spread if spread else None,
        worse_share=mean(worse),
    )


def percent_of(difference: float, of: float) -> float | None:
    """Return the difference in percent of a value; None if that is 0, or as good as."""
    percent = 100 * (difference / abs(of)) if of else math.inf
    return percent if math.isfinite(percent) else None


def cost_of(trials: Iterable[Trial]) -> Cost:
    """Return what those of the trials that have a result used."""
    results = [trial.result for trial in trials if trial.result is not None]
    return Cost(
        trials=len(results),
        steps=sum(result.steps for result in results),
        examples=sum(result.examples for result in results),
        seconds=math.fsum(result.seconds for result in results),
    )

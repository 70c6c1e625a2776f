"""Keep what is run today, or switch? Today's config against one challenger, paired by fresh seed.

*Which challenger.* The winner, if the config verdict names one; else the champion that did best in the first
stage, which the seeds that are tested have no part in. So one difference is tested, and not the largest of
several. In a tie it is the recommended config as well.

*The test.* One paired comparison, two-sided at 5 % on its own, outside of the verdicts' families: 2.5 % a
side, on the new seeds of the champions alone, spent over the looks by the same joint law as theirs
(`ChampionLook.config_level`). As there, the standard error is at least the one pooled over all finalists of
the challenger's optimizer in the first stage, since a few runs of one config may look calm by luck. Without
that, if runs are skewed and one of the two is three times as noisy, up to 11 % of the answers about a twin
are false, in place of 5 % (`benchmarks.calibration.today`). In a job without champions the challenger is the
pick, which the tested seeds have chosen among n finalists: then each side has 2.5 % / n (Bonferroni).

*The answer.* `switch` if the challenger is shown to be better, by more than the margin if there is one;
`keep` if it is shown not to be. A config with a diverged run is not to be deployed, so that one is not kept
while the other stayed finite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from whichopt.service.evidence.statistics.estimates import ALPHA, Estimate, paired_difference
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable
from whichopt.service.evidence.verdict.margin import worsened
from whichopt.service.evidence.verdict.todays_runs import TodaysRuns
from whichopt.service.evidence.verdict.winners import ConfigVerdict
from whichopt.service.planning.looks import Look
from whichopt.service.spec import Margin

Answer = Literal["keep", "switch", "not distinguishable"]
Ground = Literal[
    "same", "better", "no better", "untold", "today diverged", "none can win", "all diverged", "both diverged"
]
"""What the answer rests on: `better` and `no better` are said of the challenger, beyond the margin."""


@dataclass(frozen=True)
class TodayVerdict:
    """The answer about today's config.

    `challenger` is the arm that it was held against, None if none can be deployed. `gain` is today's loss
    minus the challenger's, with its bounds at `tail` beyond each end; None if there is nothing to compare.
    `seeds` are the fresh seeds of the comparison, `base` is today's mean loss on them.
    """

    answer: Answer
    ground: Ground
    challenger: int | None
    gain: Estimate | None
    tail: float
    seeds: int
    base: float | None

    @property
    def settled(self) -> bool:
        """Tell if more fresh seeds would not be needed for it."""
        return self.ground != "untold"


def keep_or_switch(
    table: ConfirmTable, look: Look, verdict: ConfigVerdict, margin: Margin | None = None
) -> TodayVerdict:
    """Decide whether to keep today's config.

    Args:
        table: the confirm runs; it has today's.
        look: the look that its seeds are.
        verdict: the config verdict at that look.
        margin: the least gain that matters.

    Raises:
        ValueError: the job has no config of today.
    """
    today = table.today
    if today is None:
        raise ValueError("the job has no config of today")
    tail = todays_tail(table, look)
    finite = bool(table.clean)
    challenger = _challenger(table, verdict)
    if today.diverged:
        if not finite:
            return TodayVerdict("not distinguishable", "both diverged", None, None, tail, 0, None)
        chosen = verdict.pick if challenger is None else challenger
        return TodayVerdict("switch", "today diverged", chosen, None, tail, 0, None)
    if challenger is None:
        return TodayVerdict("keep", "none can win" if finite else "all diverged", None, None, tail, 0, None)
    seeds = [seed for seed in table.seeds if seed in today.losses]
    if not seeds:
        return TodayVerdict("not distinguishable", "untold", challenger, None, tail, 0, None)
    gain, beyond = _gains(table, today, challenger, seeds, margin)
    answer: Answer = "not distinguishable"
    ground: Ground = "untold"
    if today.is_the_same_as(table.arms[challenger]):
        answer, ground = "keep", "same"
    elif beyond.low(tail) > 0:
        answer, ground = "switch", "better"
    elif beyond.high(tail) < 0:
        answer, ground = "keep", "no better"
    base = math.fsum(today.losses[seed] for seed in seeds) / len(seeds)
    return TodayVerdict(answer, ground, challenger, gain, tail, len(seeds), base)


def todays_tail(table: ConfirmTable, look: Look) -> float:
    """The one-sided level of the comparison at that look."""
    tail = look.config_level(ALPHA / 2)
    return tail if table.first is not None else tail / len(table.arms)


def _challenger(table: ConfirmTable, verdict: ConfigVerdict) -> int | None:
    """The arm that today's config is held against; None if no optimizer can win."""
    if verdict.verdict == "winner":
        return verdict.best
    if table.first is not None:
        return table.challenger
    return verdict.pick if table.clean and table.arms[verdict.pick].label not in table.barred else None


def _gains(
    table: ConfirmTable, today: TodaysRuns, challenger: int, seeds: list[int], margin: Margin | None
) -> tuple[Estimate, Estimate]:
    """Return the estimates of the gain, and of its part beyond the margin."""
    ours = [today.losses[seed] for seed in seeds]
    theirs = [table.losses[challenger][table.seeds.index(seed)] for seed in seeds]
    spread = 0.0 if today.is_the_same_as(table.arms[challenger]) else _pooled_spread(table, today, challenger)
    least = spread / math.sqrt(len(seeds))
    gain, beyond = (paired_difference(ours, losses) for losses in (theirs, worsened(theirs, margin)))
    return gain._replace(error=max(gain.error, least)), beyond._replace(error=max(beyond.error, least))


def _pooled_spread(table: ConfirmTable, today: TodaysRuns, challenger: int) -> float:
    """The standard deviation, over seeds, of the difference of today's runs and those of a finalist.

    It is pooled over the finalists of the challenger's label that stayed finite, in the first stage.
    """
    every = table.finalists
    seeds = [seed for seed in every.seeds if seed in today.losses]
    ours = [today.losses[seed] for seed in seeds]
    spreads = [
        paired_difference(ours, [every.losses[i][every.seeds.index(seed)] for seed in seeds]).error
        for i in every.of(table.arms[challenger].label)
        if seeds and i in every.finite and not today.is_the_same_as(every.arms[i])
    ]
    return math.hypot(*spreads) * math.sqrt(len(seeds)) / math.sqrt(len(spreads)) if spreads else 0.0

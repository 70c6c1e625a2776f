"""Puts the answer about today's config into words: what to do, the gain, how sure, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Sequence

from whichopt.service.catalog.tasks import has_ratio
from whichopt.service.evidence.statistics.estimates import ALPHA
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable
from whichopt.service.evidence.verdict.keep_or_switch import TodayVerdict, keep_or_switch
from whichopt.service.evidence.verdict.todays_runs import TodaysRuns, todays_trials
from whichopt.service.evidence.verdict.winners import ConfigVerdict
from whichopt.service.planning.looks import Look
from whichopt.service.spec import TODAY, ResolvedSpec
from whichopt.service.trials import Trial
from whichopt.service.views.today import Gain, TodayAnswer


def todays_answer(
    spec: ResolvedSpec,
    trials: Sequence[Trial],
    table: ConfirmTable,
    verdict: ConfigVerdict,
    look: Look,
) -> TodayAnswer | None:
    """Return the answer about today's config; None if the job has none.

    Args:
        spec: the job.
        trials: its trials, of which today's are counted.
        table: the confirm runs.
        verdict: the config verdict.
        look: the look that it was taken at.
    """
    if spec.today is None or table.today is None:
        return None
    found = keep_or_switch(table, look, verdict, spec.margin)
    results = [trial.result for trial in todays_trials(spec, trials) if trial.result is not None]
    seconds = math.fsum(result.seconds for result in results)
    arm = None if found.challenger is None else table.arms[found.challenger]
    gain = _gain(found)
    is_pick = found.challenger == verdict.pick
    below = " with the config below" if is_pick else ""
    why = _told(spec, table, table.today, found, gain, len(results), below)
    told = f"{why}; {_cost(len(results), seconds)}."
    if arm is not None and not table.has_nothing and not is_pick:
        other = table.arms[verdict.pick]
        default = " default" if len(table.labels) == 1 and other.is_default else ""
        told += f" The config to deploy below is another one, {other.label}'s{default}."
    return TodayAnswer(
        answer=found.answer,
        sentence=told,
        gain=gain,
        seeds=found.seeds,
        optimizer=spec.today.name,
        config=spec.shown(TODAY, spec.today.config),
        diverged_seeds=table.today.diverged,
        challenger=None if arm is None else arm.label,
        challenger_config=None if arm is None else spec.shown(arm.label, arm.config),
        runs=len(results),
        seconds=seconds,
    )


def _gain(found: TodayVerdict) -> Gain | None:
    if found.gain is None:
        return None
    low, high = found.gain.bounds(found.tail)
    percent = 100 * (found.gain.mean / abs(found.base)) if found.base else math.inf
    return Gain(
        mean=found.gain.mean,
        low=low,
        high=high,
        level=1 - ALPHA,
        percent=percent if math.isfinite(percent) else None,
    )


def _told(
    spec: ResolvedSpec,
    table: ConfirmTable,
    today: TodaysRuns,
    found: TodayVerdict,
    gain: Gain | None,
    runs: int,
    below: str,
) -> str:
    """Say what to do, and why, without the end of the sentence; `below` says where the new config stands."""
    if gain is not None and not has_ratio(spec.workload.task, spec.goal.metric):
        gain = gain.model_copy(update={"percent": None})
    label = "" if found.challenger is None else table.arms[found.challenger].label
    mine, metric = f"today's {today.optimizer}", spec.goal.metric
    over = f"over {found.seeds} fresh seed{'s' if found.seeds != 1 else ''}"
    margin = "" if spec.margin is None else f", by more than the margin of {spec.margin}"
    match found.ground:
        case "better":
            return (
                f"Switch from {mine} to {label}{below}: {over}, its expected {metric} is better"
                f"{margin}: {_amount(gain)}"
            )
        case "same":
            return (
                f"Keep {mine}: the best config that was found, {label}'s, is the same, with the same "
                "hyperparameters, so there is nothing to gain"
            )
        case "no better" if spec.margin is not None and gain is not None and (gain.high or 0.0) >= 0:
            return (
                f"Keep {mine}: {over}, what {label} gains over it in expected {metric} is shown to be less "
                f"than the margin of {spec.margin}: {_amount(gain)}"
            )
        case "no better":
            return (
                f"Keep {mine}: {over}, its expected {metric} is better than that of {label}, the best that "
                f"was found: {_amount(gain, is_loss=True)}"
            )
        case "today diverged":
            return (
                f"Switch from {mine} to {label}{below}: today's config diverged on "
                f"{today.diverged} of {runs} fresh seeds, and this one on none"
            )
        case "all diverged":
            return (
                f"Keep {mine}: every config that the search found diverged on a fresh seed, and today's on "
                f"none of {runs}"
            )
        case "none can win":
            return (
                f"Keep {mine}: no optimizer of this job can win, as a finalist of each diverged on a fresh "
                f"seed, and today's config diverged on none of {runs}"
            )
        case "both diverged":
            return (
                f"Not distinguishable: {mine} diverged on {today.diverged} of {runs} fresh seeds, and every "
                "config that the search found on at least one, so neither can be deployed"
            )
        case "untold":
            beyond = f"may be more or less than the margin of {spec.margin}"
            side = "may be none" if spec.margin is None else beyond
            return (
                f"Not distinguishable: {over}, the gain in expected {metric} of switching from {mine} to "
                f"{label} {side}: {_amount(gain)}"
            )


def _amount(gain: Gain | None, *, is_loss: bool = False) -> str:
    """The gain with its interval; a negative one that is shown is told as what a switch would lose."""
    if gain is None:
        return "there is no fresh seed to compare them on"
    sign, what = (-1, "a switch would lose") if is_loss else (1, "a gain of")
    percent = "" if gain.percent is None else f" or {sign * gain.percent:.3g}%"
    amount = f"{what} {sign * gain.mean:.3g}{percent}"
    if gain.low is None or gain.high is None:
        return f"{amount}, and too few runs for an interval"
    low, high = sorted((sign * gain.low, sign * gain.high))
    return f"{amount} ({gain.level:.0%} interval {low:.3g} to {high:.3g}, by a paired t-test)"


def _cost(runs: int, seconds: float) -> str:
    return f"this took {runs} run{'s' if runs != 1 else ''} of today's config ({seconds:.1f} s of training)"

"""Forecasts what more fresh seeds may change while a job confirms.

The chances are predictive probabilities (`whichopt.service.evidence.forecast.simulated_seeds`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from whichopt.service.evidence.forecast.durations import chance_text, duration_text
from whichopt.service.evidence.forecast.simulated_seeds import (
    judged_seeds,
    scaled,
    simulate,
    to_come,
    winner_chances,
    with_losses,
)
from whichopt.service.evidence.statistics.estimates import mean
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable, look_at, read_confirm_table
from whichopt.service.evidence.verdict.probability import config_probabilities
from whichopt.service.evidence.verdict.stopping import reason_to_stop_at
from whichopt.service.evidence.verdict.winners import config_verdict
from whichopt.service.planning.finalists import finalists
from whichopt.service.planning.looks import Look
from whichopt.service.spec import ResolvedSpec
from whichopt.service.trial_set import TrialSet
from whichopt.service.trials import Trial
from whichopt.service.views import ConfirmForecast

DRAWS = 64
"""Number of draws that get a whole verdict: a probability of a half has a Monte Carlo error of 0.06."""

DRAWN_DRAWS = 2**10
"""Number of draws behind the probability of being best on one of those."""


def confirm_forecast(
    spec: ResolvedSpec, trials: Sequence[Trial], risk: float | None
) -> ConfirmForecast | None:
    """Return the forecast of confirm; None before a fresh seed on which every finalist has run.

    `risk` is the one at which the job stops by itself (see `stopping.reason_to_stop`).
    """
    return _confirm(spec, read_confirm_table(spec, trials), risk) if _common_seed(spec, trials) else None


def _common_seed(spec: ResolvedSpec, trials: Sequence[Trial]) -> bool:
    """Tell if there is a fresh seed on which every finalist has run."""
    confirm = TrialSet(spec, trials).by_finalist
    ended = [
        {trial.plan.number for trial in confirm.get(arm.key, ()) if trial.result is not None}
        for arm in finalists(spec, trials)
    ]
    return bool(set.intersection(*ended))


def _confirm(spec: ResolvedSpec, table: ConfirmTable, risk: float | None) -> ConfirmForecast:
    look = look_at(spec, table)
    verdict = config_verdict(table, alpha=look.config_level, margin=spec.margin)
    undecided = table.rules > 1 and table.first is None and bool(look.further)
    if table.has_nothing:
        return ConfirmForecast(
            seeds=look.seeds,
            most=look.planned[-1],
            looks=list(look.planned),
            pick=None,
            verdict="nothing",
            probability_best={},
            stops=reason_to_stop_at(table, look, margin=spec.margin, risk=risk, seed=spec.seed),
            next_seeds=None,
            next_seconds=None,
            winner_next=None,
            winner_end=None,
            pick_changes=None,
            expected_probability_best=None,
        )
    pick = table.arms[verdict.pick].label
    further = look.further[0] - look.seeds if look.further else None
    chances = winner_chances(table, _coming(look), spec.margin, seed=spec.seed)
    changes, expected = _next_look(spec, table, look, pick) if chances else (None, None)
    return ConfirmForecast(
        seeds=look.seeds,
        most=look.planned[-1],
        looks=list(look.planned),
        pick=pick,
        verdict="tie" if undecided else verdict.verdict,
        probability_best=config_probabilities(table, seed=spec.seed),
        stops=reason_to_stop_at(table, look, margin=spec.margin, risk=risk, seed=spec.seed),
        next_seeds=further,
        next_seconds=None,  # by the clock: `timed` adds it
        winner_next=chances[0] if chances else None,
        winner_end=chances[-1] if chances else None,
        pick_changes=changes,
        expected_probability_best=expected,
    )


def _coming(look: Look) -> list[Look]:
    """Return the looks after this one."""
    return [replace(look, seeds=seeds) for seeds in look.further]


def _next_look(spec: ResolvedSpec, table: ConfirmTable, look: Look, pick: str) -> tuple[float, float]:
    """Return how often the next look would pick another optimizer, and the mean probability that its pick is
    the best, over simulated tables of results."""
    table, margin = scaled(table, spec.margin)
    table, seen = to_come(table)
    then = _coming(look)[0]
    seeds = seen + judged_seeds(table, then)
    changed, probability = 0, []
    for losses in simulate(table, seeds, seed=spec.seed, draws=DRAWS)[:, :, seen:].tolist():
        coming = with_losses(table, losses)
        label = coming.arms[config_verdict(coming, alpha=then.config_level, margin=margin).pick].label
        changed += label != pick
        probability.append(config_probabilities(coming, seed=spec.seed, draws=DRAWN_DRAWS)[label])
    return changed / DRAWS, mean(probability)


def confirm_statement(forecast: ConfirmForecast) -> str:
    """Return the forecast of confirm in sentences."""
    if forecast.pick is None:
        return (
            f"Confirming: after {forecast.seeds} of at most {forecast.most} fresh seeds, every finalist has "
            "diverged on at least one, so there will be nothing to recommend."
        )
    sure = chance_text(forecast.probability_best[forecast.pick])
    sentences = [
        f"Confirming: after {forecast.seeds} of at most {forecast.most} fresh seeds, {forecast.pick} would "
        f"be recommended. The probability that it is the best is {sure}."
    ]
    if forecast.stops:
        sentences.append(f"No more seeds are needed: {forecast.stops}.")
    elif forecast.winner_next is not None and forecast.pick_changes is not None:
        time = "" if forecast.next_seconds is None else f" (about {duration_text(forecast.next_seconds)})"
        sentences.append(
            f"The chance that the next {forecast.next_seeds} seeds{time} produce a winner is "
            f"{chance_text(forecast.winner_next)}, and the chance that they change the recommendation is "
            f"{chance_text(forecast.pick_changes)}."
        )
    return " ".join(sentences)

"""Forecasts what the remaining trials or seeds of a job may still change.

*In search* the estimates are simple. Trials are taken as exchangeable, which is true of random ones (TPE's
later ones are better), so the best of n + m is among the last m with probability m / (n + m). Each further
doubling of the trials is taken to improve the best value by as much as the last doubling did, which is
generous, because returns diminish. That improvement is read off the expected best of k of the n values (the
U-statistic of Tang et al. 2020, "Showing Your Work Doesn't Always Work").

*In confirm* they are predictive probabilities (`whichopt.service.evidence.forecast.simulated_seeds`).

All of that follows from the spec and the results (`of_round`), and is stored with its round. The parts that
depend on the clock are added when somebody asks (`whichopt.service.evidence.forecast.job`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from whichopt.service.evidence.analysis.expected import without_replacement
from whichopt.service.evidence.forecast.durations import chance_text, duration_text
from whichopt.service.evidence.forecast.simulated_seeds import scaled, simulate, winner_chances, with_losses
from whichopt.service.evidence.statistics.estimates import ALPHA, mean
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable, read_confirm_table
from whichopt.service.evidence.verdict.probability import config_probabilities
from whichopt.service.evidence.verdict.stopping import settled_at
from whichopt.service.evidence.verdict.winners import config_verdict
from whichopt.service.forecasts import RoundForecast
from whichopt.service.planning.finalists import finalists
from whichopt.service.planning.looks import Look, look_of
from whichopt.service.planning.training_time import whole_trial_seconds
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase
from whichopt.service.trial_set import TrialSet
from whichopt.service.trials import Trial
from whichopt.service.views import ConfirmForecast, Forecast, SearchForecast

DRAWS = 64
"""Number of draws that get a whole verdict: a probability of a half has a Monte Carlo error of 0.06."""

DRAWN_DRAWS = 2**10
"""Number of draws behind the probability of being best on one of those."""


def forecast(
    spec: ResolvedSpec,
    trials: Sequence[Trial],
    *,
    seconds_per_seed: float | None = None,
    risk: float | None = None,
) -> Forecast:
    """Return the forecast of a running job.

    Args:
        trials: Trials of both phases, in any order; the ones without a result do not count yet.
        seconds_per_seed: Wall-clock seconds that one fresh seed of all finalists takes.
        risk: The risk at which the job stops by itself (see `stopping.settled`).
    """
    confirming = any(trial.plan.phase is Phase.CONFIRM for trial in trials)
    phase = Phase.CONFIRM if confirming else Phase.SEARCH
    return timed(of_round(spec, trials, risk=risk), phase, seconds_per_seed)


def of_round(spec: ResolvedSpec, trials: Sequence[Trial], *, risk: float | None) -> RoundForecast:
    """Compute the part that follows from the spec and the results; the arguments are those of `forecast`.

    Raise `whichopt.service.forecasts.VERSION` with every change to what this returns.
    """
    return RoundForecast(
        search=[_search(spec, label, trials) for label in spec.labels],
        confirm=_confirm(spec, read_confirm_table(spec, trials), risk)
        if _common_seed(spec, trials)
        else None,
        trial_seconds=whole_trial_seconds(spec, trials),
        finalists=[arm.label for arm in finalists(spec, trials)],
    )


def timed(known: RoundForecast, phase: Phase, seconds_per_seed: float | None) -> Forecast:
    """Return the forecast in `phase` with its statement and the wall-clock time of the next seeds."""
    confirm = known.confirm
    if phase is Phase.SEARCH:
        done = sum(row.trials for row in known.search)
        left = sum(row.trials_left for row in known.search)
        statement = (
            f"Searching: {done} trials have ended and {left} are left. The best values so far come from the "
            "luckiest trials and cannot name a winner; fresh seeds will."
        )
    elif confirm is None:
        statement = "Confirming: there is no fresh seed yet on which every finalist has run."
    else:
        if confirm.next_seeds is not None and seconds_per_seed is not None:
            next_seconds = confirm.next_seeds * seconds_per_seed
            confirm = confirm.model_copy(update={"next_seconds": next_seconds})
        statement = _statement(confirm)
    return Forecast(phase=phase, search=known.search, confirm=confirm, statement=statement)


def _search(spec: ResolvedSpec, label: str, trials: Sequence[Trial]) -> SearchForecast:
    sign = spec.goal.sign
    own = [trial for trial in TrialSet(spec, trials).searched if trial.plan.label == label]
    losses = sorted(sign * t.result.value for t in own if t.result is not None and t.result.value is not None)
    left = max(0, spec.trials_of(label) - len(own))
    return SearchForecast(
        optimizer=label,
        trials=len(own),
        trials_left=left,
        best_value=sign * losses[0] if losses else None,
        probability_better=left / (left + len(own)) if losses else None,
        expected_best=_extrapolated(losses, len(own), left, sign),
    )


def _extrapolated(losses: Sequence[float], ended: int, left: int, sign: float) -> float | None:
    """Return the best value expected after `left` more trials, if each doubling gains what the last one did.

    Trials without a value (pruned or diverged) are worse than the others, and count as the worst of them.
    """
    if not losses or ended < 4:
        return None
    padded = [*losses, *[losses[-1]] * (ended - len(losses))]
    doubling = expected_best(padded, ended // 2) - padded[0]
    return sign * (padded[0] - doubling * math.log2((ended + left) / ended))


def expected_best(ascending: Sequence[float], k: int) -> float:
    """Return the expected least of k of the values, drawn without replacement."""
    weights = without_replacement(len(ascending), k)
    return math.fsum(value * weight for value, weight in zip(ascending, weights, strict=True))


def _common_seed(spec: ResolvedSpec, trials: Sequence[Trial]) -> bool:
    """Tell if there is a fresh seed on which every finalist has run."""
    confirm = TrialSet(spec, trials).by_finalist
    ended = [
        {trial.plan.number for trial in confirm.get(arm.key, ()) if trial.result is not None}
        for arm in finalists(spec, trials)
    ]
    return bool(set.intersection(*ended))


def _confirm(spec: ResolvedSpec, confirmed: ConfirmTable, risk: float | None) -> ConfirmForecast:
    look = look_of(spec, len(confirmed.seeds))
    verdict = config_verdict(confirmed, alpha=look.config_level, margin=spec.margin)
    if confirmed.has_nothing:
        return ConfirmForecast(
            seeds=look.seeds,
            most=look.planned[-1],
            looks=list(look.planned),
            pick=None,
            verdict="nothing",
            probability_best={},
            stops=settled_at(confirmed, look, margin=spec.margin, risk=risk, seed=spec.seed),
            next_seeds=None,
            next_seconds=None,
            winner_next=None,
            winner_end=None,
            pick_changes=None,
            expected_probability_best=None,
        )
    pick = confirmed.arms[verdict.pick].label
    further = look.further[0] - look.seeds if look.further else None
    chances = winner_chances(confirmed, _coming_levels(look), spec.margin, seed=spec.seed)
    changes, expected = _next_look(spec, confirmed, look, pick) if chances else (None, None)
    return ConfirmForecast(
        seeds=look.seeds,
        most=look.planned[-1],
        looks=list(look.planned),
        pick=pick,
        verdict=verdict.verdict,
        probability_best=config_probabilities(confirmed, seed=spec.seed),
        stops=settled_at(confirmed, look, margin=spec.margin, risk=risk, seed=spec.seed),
        next_seeds=further,
        next_seconds=None,  # by the clock: `timed` adds it
        winner_next=chances[0] if chances else None,
        winner_end=chances[-1] if chances else None,
        pick_changes=changes,
        expected_probability_best=expected,
    )


def _coming_levels(look: Look) -> list[tuple[int, float]]:
    """Return the looks after this one: their seeds, and what each spends of the config verdict's level."""
    later = [Look(look.planned, seeds) for seeds in look.further]
    return [(each.seeds, each.config_level(ALPHA)) for each in later]


def _next_look(spec: ResolvedSpec, confirmed: ConfirmTable, look: Look, pick: str) -> tuple[float, float]:
    """Return how often the next look would pick another optimizer, and the mean probability that its pick is
    the best, over simulated tables of results."""
    confirmed, margin = scaled(confirmed, spec.margin)
    seeds = look.further[0]
    then = Look(look.planned, seeds)
    changed, probability = 0, []
    for table in simulate(confirmed, seeds, seed=spec.seed, draws=DRAWS).tolist():
        coming = with_losses(confirmed, table)
        label = coming.arms[config_verdict(coming, alpha=then.config_level, margin=margin).pick].label
        changed += label != pick
        probability.append(config_probabilities(coming, seed=spec.seed, draws=DRAWN_DRAWS)[label])
    return changed / DRAWS, mean(probability)


def _statement(found: ConfirmForecast) -> str:
    if found.pick is None:
        return (
            f"Confirming: after {found.seeds} of at most {found.most} fresh seeds, every finalist has "
            "diverged on at least one, so there will be nothing to recommend."
        )
    sure = chance_text(found.probability_best[found.pick])
    said = [
        f"Confirming: after {found.seeds} of at most {found.most} fresh seeds, {found.pick} would be "
        f"recommended. The probability that it is the best is {sure}."
    ]
    if found.stops:
        said.append(f"No more seeds are needed: {found.stops}.")
    elif found.winner_next is not None and found.pick_changes is not None:
        time = "" if found.next_seconds is None else f" (about {duration_text(found.next_seconds)})"
        said.append(
            f"The chance that the next {found.next_seeds} seeds{time} produce a winner is "
            f"{chance_text(found.winner_next)}, and the chance that they change the recommendation is "
            f"{chance_text(found.pick_changes)}."
        )
    return " ".join(said)

"""Forecasts what the rest of a job may still change, from the results up to a round.

The forecast follows from the spec and the results (`of_round`), and is stored with its round. The parts that
depend on the clock are added when somebody asks (`timed`, and `whichopt.service.evidence.forecast.job`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from whichopt.service.evidence.forecast.confirm import confirm_forecast, confirm_statement
from whichopt.service.evidence.forecast.leads import StudySoFar, leads
from whichopt.service.evidence.forecast.search import search_forecast
from whichopt.service.forecasts import RoundForecast
from whichopt.service.planning.finalists import finalists
from whichopt.service.planning.training_time import whole_trial_seconds
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase, TrialState
from whichopt.service.trial_set import TrialSet
from whichopt.service.trials import Trial
from whichopt.service.views import Forecast


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
        seconds_per_seed: Wall-clock seconds that one of the next fresh seeds takes.
        risk: The risk at which the job stops by itself (see `stopping.reason_to_stop`).
    """
    confirming = any(trial.plan.phase is Phase.CONFIRM for trial in trials)
    phase = Phase.CONFIRM if confirming else Phase.SEARCH
    return timed(of_round(spec, trials, risk=risk), phase, seconds_per_seed)


def of_round(spec: ResolvedSpec, trials: Sequence[Trial], *, risk: float | None) -> RoundForecast:
    """Compute the part that follows from the spec and the results; the arguments are those of `forecast`.

    Raise `whichopt.service.forecasts.VERSION` with every change to what this returns.
    """
    confirm = confirm_forecast(spec, trials, risk)
    studies = _studies(spec, trials)
    searching = any(study.left for of_label in studies.values() for study in of_label)
    led = leads(studies) if searching and confirm is None else None
    return RoundForecast(
        search=[search_forecast(spec, label, trials) for label in spec.labels],
        confirm=confirm,
        trial_seconds=whole_trial_seconds(spec, trials),
        finalists=[arm.label for arm in finalists(spec, trials)],
        leads=None if led is None else dict(led.chances),
    )


def _studies(spec: ResolvedSpec, trials: Sequence[Trial]) -> dict[str, list[StudySoFar]]:
    """Return the studies of each label as the search has left them."""
    losses: dict[tuple[str, int | None], list[float]] = defaultdict(list)
    ended: Counter[tuple[str, int | None]] = Counter()
    for trial in TrialSet(spec, trials).searched:
        key = (trial.plan.label, trial.plan.replicate)
        ended[key] += 1
        if trial.state is TrialState.COMPLETE and trial.result is not None and trial.result.value is not None:
            losses[key].append(spec.goal.sign * trial.result.value)
    replicates = spec.budget.replicates
    return {
        label: [
            StudySoFar(
                tuple(losses[label, replicate]),
                ended[label, replicate],
                max(0, spec.trials_of(label) // replicates - ended[label, replicate]),
            )
            for replicate in range(replicates)
        ]
        for label in spec.labels
    }


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
        statement = confirm_statement(confirm)
    return Forecast(phase=phase, search=known.search, confirm=confirm, statement=statement)

"""What is answered to who asks before the end: a job's forecast, with its times by the clock."""

from __future__ import annotations

from collections.abc import Sequence

from service.evidence.forecast import forecast
from service.evidence.pace import clock, seconds_left, seed_seconds
from service.spec import ResolvedSpec
from service.states import JobState
from service.trials import Trial
from service.views import JobForecast


def forecast_of(
    job_id: str,
    state: JobState,
    spec: ResolvedSpec,
    trials: Sequence[Trial],
    *,
    elapsed_s: float | None,
) -> JobForecast:
    """The forecast of a job in `state`, `elapsed_s` after its first claim; pure.

    Args:
        trials: all that are planned, whether they have a result or not.
    """
    ratio = None if elapsed_s is None else clock(trials, elapsed_s)
    training = seed_seconds(spec, trials)
    per_seed = None if ratio is None or training is None else training * ratio
    found = forecast(spec, trials, seconds_per_seed=per_seed, risk=spec.budget.risk)
    left = None if elapsed_s is None or state.ended else seconds_left(spec, trials, elapsed_s)
    ended = f"The job has ended ({state.value}); nothing more will be run. This is how it stood: "
    said = [(ended if state.ended else "") + found.statement]
    if left is not None:
        said.append(f"It would end within about {left / 60:.2g} minutes.")
    return JobForecast(
        **{name: getattr(found, name) for name in type(found).model_fields if name != "statement"},
        statement=" ".join(said),
        job_id=job_id,
        state=state,
        seconds_per_seed=per_seed,
        seconds_left=left,
    )

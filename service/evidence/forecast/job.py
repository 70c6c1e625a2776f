"""Builds the forecast of a running job, including wall-clock estimates."""

from __future__ import annotations

import math
from collections.abc import Mapping

from whichopt.service.evidence.forecast.durations import duration_text
from whichopt.service.evidence.forecast.round import timed
from whichopt.service.forecasts import RoundForecast, Used
from whichopt.service.planning.training_time import clock_of, seconds_left
from whichopt.service.spec import TODAY, ResolvedSpec
from whichopt.service.states import JobState, Phase
from whichopt.service.views import JobForecast


def forecast_of(
    job_id: str,
    state: JobState,
    spec: ResolvedSpec,
    known: RoundForecast,
    *,
    round_: int | None,
    phase: Phase,
    used: Mapping[tuple[str, Phase], Used],
    elapsed_s: float | None,
) -> JobForecast:
    """Return the forecast of a job in `state` and `phase`; pure.

    Args:
        known: The forecast from the results up to the end of `round_`; before any round has ended, from all.
        used: Results so far, including those of a round that still runs.
        elapsed_s: Seconds from the first claim to the last of these results.
    """
    used_s = math.fsum(one.seconds for one in used.values())
    ratio = None if elapsed_s is None else clock_of(used_s, elapsed_s)
    training = known.seed_seconds
    per_seed = None if ratio is None or training is None else training * ratio
    coming = _next_seed_seconds(spec, known)
    current = timed(known, phase, None if ratio is None or coming is None else coming * ratio)
    left = None if elapsed_s is None or state.ended else seconds_left(spec, known, phase, used, elapsed_s)
    statement = [current.statement]
    if state.ended:
        ended = f"The job has ended ({state.value}), and nothing more will run. This is how it stood:"
        statement.insert(0, ended)
    elif round_ is not None:
        statement.append(f"This is based on the results up to round {round_ + 1}.")
    if left is not None:
        statement.append(f"The job should end within about {duration_text(left)}.")
    return JobForecast(
        **{name: getattr(current, name) for name in type(current).model_fields if name != "statement"},
        statement=" ".join(statement),
        job_id=job_id,
        state=state,
        round=None if round_ is None else round_ + 1,
        seconds_per_seed=per_seed,
        seconds_left=left,
    )


def _next_seed_seconds(spec: ResolvedSpec, known: RoundForecast) -> float | None:
    """Training seconds of one of the fresh seeds to come: after the first stage, of champions and today's."""
    confirm, whole = known.confirm, known.trial_seconds
    if whole is None or confirm is None or spec.rules < 2:
        return known.seed_seconds
    if len(confirm.looks) < 2 or confirm.seeds < confirm.looks[0]:
        return known.seed_seconds
    arms = spec.labels if len(spec.labels) > 1 else known.finalists[:2]
    return math.fsum(whole[label] for label in arms) + whole.get(TODAY, 0.0)

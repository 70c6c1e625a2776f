"""Finds the forecast of a job, or computes it if no planner has stored it."""

from __future__ import annotations

import structlog

from whichopt.service.db import DatabaseError, Store
from whichopt.service.db.forecasts import Asked
from whichopt.service.evidence.forecast.job import forecast_of
from whichopt.service.evidence.forecast.round import of_round
from whichopt.service.failures import failure
from whichopt.service.forecasts import RoundForecast
from whichopt.service.jobs import no_job
from whichopt.service.turns import turn
from whichopt.service.views import JobForecast

log = structlog.get_logger()


def job_forecast(store: Store, uid: str) -> JobForecast:
    """Return the job's forecast.

    The planner of a round stores what follows from the rounds before it. Until it has, the first who asks
    computes that, and the others wait.

    Raises:
        NotFound: there is no such job.
        Unavailable: somebody else has been computing it for too long to wait for.
    """
    asked = _asked(store, uid)
    known = asked.stored
    if known is None:
        with turn("forecast", uid):
            asked = _asked(store, uid)
            known = asked.stored or _computed(store, asked)
    return forecast_of(
        uid,
        asked.state,
        asked.spec,
        known,
        round_=asked.round,
        phase=asked.phase,
        used=asked.used,
        elapsed_s=asked.elapsed_s,
    )


def _asked(store: Store, uid: str) -> Asked:
    with store.read() as tx:
        asked = tx.forecasts.asked(uid)
    if asked is None:
        raise no_job(uid)
    return asked


def _computed(store: Store, asked: Asked) -> RoundForecast:
    """Compute what no planner has stored, and store it if the database can be written."""
    with store.read() as tx:
        trials = tx.forecasts.trials(asked)
    known = of_round(asked.spec, trials, risk=asked.spec.budget.risk)
    if asked.round is not None:
        try:
            with store.transaction() as tx:
                tx.forecasts.keep(asked.job_id, asked.round, known)
        except DatabaseError as error:
            log.warning("forecast_not_stored", job=asked.job_id, round=asked.round, **failure(error))
    return known

"""The forecasts: what is read to answer one, and the part of it that is stored with its round.

A stored forecast can be computed again from the spec and the results, so it is no part of the job's record:
to store one moves no revision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from whichopt.service.db.jobs import ACTIVE, UNFINISHED, Jobs
from whichopt.service.db.readable import spec_of
from whichopt.service.db.tables import cohort, forecast, job, tally
from whichopt.service.db.trials import Trials
from whichopt.service.forecasts import VERSION, RoundForecast, Used
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import CohortState, JobState, Phase
from whichopt.service.trials import Trial


@dataclass(frozen=True)
class Asked:
    """A job whose forecast is asked for.

    `round` is the last one of which no cohort is queued or running, None before the first has ended; `stored`
    is the forecast of that round, if this version has stored it. `used` and `elapsed_s` (from the first claim
    to the last result) count all results by now.
    """

    job_id: int
    state: JobState
    phase: Phase
    spec: ResolvedSpec
    curve: str
    round: int | None
    stored: RoundForecast | None
    used: Mapping[tuple[str, Phase], Used]
    elapsed_s: float | None


class Forecasts:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def asked(self, uid: str) -> Asked | None:
        """Read all that a forecast needs but the trials; None if there is no such job."""
        row = self.connection.execute(
            sa.select(
                job.c.id,
                job.c.uid,
                job.c.state,
                job.c.phase,
                job.c.spec,
                job.c.executor,
                job.c.started_at,
            ).where(job.c.uid == uid)
        ).one_or_none()
        if row is None:
            return None
        ended = self._ended_round(row.id)
        query = sa.select(tally).where(tally.c.job_id == row.id, tally.c.done > tally.c.failed)
        used = self.connection.execute(query).all()
        last = self.connection.scalar(
            sa.select(sa.func.max(cohort.c.finished_at)).where(
                cohort.c.job_id == row.id, cohort.c.state == CohortState.DONE
            )
        )
        untimed = last is None or row.started_at is None
        spec = spec_of(row)
        return Asked(
            job_id=row.id,
            state=JobState(row.state),
            phase=Phase.SEARCH if row.phase is None else Phase(row.phase),
            spec=spec,
            curve=spec.goal.curve,
            round=ended,
            stored=None if ended is None else self.stored(row.id, ended),
            used={(one.label, Phase(one.phase)): Used(one.done - one.failed, one.seconds) for one in used},
            # The database's clock may have been set back between the two.
            elapsed_s=None if untimed else max(0.0, (last - row.started_at).total_seconds()),
        )

    def trials(self, asked: Asked) -> list[Trial]:
        """The trials whose results are in the job's forecast: those of the rounds that have ended, or all
        before the first has."""
        return Trials(self.connection).of_job(asked.job_id, curve=asked.curve, through_round=asked.round)

    def stored(self, job_id: int, round_: int) -> RoundForecast | None:
        """The forecast of that round, if this version has stored it."""
        content = self.connection.scalar(
            sa.select(forecast.c.content).where(
                forecast.c.job_id == job_id, forecast.c.round == round_, forecast.c.version == VERSION
            )
        )
        return None if content is None else RoundForecast.model_validate(content)

    def latest(self, job_id: int) -> RoundForecast | None:
        """The last forecast that this version has stored: of the last round that has ended, or older."""
        content = self.connection.scalar(
            sa.select(forecast.c.content)
            .where(forecast.c.job_id == job_id, forecast.c.version == VERSION)
            .order_by(forecast.c.round.desc())
            .limit(1)
        )
        return None if content is None else RoundForecast.model_validate(content)

    def keep(self, job_id: int, round_: int, content: RoundForecast) -> None:
        """Store the forecast of a round that has ended, in place of one that is there, and its odds with an
        active job."""
        Jobs(self.connection).lock(job_id)
        self.connection.execute(
            forecast.delete().where(forecast.c.job_id == job_id, forecast.c.round == round_)
        )
        self.connection.execute(
            forecast.insert().values(
                job_id=job_id, round=round_, version=VERSION, content=content.model_dump(mode="json")
            )
        )
        # Of the last round only: a planner may be late. A conclusion has odds of its own.
        last = sa.and_(job.c.id == job_id, job.c.round <= round_ + 2, job.c.state.in_(ACTIVE))
        self.connection.execute(job.update().where(last).values(odds=content.odds))

    def _ended_round(self, job_id: int) -> int | None:
        """The last round of which no cohort is queued or running; None before the first has ended."""
        rounds = sa.select(cohort.c.round).where(cohort.c.job_id == job_id).order_by(cohort.c.round)
        running = self.connection.scalar(rounds.where(cohort.c.state.in_(UNFINISHED)).limit(1))
        before = sa.true() if running is None else cohort.c.round < running
        ended: int | None = self.connection.scalar(
            sa.select(sa.func.max(cohort.c.round)).where(cohort.c.job_id == job_id, before)
        )
        return ended

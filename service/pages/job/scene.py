"""What a job's page is drawn from: the job, its race, its optimizers' tones, and the time that is left."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from whichopt.service.db import Store
from whichopt.service.errors import NoRecommendation
from whichopt.service.figures.tones import tones
from whichopt.service.forecasts import RoundForecast, Used
from whichopt.service.jobs import no_job
from whichopt.service.lint import lint
from whichopt.service.pages.job.time_left import TimeLeft, time_left
from whichopt.service.race import Race
from whichopt.service.races import Races
from whichopt.service.spec import TODAY, ResolvedSpec
from whichopt.service.states import JobState, Phase
from whichopt.service.views import JobView, Recommendation


class Act(StrEnum):
    """The acts of a job's page, in their order."""

    SEARCH = "search"
    CONFIRM = "confirm"
    VERDICT = "verdict"


@dataclass(frozen=True)
class Scene:
    """A job as its page shows it now.

    `act` is the one that is shown, and `tones` has the tone of every trained label, today's config included.
    `known` is the forecast of the last round that has ended. `memory` stays from one drawing of the act to
    the next: what costs much and has not changed can be kept there.
    """

    store: Store
    races: Races
    job: JobView
    job_id: int
    act: Act
    known: RoundForecast | None
    tones: dict[str, int]
    memory: dict[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> ResolvedSpec:
        return self.job.spec

    @cached_property
    def race(self) -> Race:
        """The job's trials without their curves."""
        return self.races.of(self.job_id, self.spec.goal.metric)

    @cached_property
    def left(self) -> TimeLeft:
        """The time that is left; nothing is said of it once the job has ended."""
        if self.job.state.ended:
            return TimeLeft()
        if self.job.phase is Phase.CONFIRM:
            used = {key: Used(*one) for key, one in self.race.used.items()}
        else:
            ledger = (entry for entry in self.job.ledger if entry.trials)
            used = {(one.optimizer, Phase.SEARCH): Used(one.trials, one.seconds) for one in ledger}
        return time_left(self.spec, used, self.known, self.job.started_at, self.race.last)


def scene(
    store: Store,
    uid: str,
    *,
    alive_s: float,
    act: Act | None = None,
    races: Races | None = None,
    memory: dict[str, Any] | None = None,
) -> Scene:
    """Read the job with that id; without `act` it is shown in the act that it has reached.

    `races` are those that the process keeps; without them the job's race is read whole when it is needed.

    Raises:
        NotFound: there is no such job.
        UnreadableRow: its row cannot be read.
    """
    with store.read() as tx:
        job, job_id = tx.views.job(uid, alive_s=alive_s), tx.jobs.id_of(uid)
        if job is None or job_id is None:
            raise no_job(uid)
        known = tx.forecasts.latest(job_id)
    memory = {} if memory is None else memory
    reached = act_of(job.state, job.phase)
    order = list(Act)
    return Scene(
        store=store,
        races=races or Races(store),
        job=_linted(job, memory),
        job_id=job_id,
        act=reached if act is None or order.index(act) > order.index(reached) else act,
        known=known,
        tones=tones_of(job.spec),
        memory=memory,
    )


def _linted(job: JobView, memory: dict[str, Any]) -> JobView:
    """Return the job with what is often got wrong in a spec like its own, found once for each spec."""
    kept = memory.get("lint")
    if kept is None or kept[0] is not job.spec:
        kept = memory["lint"] = (job.spec, lint(job.spec))
    return job.model_copy(update={"lint": kept[1]})


def act_of(state: JobState, phase: Phase | None) -> Act:
    """Return the act that a job has reached."""
    if state is JobState.SUCCEEDED:
        return Act.VERDICT
    return Act.CONFIRM if phase is Phase.CONFIRM else Act.SEARCH


def tones_of(spec: ResolvedSpec) -> dict[str, int]:
    """Return the tone of each trained label; today's config has one of its optimizer's color."""
    named = {optimizer.label: optimizer.name for optimizer in spec.optimizers}
    return tones(named if spec.today is None else {**named, TODAY: spec.today.name})


def recommendation_of(shown: Scene) -> Recommendation:
    """Return the recommendation of the job.

    Raises:
        NotFound: there is no such job.
        NoRecommendation: there is none yet, or there will never be one.
    """
    with shown.store.read() as tx:
        row = tx.views.recommendation(shown.job.id)
    if row is None:
        raise no_job(shown.job.id)
    state, found = row
    if found is None:
        raise NoRecommendation.of(shown.job.id, state)
    return found

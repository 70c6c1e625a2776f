"""What a job's page is drawn from: the job, its optimizers' tones, and what its act reads besides."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from whichopt.service.db import Store
from whichopt.service.figures.tones import tones
from whichopt.service.jobs import no_job
from whichopt.service.spec import TODAY, ResolvedSpec
from whichopt.service.states import JobState, Phase
from whichopt.service.views import JobView


class Act(StrEnum):
    """The acts of a job's page, in their order."""

    SEARCH = "search"
    CONFIRM = "confirm"
    VERDICT = "verdict"


@dataclass(frozen=True)
class Scene:
    """A job as its page shows it now.

    `tones` has the tone of every trained label, today's config included. `act` is the one that is shown.
    """

    store: Store
    job: JobView
    job_id: int
    act: Act
    tones: dict[str, int]

    @property
    def spec(self) -> ResolvedSpec:
        return self.job.spec


def scene(store: Store, uid: str, *, alive_s: float, act: Act | None = None) -> Scene:
    """Read the job with that id; without `act` it is shown in the act that it has reached.

    Raises:
        NotFound: there is no such job.
        UnreadableRow: its row cannot be read.
    """
    with store.read() as tx:
        job, job_id = tx.views.job(uid, alive_s=alive_s), tx.jobs.id_of(uid)
    if job is None or job_id is None:
        raise no_job(uid)
    reached = act_of(job.state, job.phase)
    order = list(Act)
    shown = reached if act is None or order.index(act) > order.index(reached) else act
    return Scene(store=store, job=job, job_id=job_id, act=shown, tones=tones_of(job.spec))


def act_of(state: JobState, phase: Phase | None) -> Act:
    """Return the act that a job has reached."""
    if state is JobState.SUCCEEDED:
        return Act.VERDICT
    return Act.CONFIRM if phase is Phase.CONFIRM else Act.SEARCH


def tones_of(spec: ResolvedSpec) -> dict[str, int]:
    """Return the tone of each trained label; today's config has one of its optimizer's color."""
    named = {optimizer.label: optimizer.name for optimizer in spec.optimizers}
    return tones(named if spec.today is None else {**named, TODAY: spec.today.name})

"""Submits, cancels and shows jobs, for the REST API, the pages and the tests.

Each is one transaction; messages go out after it has ended.
"""

from __future__ import annotations

from whichopt.service.datasets import check_still_there
from whichopt.service.db import IntegrityError, Store, Transaction
from whichopt.service.db.queues import is_here
from whichopt.service.dispatch import Dispatcher
from whichopt.service.errors import JobEnded, KeyReused, NotConcludable, NotFound, NotResumable, UnreadableRow
from whichopt.service.lint import lint
from whichopt.service.spec import ResolvedSpec
from whichopt.service.spec.digest import digest
from whichopt.service.states import JobState
from whichopt.service.views import JobView


def submit(
    store: Store,
    dispatcher: Dispatcher,
    spec: ResolvedSpec,
    *,
    alive_s: float,
    api_key_id: int | None,
    idempotency_key: str | None = None,
    in_process: bool = False,
) -> JobView:
    """Remember a job, and ring for its planner; with the key of an earlier request, return that one's job.

    Args:
        alive_s: how recently, in seconds, a worker must have been seen to count.
        api_key_id: the id of the key that the job is sent with; None if it is made in process.
        in_process: True if the process that makes the job trains it, and no worker does.

    Raises:
        KeyReused: the idempotency key made a job of another spec.
        DatasetNotReady: the dataset was deleted since the spec was resolved.
    """

    def remember() -> tuple[JobView, int | None]:
        with store.transaction() as tx:
            return _remember(tx, spec, alive_s, api_key_id, idempotency_key, in_process)

    try:
        job, new_id = remember()
    except IntegrityError:
        # Two requests with one new idempotency key have met; the other one's job is there now.
        job, new_id = remember()
    if new_id is not None and not in_process:
        dispatcher.plan(new_id)
    return job


def cancel(store: Store, uid: str, *, alive_s: float) -> JobView:
    """Cancel a job: what is queued ends now, what trains ends within an epoch.

    Raises:
        NotFound: there is no such job.
        JobEnded: it has ended already.
        UnreadableRow: it is cancelled, but its row cannot be read.
    """
    with store.transaction() as tx:
        ended = tx.jobs.cancel(job_id_of(tx, uid))
        if ended is not None:
            raise JobEnded(f"job {uid} has ended: it is {ended}", field="state", value=ended.value)
    # Only now: a row that cannot be read would take the cancel back.
    try:
        with store.read() as tx:
            return view(tx, uid, alive_s=alive_s)
    except UnreadableRow as error:
        raise UnreadableRow(f"job {uid} is cancelled, but it cannot be shown: {error.detail}") from error


WHY_NOT = {
    "ended": "it has ended",
    "cancelled": "it is being cancelled",
    "searching": "it is still searching, and only confirm can be ended early; cancel it, or wait for "
    "the first stage of confirm",
    "no look": "the first stage of confirm is not done yet, so there is nothing to conclude from; wait for "
    "it, or cancel the job",
}
"""Why a job cannot be concluded now, and what can be done."""


def conclude(store: Store, dispatcher: Dispatcher, uid: str, *, alive_s: float) -> JobView:
    """End confirm at the last look that is done: the job concludes from the fresh seeds that it has.

    What waits is cancelled now, and what trains within an epoch; results of an unfinished stage do not
    count.

    Raises:
        NotFound: there is no such job.
        JobEnded: it has ended already.
        NotConcludable: it still searches, or has no look done.
        UnreadableRow: its row cannot be read.
    """
    with store.transaction() as tx:
        job_id = job_id_of(tx, uid)
        asked = tx.conclusions.request(job_id)
        if asked.why_not is not None:
            kind = JobEnded if asked.why_not == "ended" else NotConcludable
            why = f": it is {asked.state}" if asked.why_not == "ended" else ""
            raise kind(
                f"job {uid} cannot be concluded, as {WHY_NOT[asked.why_not]}{why}",
                field="state",
                value=asked.state.value,
            )
        answer = view(tx, uid, alive_s=alive_s)
    if not is_here(answer.queue):
        dispatcher.plan(job_id)
    return answer


RESUMABLE = (
    "worker_lost",
    "planner_lost",
    "function_stuck",
    "dataset_gone",
    "storage_full",
    "storage_read_only",
    "storage_failed",
)
"""Causes of a failed job that lie with workers and their storage: the same job may go on without them."""


def resume(store: Store, dispatcher: Dispatcher, uid: str, *, alive_s: float) -> JobView:
    """Let a job that failed for a worker's sake go on from where it was; its results stay.

    Raises:
        NotFound: there is no such job.
        NotResumable: it has not failed, it would fail again, or a worker is still ending its part.
    """
    with store.transaction() as tx:
        job_id = job_id_of(tx, uid)
        job = view(tx, uid, alive_s=alive_s)
        if job.state is not JobState.FAILED or job.error is None:
            why = "and goes on by itself" if not job.state.ended else "which is its end"
            raise NotResumable(f"job {uid} is {job.state}, {why}", field="state", value=job.state.value)
        if job.error.code not in RESUMABLE:
            raise NotResumable(
                f"job {uid} failed by {job.error.code}, and would do so again ({job.error.detail}); change "
                "what it says, and send it as a new job",
                field="error.code",
                value=job.error.code,
                allowed=list(RESUMABLE),
            )
        resumed = tx.lost.resume(job_id)
        if resumed is None:
            raise NotResumable(
                f"a worker is still ending its part of job {uid}; try again in a moment", field="state"
            )
        answer = view(tx, uid, alive_s=alive_s)
    cohorts, queue = resumed
    if is_here(queue):
        return answer  # the process that made it trains it, and hears no message
    if cohorts:
        dispatcher.cohorts(cohorts, queue)
    else:
        dispatcher.plan(job_id)
    return answer


def view(tx: Transaction, uid: str, *, alive_s: float) -> JobView:
    """Return the job as we show it.

    Raises:
        NotFound: there is no such job.
        UnreadableRow: its row cannot be read.
    """
    job = tx.views.job(uid, alive_s=alive_s)
    if job is None:
        raise no_job(uid)
    return linted(job)


def linted(job: JobView) -> JobView:
    """Return the job with what is often got wrong in a spec like its own."""
    return job.model_copy(update={"lint": lint(job.spec)})


def no_job(uid: str) -> NotFound:
    return NotFound(f"no job {uid!r}", field="job_id", value=uid)


def job_id_of(tx: Transaction, uid: str) -> int:
    """Return the row's id.

    Raises:
        NotFound: there is no such job.
    """
    job_id = tx.jobs.id_of(uid)
    if job_id is None:
        raise no_job(uid)
    return job_id


def _remember(
    tx: Transaction,
    spec: ResolvedSpec,
    alive_s: float,
    api_key_id: int | None,
    idempotency_key: str | None,
    in_process: bool,
) -> tuple[JobView, int | None]:
    """The job, and its id if it is new: with an idempotency key it may be there already."""
    asked = digest(spec)
    earlier = tx.jobs.by_idempotency(api_key_id, idempotency_key) if idempotency_key is not None else None
    if earlier is not None:
        uid, earlier_digest = earlier
        if earlier_digest != asked:
            raise KeyReused(
                f"this Idempotency-Key made job {uid} from another spec; use a new key for a new job",
                field="Idempotency-Key",
                value=idempotency_key,
            )
        return view(tx, uid, alive_s=alive_s), None
    check_still_there(tx, spec)
    job_id, uid = tx.jobs.add(
        spec,
        queue=None if in_process else queue_of(tx, spec, alive_s),
        api_key_id=api_key_id,
        idempotency_key=idempotency_key,
        body_digest=asked,
    )
    return view(tx, uid, alive_s=alive_s), job_id


def queue_of(tx: Transaction, spec: ResolvedSpec, alive_s: float) -> str:
    """Return the kind of worker that trains the job; `auto` takes a GPU if one is there now."""
    if spec.device != "auto":
        return spec.device
    return "cuda" if tx.workers.live(alive_s).get("cuda") else "cpu"

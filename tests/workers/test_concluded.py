"""Jobs whose confirm is ended by request: by what they conclude, whatever the unfinished stage does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.builders.messages import Bell, answer, answer_all, bell, conclusion, submit, view
from whichopt.service import jobs as doors
from whichopt.service.db import Store
from whichopt.service.db.tables import cohort
from whichopt.service.errors import JobEnded, NotConcludable
from whichopt.service.evidence.report.document import Report, evidence
from whichopt.service.evidence.report.verify import verify
from whichopt.service.planning.rounds import next_round
from whichopt.service.reaper import sweep
from whichopt.service.settings import Settings
from whichopt.service.states import JobState, Phase, TrialState
from whichopt.service.trials import TrialPlan
from whichopt.service.views import JobView
from whichopt.workers import jobs
from whichopt.workers.engine import Cancelled, Watch
from whichopt.workers.workload import Workload

UNSETTLED: dict[str, Any] = {
    "optimizers": ["sgd", {"name": "sgd", "label": "sgd-b"}],
    "budget": {"trials": 2, "replicates": 2, "epochs": 1, "confirm_seeds": 12},
    "executor": "solo",
}
"""A job of two equals, as both have the default alone: a tie at each look, after 4, 8 and 12 fresh seeds."""


@pytest.fixture
def context(store: Store, tmp_path: Path) -> jobs.Context:
    settings = Settings(blobs=tmp_path / "blobs", tick_s=0.02, ring_again_s=0.001)
    return jobs.Context(store, Bell(), settings, worker_name="w1")


class Endless:
    """An executor that trains for ever, and asks for the job's conclusion first."""

    def __init__(self, ask: Callable[[], object]) -> None:
        self.ask = ask

    def run(
        self, _workload: Workload, _plans: Sequence[TrialPlan], watch: Watch, _resume: object = None
    ) -> None:
        self.ask()
        while not watch.cancelled():
            watch.progress(0, 1, [])
        raise Cancelled


def until(context: jobs.Context, uid: str, seeds: int) -> list[tuple[str, int]]:
    """Train until so many fresh seeds are done; the cohorts of the stage after them wait."""
    rung = bell(context).rung
    while True:
        confirm = view(context, uid).progress.confirm
        if confirm is not None and confirm.seeds_done >= seeds and confirm.seeds_planned > seeds:
            return list(rung)
        assert rung, view(context, uid)
        answer(context, rung.pop(0))


def conclude(context: jobs.Context, uid: str) -> JobView:
    return doors.conclude(context.store, context.dispatcher, uid, alive_s=10)


def report_of(context: jobs.Context, uid: str) -> Report:
    with context.store.read() as tx:
        record = tx.records.of_job(uid)
    assert record is not None
    assert record.recommendation is not None
    return evidence(record.facts, record.spec, record.trials, record.recommendation, record.environments)


def begun(context: jobs.Context, seeds: int) -> tuple[int, str]:
    job_id, uid = submit(context, **UNSETTLED)
    bell(context).plan(job_id)
    until(context, uid, seeds)
    return job_id, uid


@pytest.mark.parametrize("seeds", [4, 8])
def test_a_job_concludes_at_the_look_that_is_done(context: jobs.Context, seeds: int) -> None:
    """After the first stage it ends as a job that time cuts short does: tests are of all its finalists."""
    _, uid = begun(context, seeds)
    cohorts = list(bell(context).rung)
    if len(cohorts) > 1:
        answer(context, bell(context).rung.pop(0))  # results of the unfinished stage, which do not count
    asked = conclude(context, uid)
    assert (asked.state, asked.concluded_seeds) == (JobState.RUNNING, seeds)
    assert conclude(context, uid).concluded_seeds == seeds, "a second request changes nothing"
    answer_all(context)
    found = conclusion(context, uid)
    assert found.stage is not None
    assert found.stage.stopped == "the job was concluded by request"
    assert found.stage.seeds == seeds
    assert found.stage.look == (1 if seeds == 4 else 2)
    ended = view(context, uid)
    assert (ended.state, ended.concluded_seeds) == (JobState.SUCCEEDED, seeds)
    assert ended.progress.trials_done == ended.progress.trials_total
    assert ended.progress.confirm is not None
    assert ended.progress.confirm.seeds_done == seeds
    report = report_of(context, uid)
    assert len([t for t in report.trials if t.result is not None]) == found.cost.trials
    told = verify(report)
    assert told.outcome == "confirmed", (told.statement, told.inconsistencies, told.differences)
    assert report.model_validate_json(report.model_dump_json()).job.concluded_seeds == seeds


def test_a_report_that_claims_another_end_does_not_verify(context: jobs.Context) -> None:
    _, uid = begun(context, 8)
    conclude(context, uid)
    answer_all(context)
    report = report_of(context, uid)
    for claimed in (None, 4, 6, 12):
        facts = report.job.model_copy(update={"concluded_seeds": claimed})
        assert verify(report.model_copy(update={"job": facts})).outcome == "differs", claimed


def test_what_trains_hears_of_it_within_a_tick(
    context: jobs.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, uid = begun(context, 4)
    monkeypatch.setattr(jobs, "EXECUTORS", {"solo": lambda: Endless(lambda: conclude(context, uid))})
    answer_all(context)
    assert view(context, uid).state is JobState.SUCCEEDED
    with context.store.read() as tx:
        confirm = tx.views.trials(job_id, phase=Phase.CONFIRM, limit=500).items
    assert {t.state for t in confirm if t.number >= 4} == {TrialState.CANCELLED}
    assert {t.state for t in confirm if t.number < 4} == {TrialState.COMPLETE}


def test_results_that_come_with_the_request_do_not_count(
    context: jobs.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole next stage ends before its worker hears of it."""
    _, uid = begun(context, 4)
    train = jobs._train

    def concludes(*args: Any) -> Any:
        results = train(*args)
        conclude(context, uid)
        return results

    monkeypatch.setattr(jobs, "_train", concludes)
    answer_all(context)
    found = conclusion(context, uid)
    assert found.stage is not None
    assert found.stage.seeds == 4
    assert verify(report_of(context, uid)).outcome == "confirmed"


def test_a_planner_that_did_not_hear_of_it_plans_nothing(
    context: jobs.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request comes while a planner computes the next round: what that writes is refused."""
    _, uid = begun(context, 4)
    asked = []

    def late(*args: Any, **options: Any) -> Any:
        following = next_round(*args, **options)
        asked.append(conclude(context, uid).concluded_seeds)
        return following

    monkeypatch.setattr(jobs, "next_round", late)
    answer_all(context)
    assert asked == [8], "the stage that had just ended counts"
    found = conclusion(context, uid)
    assert found.stage is not None
    assert found.stage.seeds == 8
    assert view(context, uid).state is JobState.SUCCEEDED


def test_a_worker_that_died_holds_nothing_up(context: jobs.Context) -> None:
    _, uid = begun(context, 4)
    (_, cohort_id), *_ = bell(context).rung
    with context.store.transaction() as tx:
        tx.workers.seen("w1", queue="cpu")
        assert tx.cohorts.claim(cohort_id, worker_name="w1", lease_s=-1, attempts=3)
    conclude(context, uid)
    bell(context).rung.clear()  # and the message got lost
    for _ in range(3):
        sweep(context.store, context.dispatcher, context.settings)
        answer_all(context)
    assert view(context, uid).state is JobState.SUCCEEDED
    assert conclusion(context, uid).stage is not None
    with context.store.read() as tx:
        states = set(tx.connection.scalars(sa.select(cohort.c.state)))
    assert states == {"done", "cancelled"}


def test_training_that_raises_meanwhile_fails_no_job(
    context: jobs.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, uid = begun(context, 4)

    class Breaking:
        def run(self, *_: object) -> None:
            conclude(context, uid)
            raise FloatingPointError("too late")

    monkeypatch.setattr(jobs, "EXECUTORS", {"solo": Breaking})
    answer_all(context)
    assert view(context, uid).state is JobState.SUCCEEDED


def test_a_job_that_fails_before_its_planner_comes_can_be_resumed_to_its_conclusion(
    context: jobs.Context,
) -> None:
    job_id, uid = begun(context, 4)
    conclude(context, uid)
    bell(context).rung.clear()
    with context.store.transaction() as tx:
        tx.jobs.fail(job_id, code="planner_lost", detail="made up")
    doors.resume(context.store, context.dispatcher, uid, alive_s=10)
    assert bell(context).rung == [("plan", job_id)], "nothing is trained again"
    answer_all(context)
    found = conclusion(context, uid)
    assert found.stage is not None
    assert found.stage.stopped == "the job was concluded by request"


def test_what_cannot_be_concluded_is_said_so(context: jobs.Context) -> None:
    job_id, uid = submit(context, **UNSETTLED)
    with pytest.raises(NotConcludable, match="still searching"):
        conclude(context, uid)
    bell(context).plan(job_id)
    while view(context, uid).phase is not Phase.CONFIRM:
        answer(context, bell(context).rung.pop(0))
    with pytest.raises(NotConcludable, match="first stage of confirm is not done"):
        conclude(context, uid)
    until(context, uid, 4)
    claimed = bell(context).rung[0][1]
    with context.store.transaction() as tx:
        assert tx.cohorts.claim(claimed, worker_name="w1", lease_s=60, attempts=3)
        tx.jobs.cancel(job_id)
    with pytest.raises(NotConcludable, match="is being cancelled"):
        conclude(context, uid)
    with context.store.transaction() as tx:
        tx.jobs.fail(job_id, code="worker_lost", detail="made up")
    with pytest.raises(JobEnded, match="it has ended: it is failed"):
        conclude(context, uid)

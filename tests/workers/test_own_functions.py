"""A worker takes the functions that it has, and hands on or leaves what is about others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.builders.guests import GUEST, guest_spec
from tests.builders.jobs import must_claim
from tests.builders.services import Recorder
from whichopt.service import reaper
from whichopt.service.catalog.origins import Origin
from whichopt.service.catalog.plugins import BrokenOffer, ModelOffer
from whichopt.service.db import Store
from whichopt.service.db.tables import cohort, job
from whichopt.service.dispatch import RUN_COHORT, CeleryDispatcher, celery_app, of_functions
from whichopt.service.settings import Settings
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.states import Agreement, CohortState, JobState
from whichopt.workers import jobs, own_functions
from whichopt.workers.embedded.broker import Broker
from whichopt.workers.guests.offered import functions_of_workers
from whichopt.workers.identity import Identity

NAME = "ourlab.train:fit"


def context(store: Store, folder: Path, *has: str) -> jobs.Context:
    """A worker's process with these functions; without any, its operator allows none."""
    settings = Settings(blobs=folder / "blobs", allow=",".join(has))
    functions = functions_of_workers(settings, has) if has else None
    return jobs.Context(store, Recorder(), settings, worker_name="w1", functions=functions)


def planned(store: Store, folder: Path) -> list[int]:
    """The cohorts of a job whose function was rehearsed: any worker plans it."""
    with store.transaction() as tx:
        job_id, _ = tx.jobs.add(guest_spec(), queue="cpu")
    assert jobs.plan_round(context(store, folder), job_id) is None
    with store.read() as tx:
        return tx.cohorts.queued_of(job_id)


@pytest.mark.parametrize("has", [(), ("ourlab.other:fit",)])
def test_who_lacks_a_function_leaves_its_job_as_it_is(
    store: Store, tmp_path: Path, has: tuple[str, ...]
) -> None:
    with store.transaction() as tx:
        job_id, uid = tx.jobs.add(resolve(JobSpec.model_validate(GUEST)), queue="cpu")
    here = context(store, tmp_path, *has)
    assert jobs.plan_round(here, job_id) == NAME
    with store.read() as tx:
        view = tx.views.job(uid, alive_s=10)
        planners = tx.connection.scalar(sa.select(job.c.plan_rings).where(job.c.id == job_id))
    assert view is not None
    assert (view.state, view.error, planners) == (JobState.QUEUED, None, 0)

    first, *_ = planned(store, tmp_path)
    assert jobs.run_cohort(here, first) == NAME
    with store.read() as tx:
        row = tx.connection.execute(sa.select(cohort).where(cohort.c.id == first)).one()
    assert (row.state, row.attempt) == (CohortState.QUEUED, 0)
    assert must_claim(store, first).spec.guest is not None, "somebody else may"


def test_a_worker_hands_on_what_another_one_has(store: Store, broker: Broker) -> None:
    lacks, other = Settings(broker_url=broker.url), Settings(broker_url=broker.url, allow="ourlab.other:fit")
    ring = CeleryDispatcher(celery_app(lacks))

    def handed_on(settings: Settings) -> int | None:
        own_functions.hand_on(store, ring, settings, lacking=NAME, task=RUN_COHORT, row=1, queue="cpu")
        assert ring.waiting("cpu") == 0
        return ring.waiting(of_functions("cpu"))

    assert handed_on(lacks) == 0, "nobody has it: the job waits, and says so"
    with store.transaction() as tx:
        tx.workers.seen("w2", queue="cpu", functions={NAME: "0" * 64})
    assert handed_on(lacks) == 1
    assert handed_on(other) == 1, "it would take it from there itself: the reaper rings again"

    def handed_on_plugin() -> int | None:
        own_functions.hand_on(store, ring, lacks, lacking="model net", task=RUN_COHORT, row=2, queue="cpu")
        return ring.waiting(of_functions("cpu"))

    place = Origin(target="ourlab:net", package="ourlab", version="1.0")
    broken = BrokenOffer(name="net", origin=place, of="model", problem="it raised")
    with store.transaction() as tx:
        tx.workers.seen("w3", queue="cpu", plugins=[broken])
    assert handed_on_plugin() == 1, "who cannot use it does not have it"
    with store.transaction() as tx:
        tx.workers.seen("w3", queue="cpu", plugins=[ModelOffer(name="net", origin=place)])
    assert handed_on_plugin() == 2


def test_the_reaper_counts_what_was_handed_on(store: Store, tmp_path: Path, broker: Broker) -> None:
    settings = Settings(broker_url=broker.url, ring_again_s=1e-6)
    ring = CeleryDispatcher(celery_app(settings))
    ids = planned(store, tmp_path)
    with store.transaction() as tx:
        tx.workers.seen("w1", queue="cpu")
    for cohort_id in ids:
        ring.hand_on(RUN_COHORT, cohort_id, "cpu")
    reaper.sweep(store, ring, settings)
    assert (ring.waiting("cpu"), ring.waiting(of_functions("cpu"))) == (0, len(ids))
    with store.read() as tx:
        counts = [tx.cohorts.queued("cpu", functions=one) for one in (True, False, None)]
    assert counts == [len(ids), 0, len(ids)]


def test_a_worker_that_begins_rings_for_what_waited_for_it(
    store: Store, tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ourlab.py").write_text("def fit(run): ...\n")
    workload = {"function": "ourlab:fit", "minimize": "loss"}
    with store.transaction() as tx:
        asked = resolve(JobSpec.model_validate({**GUEST, "workload": workload}))
        tx.jobs.add(asked, queue="cpu")
        tx.jobs.add(guest_spec(), queue="cpu")
        tx.workers.seen("w1", queue="cpu")
    settings = Settings(broker_url=broker.url, allow="ourlab:fit,ourlab:other")
    ring = CeleryDispatcher(celery_app(settings))
    process = Identity("w1", "cpu", 1)
    tells = own_functions.TellFunctions(store, ring, settings, process, pause_s=1.0)
    tells.step()
    with store.read() as tx:
        assert tx.workers.functions_of("w1") is None, "it has not said yet how far its results agree"
    with store.transaction() as tx:
        tx.workers.gone("w1")
        tx.workers.probed("w1", queue="cpu", agreement=Agreement.BITS)
    tells.step()
    assert ring.waiting("plan") == 1, "for the job about its function alone"
    monkeypatch.setenv("WHICHOPT_WORKER", '{"name": "w1", "queue": "cpu", "processes": 1}')
    functions = own_functions.runs(store, settings)
    assert functions is not None
    assert (functions.has("ourlab:fit"), functions.has("ourlab:other")) == (True, False)


def test_who_allows_functions_listens_to_more_queues() -> None:
    assert own_functions.queues("cpu", Settings()) == ["plan", "cpu"]
    allowing: Any = Settings(allow=NAME)
    assert own_functions.queues("cuda", allowing) == ["plan", "cuda", "plan.functions", "cuda.functions"]

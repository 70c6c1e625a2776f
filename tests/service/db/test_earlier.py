"""The jobs before a job that had the same data, model and metric, as its report tells them."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from tests.builders.concluded_jobs import conclude, concluded_job, make_recommendation
from tests.builders.guests import guest_spec
from tests.builders.jobs import add_job, add_round, finish, make_spec, must_claim, planning
from whichopt.service.db import Store
from whichopt.service.db.tables import job
from whichopt.service.records import MOST_EARLIER, EarlierJobs
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import JobState


def earlier(store: Store, uid: str) -> EarlierJobs:
    with store.read() as tx:
        found = tx.records.earlier(uid)
    assert found is not None
    return found


def ids(store: Store, uid: str) -> list[str]:
    return [one.id for one in earlier(store, uid).jobs]


def test_they_are_told_with_their_verdicts_the_newest_first(store: Store) -> None:
    _, first = concluded_job(store)
    waiting, second = add_job(store)
    with store.transaction() as tx:
        tx.jobs.cancel(waiting)
    _, own = concluded_job(store)
    concluded_job(store)
    found = earlier(store, own)
    assert (found.count, ids(store, own)) == (2, [second, first])
    cancelled, told = found.jobs
    assert (cancelled.state, cancelled.verdict) == (JobState.CANCELLED, None)
    assert (told.state, told.verdict, told.optimizer) == (JobState.SUCCEEDED, "tie", "adabelief")
    assert (told.optimizer_verdict, told.optimizer_winner) == ("tie", None)
    assert earlier(store, first) == EarlierJobs(count=0, jobs=[])
    with store.read() as tx:
        assert tx.records.earlier("no such job") is None


def test_what_ends_later_is_told_as_it_stood(store: Store) -> None:
    slow_id, slow = add_job(store)
    _, own = concluded_job(store)
    before = earlier(store, own)
    assert [(one.id, one.state) for one in before.jobs] == [(slow, None)]
    for cohort in add_round(store, slow_id):
        finish(store, must_claim(store, cohort))
    conclude(store, slow_id)
    assert earlier(store, own) == before


@pytest.mark.parametrize(
    ("other", "counts"),
    [
        ({"seed": 7, "optimizers": ["adam"], "name": "another", "batch_size": 8}, True),
        ({"workload": {"dataset": {"name": "wine"}, "model": {"name": "mlp"}}}, False),
        ({"workload": {"dataset": {"name": "digits"}, "model": {"name": "linear"}}}, False),
        (
            {"workload": {"dataset": {"name": "wine"}, "model": {"name": "linear"}, "metric": "accuracy"}},
            False,
        ),
    ],
)
def test_the_same_is_data_model_and_metric(store: Store, other: dict[str, Any], counts: bool) -> None:
    add_job(store, make_spec(**other))
    _, own = add_job(store)
    assert earlier(store, own).count == int(counts)


def test_models_with_other_options_are_others(store: Store) -> None:
    def mlp(hidden: list[int]) -> ResolvedSpec:
        return make_spec(workload={"dataset": {"name": "wine"}, "model": {"name": "mlp", "hidden": hidden}})

    for hidden in ([8], [16], [8]):
        _, own = add_job(store, mlp(hidden))
    assert earlier(store, own).count == 1


def test_a_persons_own_data_are_known_by_their_content(store: Store) -> None:
    """Not by their name: the same file may be sent under another one, and another file under the same."""
    uids = [add_job(store)[1] for _ in range(3)]
    with store.transaction() as tx:
        for uid, content, name in zip(uids, ("a" * 64, "b" * 64, "a" * 64), ("x", "y", "y"), strict=True):
            row = tx.connection.execute(sa.select(job.c.spec).where(job.c.uid == uid)).one()
            spec = {**row.spec, "workload": {**row.spec["workload"], "dataset": {"name": name}}}
            tx.connection.execute(
                job.update().where(job.c.uid == uid).values(content=content, dataset=name, spec=spec)
            )
    assert ids(store, uids[2]) == [uids[0]]
    with store.transaction() as tx:  # `content` names blobs, which are not there
        tx.connection.execute(job.update().values(content=None))


def test_a_function_is_known_by_its_source(store: Store) -> None:
    def of(source: str, name: str = "ourlab.train:fit", **options: Any) -> ResolvedSpec:
        workload = {"function": {"name": name, "options": options}, "minimize": "val_loss"}
        spec = guest_spec(workload=workload)
        guest = spec.guest
        assert guest is not None
        return spec.model_copy(update={"workload": guest.model_copy(update={"source": source})})

    same = add_job(store, of("a" * 64, "moved.train:fit"))[1]
    add_job(store, of("b" * 64))
    add_job(store, of("a" * 64, depth=3))
    add_job(store)
    _, own = add_job(store, of("a" * 64))
    assert ids(store, own) == [same]


def test_few_are_listed_and_all_are_counted(store: Store) -> None:
    for _ in range(MOST_EARLIER + 3):
        _, own = add_job(store)
    found = earlier(store, own)
    assert (found.count, len(found.jobs)) == (MOST_EARLIER + 2, MOST_EARLIER)


def test_a_damaged_conclusion_hides_nothing(store: Store) -> None:
    _, first = concluded_job(store)
    job_id, own = add_job(store)
    for cohort in add_round(store, job_id):
        finish(store, must_claim(store, cohort))
    planned = planning(store, job_id)
    assert planned is not None
    with store.transaction() as tx:
        assert tx.jobs.conclude(planned, make_recommendation(own, planned.spec))
        damaged = {"verdict": 7, "optimizer_verdict": []}
        tx.connection.execute(job.update().where(job.c.uid == first).values(recommendation=damaged))
    (told,) = earlier(store, own).jobs
    assert (told.state, told.verdict, told.optimizer_verdict) == (JobState.SUCCEEDED, None, None)

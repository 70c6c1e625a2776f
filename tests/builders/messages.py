"""What drives a worker message by message: jobs to send, a bell to ring, and what came of the jobs."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from whichopt.service.catalog.built_in import built_in
from whichopt.service.catalog.datasets import DatasetEntry
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.views import JobView, Recommendation
from whichopt.workers import jobs

SPEC = {
    "workload": {"dataset": {"name": "wine"}, "model": {"name": "linear"}},
    "optimizers": ["adabelief", "sgd"],
    "budget": {"trials": 8, "replicates": 2, "epochs": 2, "confirm_seeds": 3},
    "batch_size": 32,
    "executor": "stacked",
    "kernels": "torch",  # so that jobs can be compared, whatever else is done on the machine meanwhile
}


@dataclass
class Bell:
    """A dispatcher that writes down what was rung for."""

    rung: list[tuple[str, int]] = field(default_factory=list)
    reports: list[int] = field(default_factory=list)

    def plan(self, job_id: int) -> None:
        self.rung.append(("plan", job_id))

    def cohorts(self, ids: Iterable[int], queue: str) -> None:
        assert queue == "cpu"
        self.rung += [("cohort", cohort_id) for cohort_id in ids]

    def report(self, job_id: int) -> None:
        self.reports.append(job_id)

    def waiting(self, _queue: str) -> int | None:
        return 0

    def refusal(self) -> str | None:
        return None


def submit(context: jobs.Context, *, data: DatasetEntry | None = None, **changes: Any) -> tuple[int, str]:
    """Add a job; `data` is an upload that it is about, in the place of the spec's dataset."""
    catalog = None if data is None else replace(built_in(), datasets=(data,))
    if data is not None:
        changes["workload"] = {**SPEC["workload"], "dataset": {"name": data.name}}  # type: ignore[dict-item]
    with context.store.transaction() as tx:
        return tx.jobs.add(resolve(JobSpec.model_validate({**SPEC, **changes}), catalog), queue="cpu")


def bell(context: jobs.Context) -> Bell:
    assert isinstance(context.dispatcher, Bell)
    return context.dispatcher


def answer(context: jobs.Context, message: tuple[str, int]) -> None:
    kind, row = message
    (jobs.plan_round if kind == "plan" else jobs.run_cohort)(context, row)


def answer_all(context: jobs.Context, *, order: random.Random | None = None, twice: bool = False) -> None:
    rung = bell(context).rung
    while rung:
        message = rung.pop(0 if order is None else order.randrange(len(rung)))
        answer(context, message)
        if twice:
            answer(context, message)


def view(context: jobs.Context, uid: str) -> JobView:
    with context.store.read() as tx:
        found = tx.views.job(uid, alive_s=10)
    assert found is not None
    return found


def conclusion(context: jobs.Context, uid: str) -> Recommendation:
    with context.store.read() as tx:
        found = tx.views.recommendation(uid)
    assert found is not None
    assert found[1] is not None, view(context, uid)
    return found[1]


def timeless(found: Recommendation) -> dict[str, Any]:
    """The recommendation without ids and times, which differ from run to run."""
    data = found.model_dump(mode="json")
    del data["job_id"]
    for part in (data["cost"], *data["ranking"]):
        del part["seconds"]
    return data


def results_of(context: jobs.Context, job_id: int) -> list[tuple[Any, ...]]:
    with context.store.read() as tx:
        trials = tx.views.trials(job_id, limit=1000).items
    return [
        (t.optimizer, t.phase, t.replicate, t.number, t.config, t.state, t.value, t.curve) for t in trials
    ]

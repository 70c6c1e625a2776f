"""Jobs, rounds and results made up for the tests of the database."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from whichopt.service.db import Store
from whichopt.service.db.cohorts import Beat, Claim
from whichopt.service.db.jobs import Planning
from whichopt.service.db.tables import trial
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.service.states import JobState, Origin, Phase, TrialState
from whichopt.service.trials import Point, Seeds, TrialPlan, TrialResult

LEASE_S = 60.0
LAPSED_S = -1.0
"""A lease that has run out when it is taken."""


def make_spec(**changes: Any) -> ResolvedSpec:
    body = {
        "workload": {"dataset": {"name": "wine"}, "model": {"name": "linear"}},
        "optimizers": ["adabelief", "sgd"],
        "budget": {"trials": 4, "replicates": 2, "epochs": 2, "confirm_seeds": 3},
        **changes,
    }
    return resolve(JobSpec.model_validate(body))


def make_plans(spec: ResolvedSpec) -> list[TrialPlan]:
    """The first trial of every study."""
    return [
        TrialPlan(
            label=chosen.label,
            optimizer=chosen.name,
            config=chosen.default,
            training=spec.training_of(chosen.label, chosen.default),
            seeds=Seeds(init=1, order=2, split=3),
            length=100,
            evaluations=(50, 100),
            phase=Phase.SEARCH,
            origin=Origin.DEFAULT,
            replicate=replicate,
            number=0,
        )
        for replicate in range(spec.budget.replicates)
        for chosen in spec.optimizers
    ]


def make_result(value: float = 0.5) -> TrialResult:
    return TrialResult(
        state=TrialState.COMPLETE,
        value=value,
        metrics={"validation": {"nll": value, "accuracy": 0.9}},
        curves={"validation.nll": [Point(1, 50, 2 * value), Point(2, 100, value)]},
        steps=2,
        examples=100,
        seconds=0.1,
    )


def add_job(store: Store, spec: ResolvedSpec | None = None, **options: Any) -> tuple[int, str]:
    with store.transaction() as tx:
        return tx.jobs.add(spec or make_spec(), queue="cpu", **options)


def planning(store: Store, job_id: int) -> Planning | None:
    with store.read() as tx:
        return tx.jobs.planning(job_id)


def add_round(store: Store, job_id: int) -> list[int]:
    """One round of two cohorts."""
    planned = planning(store, job_id)
    assert planned is not None
    plans = make_plans(planned.spec)
    with store.transaction() as tx:
        ids = tx.jobs.add_round(
            planned, [plans[:2], plans[2:]], spec=planned.spec.with_executor("solo"), cut_short=False
        )
    assert ids is not None
    return ids


def claim(store: Store, cohort_id: int, *, lease_s: float = LEASE_S, attempts: int = 3) -> Claim | None:
    with store.transaction() as tx:
        return tx.cohorts.claim(cohort_id, worker_name="w1", lease_s=lease_s, attempts=attempts)


def must_claim(store: Store, cohort_id: int, *, lease_s: float = LEASE_S) -> Claim:
    claimed = claim(store, cohort_id, lease_s=lease_s)
    assert claimed is not None
    return claimed


def beat(store: Store, claimed: Claim, *, lease_s: float = LEASE_S, kept: int | None = None) -> Beat:
    """A tick; with `kept`, after the state at so many examples was kept."""
    curves = {0: [Point(1, 50, 1.0)]}
    state: dict[str, Any] = {} if kept is None else {"checkpoint": f"at-{kept}", "kept_examples": kept}
    with store.transaction() as tx:
        return tx.cohorts.beat(claimed, lease_s=lease_s, examples=50, curves=curves, **state)


def finish(store: Store, claimed: Claim) -> bool:
    with store.transaction() as tx:
        return tx.cohorts.finish(claimed, [make_result() for _ in claimed.plans])


def state_of(store: Store, uid: str) -> JobState:
    with store.read() as tx:
        view = tx.views.job(uid, alive_s=10)
    assert view is not None
    return view.state


def trial_states(store: Store, job_id: int) -> list[str]:
    with store.read() as tx:
        query = sa.select(trial.c.state).where(trial.c.job_id == job_id).order_by(trial.c.id)
        return list(tx.connection.scalars(query))


def expired(store: Store) -> list[tuple[int, int]]:
    with store.read() as tx:
        return tx.lost.expired(tx.now())


def take_back(store: Store, cohort_id: int, job_id: int, *, attempts: int = 3) -> bool:
    with store.transaction() as tx:
        return tx.lost.take_back(cohort_id, job_id, attempts=attempts, alive_s=10, as_of=tx.now())

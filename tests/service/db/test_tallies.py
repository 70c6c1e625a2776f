"""The counters that are kept at write time: equal to a count of the trials after every kind of write."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from tests.builders.concluded_jobs import conclude
from tests.builders.jobs import (
    LAPSED_S,
    add_job,
    beat,
    claim,
    make_plans,
    make_result,
    must_claim,
    planning,
    take_back,
)
from whichopt.service.db import Store
from whichopt.service.db.cohorts import Claim
from whichopt.service.db.tables import cohort, fresh_seed, tally, trial
from whichopt.service.db.tallies import SUMS
from whichopt.service.states import CohortState, Phase, TrialState
from whichopt.service.trials import TrialPlan, TrialResult

OUTCOMES = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.DIVERGED)
DONE = (*OUTCOMES, TrialState.FAILED)


def check(store: Store, job_id: int) -> None:
    """Count the job's trials, and hold it against the counters."""
    with store.read() as tx:
        rows = tx.connection.execute(sa.select(trial).where(trial.c.job_id == job_id)).all()
        kept = tx.connection.execute(sa.select(tally).where(tally.c.job_id == job_id)).all()
        seeds = tx.connection.execute(sa.select(fresh_seed).where(fresh_seed.c.job_id == job_id)).all()
    assert {(row.label, row.phase) for row in kept} == {(row.label, row.phase) for row in rows}
    for row in kept:
        own = [one for one in rows if (one.label, one.phase) == (row.label, row.phase)]
        values = [one.value for one in own if one.value is not None]
        counted = {
            "total": len(own),
            "done": sum(one.state in DONE for one in own),
            **{
                state: sum(one.state == state for one in own)
                for state in ("running", "cancelled", "pruned", "diverged", "failed")
            },
            **{name: sum(getattr(one, name) for one in own) for name in ("steps", "examples")},
            "seconds": pytest.approx(sum(one.seconds for one in own)),
        }
        assert {name: getattr(row, name) for name in SUMS} == counted
        assert (row.least, row.most) == ((min(values), max(values)) if values else (None, None))
    confirmed = [one for one in rows if one.phase == Phase.CONFIRM]
    assert {(row.number, row.runs, row.done) for row in seeds} == {
        (
            number,
            sum(one.number == number for one in confirmed),
            sum(one.number == number and one.state in DONE for one in confirmed),
        )
        for number in {one.number for one in confirmed}
    }


def a_round(store: Store, job_id: int, phase: Phase = Phase.SEARCH, first: int = 0) -> list[int]:
    """A round of three cohorts of two trials, of which one has both labels."""
    planned = planning(store, job_id)
    assert planned is not None
    plans = [
        TrialPlan.model_validate({**plan.model_dump(), "phase": phase, "number": first + number})
        for number in range(2)
        for plan in make_plans(planned.spec)[:3]
    ]
    if phase is Phase.CONFIRM:
        plans = [TrialPlan.model_validate({**plan.model_dump(), "replicate": None}) for plan in plans]
    with store.transaction() as tx:
        ids = tx.jobs.add_round(
            planned,
            [plans[at : at + 2] for at in (0, 2, 4)],
            spec=planned.spec.with_executor("solo"),
            cut_short=False,
        )
    assert ids is not None
    return ids


def a_result(chance: random.Random) -> TrialResult:
    state = chance.choice(OUTCOMES)
    value = None if state is TrialState.DIVERGED else chance.random()
    made = make_result(0.5)
    return made.model_copy(update={"state": state, "value": value, "seconds": chance.random()})


def finish(store: Store, claimed: Claim, chance: random.Random, *, cut_short: bool = False) -> None:
    results = [None if cut_short else a_result(chance) for _ in claimed.plans]
    with store.transaction() as tx:
        tx.cohorts.finish(claimed, results)


def give_back(store: Store, claimed: Claim, _: random.Random) -> None:
    with store.transaction() as tx:
        tx.cohorts.give_back(claimed)


def drop(store: Store, claimed: Claim, _: random.Random) -> None:
    with store.transaction() as tx:
        tx.cohorts.drop(claimed)


def fail(store: Store, claimed: Claim, _: random.Random) -> None:
    with store.transaction() as tx:
        tx.cohorts.fail(claimed, code="training_failed", detail="it raised")


def lose(store: Store, claimed: Claim, _: random.Random) -> None:
    beat(store, claimed, lease_s=LAPSED_S)
    take_back(store, claimed.cohort_id, claimed.job_id)


def lose_for_good(store: Store, claimed: Claim, _: random.Random) -> None:
    beat(store, claimed, lease_s=LAPSED_S)
    take_back(store, claimed.cohort_id, claimed.job_id, attempts=1)


def run_out_of_time(store: Store, claimed: Claim, chance: random.Random) -> None:
    finish(store, claimed, chance, cut_short=True)


ENDS: tuple[Callable[[Store, Claim, random.Random], None], ...] = (
    finish,
    finish,
    finish,
    give_back,
    lose,
    drop,
    run_out_of_time,
    fail,
    lose_for_good,
)


@pytest.mark.parametrize("seed", range(4))
def test_the_counters_are_a_count_of_the_trials_after_every_write(store: Store, seed: int) -> None:
    chance = random.Random(seed)
    job_id, _ = add_job(store)
    others = add_job(store)[0]
    a_round(store, others)
    for number in range(3):
        if planning(store, job_id) is None:
            break
        phase = Phase.CONFIRM if number == 2 else Phase.SEARCH
        for cohort_id in a_round(store, job_id, phase, first=2 * number):
            check(store, job_id)
            claimed = claim(store, cohort_id, attempts=99)
            if claimed is None:
                continue
            check(store, job_id)
            chance.choice(ENDS)(store, claimed, chance)
            check(store, job_id)
            if chance.random() < 0.5:
                with store.transaction() as tx:
                    tx.lost.resume(job_id)
                check(store, job_id)
        _end_what_waits(store, job_id, chance)
    with store.transaction() as tx:
        tx.jobs.cancel(job_id)
    check(store, job_id)
    check(store, others)


def _end_what_waits(store: Store, job_id: int, chance: random.Random) -> None:
    with store.read() as tx:
        waiting = tx.cohorts.queued_of(job_id)
    for cohort_id in waiting:
        claimed = claim(store, cohort_id, attempts=99)
        if claimed is not None:
            finish(store, claimed, chance)
            check(store, job_id)


def test_a_confirm_that_is_concluded_early_keeps_its_counters(store: Store) -> None:
    chance = random.Random(0)
    job_id, uid = add_job(store)
    for cohort_id in a_round(store, job_id):
        finish(store, must_claim(store, cohort_id), chance)
    for cohort_id in a_round(store, job_id, Phase.CONFIRM):
        finish(store, must_claim(store, cohort_id), chance)
    a_round(store, job_id, Phase.CONFIRM, first=2)
    with store.transaction() as tx:
        assert tx.conclusions.request(job_id).seeds == 2
    check(store, job_id)
    with store.read() as tx:
        view = tx.views.job(uid, alive_s=10)
    assert view is not None
    assert view.progress.confirm is not None
    assert view.progress.confirm.seeds_done == 2, "what was cancelled counts no more"
    conclude(store, job_id)
    check(store, job_id)


def test_a_process_that_takes_up_its_own_job_keeps_its_counters(store: Store) -> None:
    job_id, _ = add_job(store)
    ids = a_round(store, job_id)
    must_claim(store, ids[0])
    with store.transaction() as tx:
        tx.lost.take_back_here(job_id)
    check(store, job_id)
    with store.read() as tx:
        states = tx.connection.scalars(sa.select(cohort.c.state).where(cohort.c.job_id == job_id))
        assert {*states} == {CohortState.QUEUED}

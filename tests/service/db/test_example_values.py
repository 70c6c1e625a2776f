"""The values by example are kept with a cohort's results, once, and apart from the trials' rows."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tests.builders.jobs import (
    LAPSED_S,
    add_job,
    add_round,
    make_result,
    must_claim,
    planning,
    take_back,
)
from whichopt.service.by_example import written
from whichopt.service.db import Store
from whichopt.service.db.cohorts import Claim
from whichopt.service.db.tables import example_values, trial

VALUES = written([0.25, 0.75])


def finish(store: Store, claimed: Claim, *, first: str | None = VALUES) -> bool:
    """The first trial of the cohort has values by example."""
    results = [make_result().with_examples(first), *(make_result() for _ in claimed.plans[1:])]
    with store.transaction() as tx:
        return tx.cohorts.finish(claimed, results)


def kept(store: Store) -> int:
    with store.read() as tx:
        return tx.connection.scalar(sa.select(sa.func.count()).select_from(example_values)) or 0


def test_they_are_read_with_the_job_and_not_with_its_trials(store: Store) -> None:
    job_id, _ = add_job(store)
    first, second = add_round(store, job_id)
    assert finish(store, must_claim(store, first))
    assert finish(store, must_claim(store, second), first=None)
    with store.read() as tx:
        rows = list(tx.connection.scalars(sa.select(sa.cast(trial.c.result, sa.Text))))
        assert not any("by_example" in row for row in rows)
        assert tx.example_values.of_job(job_id) == [VALUES, None, None, None]
    planned = planning(store, job_id)
    assert planned is not None
    assert all(one.result is not None and one.result.by_example is None for one in planned.trials)
    with store.read() as tx:
        given = tx.example_values.given_to(job_id, planned.trials)
    assert [one.result and one.result.by_example for one in given] == [VALUES, None, None, None]
    assert [one.plan for one in given] == [one.plan for one in planned.trials]


def test_a_late_worker_writes_none_and_the_next_one_writes_them_once(store: Store) -> None:
    job_id, _ = add_job(store)
    first, _ = add_round(store, job_id)
    late = must_claim(store, first, lease_s=LAPSED_S)
    assert take_back(store, first, job_id)
    again = must_claim(store, first)
    assert not finish(store, late)
    assert kept(store) == 0
    assert finish(store, again)
    assert not finish(store, again)
    assert kept(store) == 1


def test_they_are_lost_with_the_results_if_the_transaction_fails(store: Store) -> None:
    job_id, _ = add_job(store)
    first, _ = add_round(store, job_id)
    claimed = must_claim(store, first)
    with pytest.raises(ValueError, match="not base64"):
        finish(store, claimed, first="?")
    assert kept(store) == 0
    with store.read() as tx:
        states = set(tx.connection.scalars(sa.select(trial.c.state).where(trial.c.cohort_id == first)))
    assert states == {"running"}
    assert finish(store, claimed)
    assert kept(store) == 1

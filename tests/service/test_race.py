"""A race read in steps is the race read at once; it has no curves, and only news are read of it."""

from __future__ import annotations

import threading

import pytest

from tests.builders import races
from tests.builders.jobs import add_job, add_round, beat, finish, make_spec, must_claim
from whichopt.service.db import Store
from whichopt.service.race import Race
from whichopt.service.races import Races
from whichopt.service.states import Origin, Phase, TrialState


def whole(store: Store, job_id: int, metric: str = "nll") -> Race:
    with store.read() as tx:
        return Race().with_changes(tx.races.changes(job_id, metric=metric))


def test_steps_give_what_one_reading_gives(store: Store) -> None:
    job_id, _ = add_job(store)
    kept = Races(store)
    first, second = add_round(store, job_id)
    assert kept.of(job_id, "nll") == whole(store, job_id)
    claimed = must_claim(store, first)
    assert kept.of(job_id, "nll") == whole(store, job_id)
    beat(store, claimed)
    assert kept.of(job_id, "nll") == whole(store, job_id)
    assert [side.latest for side in kept.of(job_id, "nll").running[0].trials] == [1.0, None]
    finish(store, claimed)
    race = kept.of(job_id, "nll")
    assert race == whole(store, job_id)
    assert race.last == whole(store, job_id).last is not None
    assert race.running == ()
    taken = must_claim(store, second)
    with store.transaction() as tx:
        assert tx.cohorts.give_back(taken)
    assert kept.of(job_id, "nll") == whole(store, job_id)
    with store.transaction() as tx:
        tx.jobs.cancel(job_id)
    race = kept.of(job_id, "nll")
    assert race == whole(store, job_id)
    states = [trial.state for trial in race.trials.values()]
    assert states == [TrialState.COMPLETE] * 2 + [TrialState.CANCELLED] * 2


def test_only_what_has_changed_is_read(lite: Store) -> None:
    job_id, _ = add_job(lite)
    first, second = add_round(lite, job_id)
    finish(lite, must_claim(lite, first))
    before = whole(lite, job_id)
    must_claim(lite, second)
    with lite.read() as tx:
        changes = tx.races.changes(job_id, metric="nll", since=before.revision)
        again = tx.races.changes(job_id, metric="nll", since=changes.revision)
    assert len(changes.trials) == 2
    assert not again.trials
    assert not again.running


def test_a_trial_has_what_a_lane_needs(lite: Store) -> None:
    job_id, _ = races.racing_job(lite, done=60, running=5)
    race = whole(lite, job_id)
    assert list(race.searched) == list(races.SIX)
    assert race.confirmed == {}
    default = race.searched["radam"][0]
    assert (default.origin, default.number, default.value, default.phase) == (
        Origin.DEFAULT,
        0,
        1.55,
        Phase.SEARCH,
    )
    by_state = {state: [t for t in race.trials.values() if t.state is state] for state in TrialState}
    assert all(trial.value is not None for trial in by_state[TrialState.PRUNED])
    assert by_state[TrialState.PRUNED]
    assert all(trial.value is None for trial in by_state[TrialState.DIVERGED])
    assert len(race.latest) == len(by_state[TrialState.RUNNING]) == 5
    assert not any("curve" in name for name in type(default)._fields)


@pytest.mark.parametrize("most", [1, 50])
def test_races_asked_for_last_are_kept(lite: Store, most: int) -> None:
    kept = Races(lite, most_trials=most)
    jobs = [add_job(lite, make_spec())[0] for _ in range(3)]
    for job_id in jobs:
        add_round(lite, job_id)
        kept.of(job_id, "nll")
    assert list(kept._kept) == (jobs if most == 50 else jobs[-1:])


def test_threads_share_a_race(lite: Store) -> None:
    job_id, _ = add_job(lite)
    ids = add_round(lite, job_id)
    kept, found, writing = Races(lite), list[Race](), threading.Event()
    writing.set()

    def read() -> None:
        while writing.is_set():
            found.append(kept.of(job_id, "nll"))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for cohort_id in ids:
        claimed = must_claim(lite, cohort_id)
        beat(lite, claimed)
        finish(lite, claimed)
    writing.clear()
    for reader in readers:
        reader.join()
    assert kept.of(job_id, "nll") == whole(lite, job_id)
    revisions = [race.revision for race in found]
    # Who has read the same revision has the very same race.
    assert len({id(race) for race in found}) == len(set(revisions))


def test_a_restored_database_is_read_anew(lite: Store) -> None:
    job_id, _ = add_job(lite)
    kept = Races(lite)
    add_round(lite, job_id)
    late = Race(revision=10_000)
    kept.of(job_id, "nll")
    kept._kept[job_id].race = late
    assert kept.of(job_id, "nll") == whole(lite, job_id)

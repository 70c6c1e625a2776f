"""A job with a config of today in the database: its rounds, its progress, its trials as they are shown."""

from __future__ import annotations

from tests.builders.jobs import add_job, finish, make_spec, must_claim, planning
from tests.builders.present import present
from whichopt.service.db import Store
from whichopt.service.evidence.forecast.round import of_round
from whichopt.service.planning.finalists import finalists
from whichopt.service.planning.looks import planned_looks
from whichopt.service.planning.rounds import next_round
from whichopt.service.states import Phase
from whichopt.service.views import JobView
from whichopt.workers.sampler import suggest

SPEC = make_spec(
    budget={"trials": 2, "replicates": 2, "epochs": 2, "confirm_seeds": 6},
    today={"name": "adamw", "config": {"betas": [0.8, 0.99]}},
    executor="solo",
    executors={"adabelief": "solo", "sgd": "solo", "today": "solo"},
)


def to_the_end_of_a_round(store: Store, job_id: int) -> None:
    planned = present(planning(store, job_id))
    following = present(next_round(planned.spec, planned.trials, suggest))
    with store.transaction() as tx:
        ids = tx.jobs.add_round(planned, following.cohorts, spec=planned.spec, cut_short=False)
    for cohort_id in present(ids):
        finish(store, must_claim(store, cohort_id))


def view(store: Store, uid: str) -> JobView:
    with store.read() as tx:
        return present(tx.views.job(uid, alive_s=10))


def test_progress_counts_its_runs_and_not_as_a_finalists(store: Store) -> None:
    job_id, uid = add_job(store, SPEC)
    to_the_end_of_a_round(store, job_id)
    searching = view(store, uid)
    assert [row.optimizer for row in searching.ledger] == ["adabelief", "sgd"]
    assert searching.progress.trials_total == 4
    to_the_end_of_a_round(store, job_id)
    confirming = view(store, uid)
    trials = present(planning(store, job_id)).trials
    arms = len(finalists(SPEC, trials))
    runs = [trial for trial in trials if trial.plan.phase is Phase.CONFIRM]
    first = planned_looks(SPEC, arms)[0]
    assert len(runs) == first * (arms + 1)
    confirm = present(confirming.progress.confirm)
    assert confirm.looks == list(planned_looks(SPEC, arms))
    assert {row.optimizer: row.trials for row in confirming.ledger}["today"] == first
    assert confirming.progress.trials_total == len(trials)


def test_its_trials_are_shown_as_torch_spells_them_and_it_has_a_forecast(store: Store) -> None:
    job_id, _ = add_job(store, SPEC)
    to_the_end_of_a_round(store, job_id)
    to_the_end_of_a_round(store, job_id)
    with store.read() as tx:
        page = tx.views.trials(job_id, optimizer="today", limit=50)
    assert {trial.config["betas"] for trial in page.items} == {(0.8, 0.99)}
    planned = present(planning(store, job_id))
    known = of_round(planned.spec, planned.trials, risk=None)
    assert present(known.trial_seconds)["today"] > 0
    each = present(known.trial_seconds)
    assert known.seed_seconds == sum(each[label] for label in known.finalists) + each["today"]

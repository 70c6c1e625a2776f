"""Jobs whose time is over: what was stopped, what counts, what is said, and what is confirmed still."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.builders.messages import Bell, answer, answer_all, bell, conclusion, results_of, submit, view
from tests.builders.studies import flat, spec_of, train
from tests.builders.watches import Onlooker
from whichopt.service.db import Store
from whichopt.service.db.migrate import upgrade
from whichopt.service.db.tables import job
from whichopt.service.errors import BudgetTooShort
from whichopt.service.evidence.report.document import Report, evidence
from whichopt.service.evidence.report.verify import verify
from whichopt.service.evidence.verdict.recommend import stopped
from whichopt.service.planning.finalists import finalists, judged
from whichopt.service.planning.rounds import next_round
from whichopt.service.settings import Settings
from whichopt.service.spec.budget import Budget
from whichopt.service.states import JobState, Phase, TrialState
from whichopt.service.trials import Point, Trial, TrialPlan, TrialResult
from whichopt.workers import jobs, prepare
from whichopt.workers.engine import Cancelled, State
from whichopt.workers.engine.executors import EXECUTORS
from whichopt.workers.engine.probe import TrainingCost
from whichopt.workers.engine.solo import SoloExecutor
from whichopt.workers.lease import Lease
from whichopt.workers.sampler import suggest
from whichopt.workers.workload import Workload

LIMIT: dict[str, Any] = {
    "budget": {"trials": 8, "replicates": 2, "epochs": 2, "confirm_seeds": 3, "max_seconds": 1000}
}


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite alone: what the databases differ in has tests of its own."""
    url = f"sqlite:///{tmp_path / 'whichopt.db'}"
    store = Store(url)
    upgrade(store)
    store.close()
    return url


@pytest.fixture
def context(store: Store, tmp_path: Path) -> jobs.Context:
    settings = Settings(blobs=tmp_path / "blobs", tick_s=0.02, ring_again_s=0.001)
    return jobs.Context(store, Bell(), settings, worker_name="w1")


def pass_time(context: jobs.Context, job_id: int, seconds: float) -> None:
    """The job was begun so much earlier."""
    with context.store.transaction() as tx:
        begun = tx.connection.scalar(sa.select(job.c.started_at).where(job.c.id == job_id))
        assert begun is not None
        earlier = begun - timedelta(seconds=seconds)
        tx.connection.execute(job.update().where(job.c.id == job_id).values(started_at=earlier))


class UntilEvaluation:
    """Trains for real, one trial at a time; the time for the search is over at its `last` evaluation."""

    def __init__(self, last: int) -> None:
        self.left = last

    def run(
        self, workload: Workload, plans: Sequence[TrialPlan], watch: Lease, resume: State | None = None
    ) -> list[TrialResult]:
        told = watch.cancelled

        def cancelled() -> bool:
            self.left -= 1
            if self.left == 0:
                watch._ends_at = time.monotonic()
            return told()

        watch.cancelled = cancelled  # type: ignore[method-assign]
        return SoloExecutor().run(workload, plans, watch, resume)


def recorded(context: jobs.Context, uid: str) -> Report:
    with context.store.read() as tx:
        found = tx.records.of_job(uid)
    assert found is not None
    assert found.recommendation is not None
    return evidence(found.facts, found.spec, found.trials, found.recommendation, found.environments)


def test_a_cohort_of_the_search_is_not_begun_any_more_and_what_ended_is_confirmed(
    context: jobs.Context,
) -> None:
    job_id, uid = submit(context, **LIMIT)
    jobs.plan_round(context, job_id)
    answer(context, bell(context).rung.pop(0))
    pass_time(context, job_id, 2000)
    answer_all(context)
    report = recorded(context, uid)
    states = Counter((trial.plan.phase, trial.state) for trial in report.trials)
    arms = len(finalists(report.spec, report.trials))
    assert states == {
        (Phase.SEARCH, TrialState.COMPLETE): 4,
        (Phase.SEARCH, TrialState.CANCELLED): 4,
        (Phase.CONFIRM, TrialState.COMPLETE): 3 * arms,
    }
    said = next(one.detail for one in report.recommendation.warnings if one.code == "search_cut_short")
    assert "after 4 of 16 trials, because max_seconds was over. 4 more had started or were waiting" in said
    assert "Confirm ran with 3 seeds" in said
    assert report.job.cut_short
    assert verify(report).outcome == "confirmed", verify(report)
    progress = view(context, uid).progress
    assert progress.trials_done == progress.trials_total == 4 + 3 * arms, "what was stopped is not waited for"


def test_a_trial_that_time_stops_keeps_what_it_had_and_has_no_value(
    context: jobs.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, uid = submit(context, executor="solo", **LIMIT)
    until = UntilEvaluation(1)
    monkeypatch.setattr(jobs, "EXECUTORS", {"solo": lambda: until})
    bell(context).plan(job_id)
    answer_all(context)
    ended = view(context, uid)
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error.code == "budget_too_short"
    assert "budget.max_seconds 1000 was over after 0 of 4 planned search trials" in ended.error.detail
    assert "A trial of 2 epochs takes about" in ended.error.detail
    assert "Set budget.max_seconds to" in ended.error.detail
    with context.store.read() as tx:
        trials = tx.views.trials(job_id, limit=100).items
    assert {trial.state for trial in trials} == {TrialState.CANCELLED}
    assert {trial.value for trial in trials} == {None}
    begun = [trial for trial in trials if trial.steps]
    assert len(begun) == 1
    assert [point.step for point in begun[0].curve or []] == [begun[0].steps]
    assert begun[0].seconds > 0
    assert sum(row.steps for row in ended.ledger) == begun[0].steps, "the ledger has what it used"


def test_of_a_round_that_time_stops_all_optimizers_have_as_many_trials(
    context: jobs.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second trial of one optimizer ends, that of the other does not: neither counts."""
    job_id, uid = submit(context, executor="solo", **LIMIT)
    until = UntilEvaluation(4 * 2 + 3)
    monkeypatch.setattr(jobs, "EXECUTORS", {"solo": lambda: until})
    bell(context).plan(job_id)
    answer_all(context)
    report = recorded(context, uid)
    searched = [trial for trial in report.trials if trial.plan.phase is Phase.SEARCH]
    ended = [trial for trial in searched if trial.state is TrialState.COMPLETE]
    assert Counter(trial.plan.number for trial in ended) == {0: 4, 1: 1}
    assert Counter(trial.plan.number for trial in judged(report.spec, report.trials)) == {0: 4}
    assert all(arm.is_default for arm in finalists(report.spec, report.trials))
    said = next(one.detail for one in report.recommendation.warnings if one.code == "search_cut_short")
    assert (
        "after 5 of 16 trials, because max_seconds was over. 3 more had started or were waiting, and have no "
        "value. 1 of those that ended"
    ) in said
    assert verify(report).outcome == "confirmed", verify(report)
    stopped = next(trial for trial in searched if trial.result is not None and trial.result.value is None)
    assert stopped.result is not None
    assert stopped.result.examples < stopped.plan.length
    row = next(
        row
        for row in report.analysis.ledger
        if row.optimizer == stopped.plan.label and row.phase is Phase.SEARCH
    )
    own = [trial for trial in searched if trial.plan.label == row.optimizer]
    assert (row.trials, row.complete) == (len(own), sum(t.state is TrialState.COMPLETE for t in own))
    assert row.complete + row.without_result == row.trials
    assert row.steps == sum(trial.result.steps for trial in own if trial.result is not None)


@pytest.mark.parametrize("name", EXECUTORS)
def test_an_executor_that_is_stopped_gives_back_what_has_ended_and_where_the_others_stood(
    name: str, make_workload: Callable[..., Workload], make_plan: Callable[..., TrialPlan]
) -> None:
    """The second trial is evaluated once only, so that it ends at the first evaluation of a stack."""
    plans = [make_plan(), make_plan(length=100, evaluations=(100,)), make_plan(number=2)]
    whole = EXECUTORS[name]().run(make_workload(), plans, Onlooker())
    at = {"solo": 5, "stacked": 2}[name]
    with pytest.raises(Cancelled) as stopped:
        EXECUTORS[name]().run(make_workload(), plans, Onlooker(cancel_at=at))
    found = stopped.value.results
    assert len(found) == 3
    if name == "solo":
        assert [_timeless(one) for one in found[:2]] == [_timeless(one) for one in whole[:2]]
    ended = {i for i, one in enumerate(found) if one is not None and one.state is TrialState.COMPLETE}
    under_way = [one for one in found if one is not None and one.state is TrialState.CANCELLED]
    assert 1 in ended or name == "stacked"
    assert under_way
    for one in under_way:
        assert one.value is None
        assert one.examples < 300
        assert one.metrics["validation"]["nll"] == one.curves["validation.nll"][-1].value
        assert one.curves["validation.nll"][-1].step == one.steps


def _timeless(result: TrialResult | None) -> TrialResult | None:
    return None if result is None else result.model_copy(update={"seconds": 0.0})


def test_with_minutes_a_search_that_overruns_them_all_is_stopped_too(
    context: jobs.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine that has become slow since the probe."""
    cost = TrainingCost(step=5e-5, validation=1e-5, train=1e-5)
    monkeypatch.setattr(prepare, "costs", lambda *_: {"adabelief": cost, "sgd": cost})
    job_id, uid = submit(context, budget={"minutes": 10, "replicates": 2, "epochs": 60, "confirm_seeds": 6})
    jobs.plan_round(context, job_id)
    with context.store.transaction() as tx:
        _, cohort_id = bell(context).rung[0]
        claim = tx.cohorts.claim(cohort_id, worker_name="w1", lease_s=60, attempts=3)
        assert claim is not None
        assert claim.seconds_left is not None
        assert 600 < claim.seconds_left <= 1200
        tx.cohorts.give_back(claim)
    pass_time(context, job_id, 1201)
    answer_all(context)
    ended = view(context, uid)
    assert ended.error is not None
    assert ended.error.code == "budget_too_short"
    assert "twice the budget.minutes 10 was over" in ended.error.detail


def test_confirm_has_no_limit(context: jobs.Context) -> None:
    job_id, _ = submit(context, **LIMIT)
    bell(context).plan(job_id)
    rung = bell(context).rung
    while rung and not confirming(context, job_id):
        answer(context, rung.pop(0))
    with context.store.transaction() as tx:
        claim = tx.cohorts.claim(rung[0][1], worker_name="w1", lease_s=60, attempts=3)
    assert claim is not None
    assert claim.plans[0].phase is Phase.CONFIRM
    assert claim.seconds_left is None


def confirming(context: jobs.Context, job_id: int) -> bool:
    with context.store.read() as tx:
        return bool(tx.views.trials(job_id, phase=Phase.CONFIRM, limit=1).items)


def stopped_after(ended: int) -> list[Trial]:
    """The first round of three studies of three optimizers, of which so many trials ended."""
    planned = next_round(spec_of(), [], suggest)
    assert planned is not None
    trials = []
    for at, plan in enumerate(flat(planned.cohorts)):
        result = train(plan) if at < ended else None
        state = TrialState.CANCELLED if result is None else result.state
        trials.append(Trial(plan=plan, state=state, result=result))
    return trials


def test_what_counts_is_of_equal_numbers_in_each_replicate() -> None:
    trials = stopped_after(8)  # of 6 a replicate: two each, and then two of the next one's first
    assert Counter((t.plan.label, t.plan.replicate) for t in judged(spec_of(), trials)) == {
        ("adabelief", 0): 2,
        ("sgd", 0): 2,
        ("lamb", 0): 2,
    }
    none = [Trial(plan=t.plan, state=TrialState.COMPLETE, result=train(t.plan)) for t in trials]
    assert judged(spec_of(), none) == none, "nothing was stopped"
    planned = next_round(spec_of(confirm_seeds=10), trials, suggest)
    assert planned is not None
    assert planned.cut_short
    assert {plan.number for plan in flat(planned.cohorts)} == {0, 1, 2}


@pytest.mark.parametrize(("ended", "counted"), [(18, None), (17, (5, True)), (8, (2, True)), (3, (1, False))])
def test_it_is_known_what_the_verdict_rests_on(ended: int, counted: tuple[int, bool] | None) -> None:
    """Of 6 trials a replicate; the first of each study is the default."""
    assert stopped(spec_of(), stopped_after(ended)) == counted


def test_a_curve_of_one_point_tells_how_long_a_trial_takes() -> None:
    trials = stopped_after(0)
    plan = trials[0].plan
    seen = plan.evaluations[0]
    had = TrialResult(
        state=TrialState.CANCELLED,
        value=None,
        metrics={"validation": {"nll": 1.0}},
        curves={"validation.nll": [Point(1, seen, 1.0)]},
        steps=1,
        examples=seen,
        seconds=2000.0,
    )
    trials[0] = Trial(plan=plan, state=TrialState.CANCELLED, result=had)
    with pytest.raises(BudgetTooShort) as short:
        next_round(spec_of(max_seconds=1000), trials, suggest, workers=2)
    assert "A trial of 8 epochs takes about 16000 s here" in short.value.detail
    assert "takes about 72000 s in all on 2 processes" in short.value.detail
    assert (
        "From one evaluation to the next it is 2000 s, and a trial counts at its last" in short.value.detail
    )
    assert short.value.field == "budget.max_seconds"


def test_minutes_are_planned_once_and_recorded(
    context: jobs.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How close to the time a job ends depends on what else the machine does: that is for a benchmark.

    So does the measured time of a step, which is made up here.
    """
    cost = TrainingCost(step=5e-5, validation=1e-5, train=1e-5)
    monkeypatch.setattr(prepare, "costs", lambda *_: {"adabelief": cost, "sgd": cost})
    monkeypatch.setattr(Budget, "limit_s", None)
    budget = {"minutes": 0.05, "replicates": 2, "epochs": 60, "confirm_seeds": 6}
    job_id, uid = submit(context, budget=budget)
    assert view(context, uid).progress.trials_total == 0, "nobody knows yet"
    jobs.plan_round(context, job_id)
    plan = view(context, uid).spec.budget.settled
    assert plan is not None
    assert set(plan.trials) == set(plan.step_ms) == {"adabelief", "sgd"}
    answer_all(context)
    ended = view(context, uid)
    assert ended.state is JobState.SUCCEEDED, ended.error
    assert ended.spec.budget.settled == plan
    assert ended.spec.budget.minutes == 0.05
    searched = Counter((row[0], row[2]) for row in results_of(context, job_id) if row[1] == "search")
    for label in plan.trials:
        assert searched[label, 0] == searched[label, 1] > 0
    assert "equal training time" in conclusion(context, uid).optimizer_verdict.statement


def test_minutes_that_do_not_suffice_fail_the_job_and_say_how_many_would(context: jobs.Context) -> None:
    job_id, uid = submit(context, budget={"minutes": 0.05, "epochs": 1000}, batch_size=1)
    bell(context).plan(job_id)
    answer_all(context)
    failed = view(context, uid)
    assert failed.state is JobState.FAILED
    assert failed.error is not None
    assert failed.error.code == "budget_too_short"
    assert "minutes on 1 process" in failed.error.detail

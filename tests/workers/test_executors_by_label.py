"""A job whose labels have different executors: planned, trained, judged, repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.builders.messages import Bell, answer_all, bell, conclusion, results_of, submit, view
from tests.builders.optimizers import SIGN_DESCENT, add_to_catalog
from tests.builders.reports import concluded_report
from whichopt.service.catalog import models
from whichopt.service.catalog.optimizer_entry import Stepping
from whichopt.service.db import Store
from whichopt.service.evidence.report.verify import verify
from whichopt.service.planning.cohorts import COHORT_TRIALS, cut
from whichopt.service.planning.rounds import next_round
from whichopt.service.settings import Settings
from whichopt.service.spec import ExecutorName, JobSpec, ResolvedSpec, resolve
from whichopt.service.states import JobState
from whichopt.service.trials import TrialPlan, TrialResult
from whichopt.workers import jobs, prepare, workload
from whichopt.workers.engine import Executor, Trained, Unwatched, Watch
from whichopt.workers.engine.executors import EXECUTORS
from whichopt.workers.engine.probe import Choice
from whichopt.workers.rerun import rerun
from whichopt.workers.sampler import suggest
from whichopt.workers.workload import Workload

ALONE = replace(SIGN_DESCENT, name="alone", stepping=Stepping(stackable=False))
PROBE = {"solo": 2e-3, "stacked": 1e-3}
MIXED: dict[str, ExecutorName] = {"adabelief": "stacked", "alone": "solo", "sgd": "stacked"}


@pytest.fixture(autouse=True)
def _one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalog has an optimizer that cannot be stacked, and the probe finds stacks faster."""
    add_to_catalog(monkeypatch, ALONE)
    monkeypatch.setattr(prepare, "choose", lambda *_, **__: Choice("stacked", PROBE))


@pytest.fixture
def context(store: Store, tmp_path: Path) -> jobs.Context:
    return jobs.Context(store, Bell(), Settings(blobs=tmp_path / "blobs"), worker_name="w1")


def mixed(**changes: object) -> ResolvedSpec:
    body = {
        "workload": {"dataset": "wine", "model": "linear"},
        "optimizers": list(MIXED),
        "budget": {"trials": 6, "replicates": 2, "epochs": 2, "confirm_seeds": 3},
        "batch_size": 32,
        "executors": MIXED,
        "kernels": "torch",
        **changes,
    }
    return resolve(JobSpec.model_validate(body))


@pytest.mark.parametrize("workers", [1, 2, 7, None])
def test_a_cohort_has_one_executor_and_no_trial_is_left_out(workers: int | None) -> None:
    spec = mixed(budget={"trials": 60, "replicates": 3, "epochs": 2, "confirm_seeds": 3})
    planned = next_round(spec, [], suggest)
    assert planned is not None
    plans = [plan for cohort in planned.cohorts for plan in cohort]
    groups = [[plan for plan in plans if plan.replicate == replicate] for replicate in range(3)]
    cohorts = cut(groups, MIXED, workers)
    for cohort in cohorts:
        (executor,) = {MIXED[plan.label] for plan in cohort}
        assert len(cohort) <= COHORT_TRIALS[executor]
    assert Counter(str(plan) for cohort in cohorts for plan in cohort) == Counter(map(str, plans))


def test_what_cannot_be_stacked_runs_solo_beside_what_is_probed(context: jobs.Context) -> None:
    job_id, uid = submit(context, executor="auto", optimizers=list(MIXED))
    assert (view(context, uid).executor, view(context, uid).spec.executors) == (None, None)
    jobs.plan_round(context, job_id)
    begun = view(context, uid)
    assert (begun.executor, begun.spec.executors, begun.probe) == ("mixed", MIXED, PROBE)
    answer_all(context)
    ended = view(context, uid)
    assert (ended.state, ended.error) == (JobState.SUCCEEDED, None)
    assert (ended.executor, ended.spec.executors) == ("mixed", MIXED)
    (warning,) = [one for one in conclusion(context, uid).warnings if one.code == "mixed_executors"]
    assert "Trials of alone were trained solo and those of adabelief, sgd in stacks" in warning.detail


def test_each_cohort_is_trained_by_its_own_executor(
    context: jobs.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: set[tuple[str, str]] = set()
    noted = {name: noting(name, make(), trained) for name, make in EXECUTORS.items()}
    monkeypatch.setattr("whichopt.workers.jobs.EXECUTORS", noted)
    job_id, _ = submit(context, executor="auto", optimizers=list(MIXED))
    jobs.plan_round(context, job_id)
    answer_all(context)
    assert trained == set(MIXED.items())


def noting(name: str, executor: Executor, trained: set[tuple[str, str]]) -> Callable[[], Executor]:
    """Return what makes an executor that notes the labels that it trains."""

    class Noting:
        def run(self, workload: Workload, plans: Sequence[TrialPlan], *rest: Any) -> list[TrialResult]:
            trained.update((plan.label, name) for plan in plans)
            return executor.run(workload, plans, *rest)

        def train(self, workload: Workload, plan: TrialPlan, watch: Watch) -> Trained:
            return executor.train(workload, plan, watch)

    return Noting


def test_a_model_that_cannot_be_stacked_is_trained_solo_without_a_probe(
    context: jobs.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [replace(entry, only_solo=lambda _: "it draws") for entry in models.MODELS]
    monkeypatch.setattr(models, "MODELS", tuple(alone))
    job_id, uid = submit(context, executor="auto")
    jobs.plan_round(context, job_id)
    begun = view(context, uid)
    assert (begun.executor, begun.probe) == ("solo", None)
    assert begun.spec.only_solo == dict.fromkeys(
        begun.spec.labels, "the model 'linear' can only be trained solo: it draws"
    )


@pytest.fixture
def never_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    def choose(*_: object, **__: object) -> Choice:
        raise AssertionError("there is nothing to probe")

    monkeypatch.setattr(prepare, "choose", choose)


@pytest.mark.usefixtures("never_probed")
def test_a_recorded_spec_that_is_sent_again_is_trained_by_the_same_executors(context: jobs.Context) -> None:
    job_id, uid = submit(context, executor="auto", optimizers=list(MIXED), executors=MIXED)
    jobs.plan_round(context, job_id)
    assert view(context, uid).spec.executors == MIXED
    with context.store.transaction() as tx:
        again, _ = tx.jobs.add(
            resolve(JobSpec.model_validate(view(context, uid).spec.model_dump(mode="json"))), queue="cpu"
        )
    jobs.plan_round(context, again)
    bell(context).rung.sort()
    answer_all(context)
    assert results_of(context, job_id) == results_of(context, again)


def test_a_report_of_two_executors_is_verified_and_its_pick_is_trained_again_by_its_own() -> None:
    spec = mixed()
    built = workload.build(spec.cataloged)
    report = concluded_report(
        spec, lambda plans: EXECUTORS[MIXED[plans[0].label]]().run(built, plans, Unwatched())
    )
    assert report.job.executor == "mixed"
    assert verify(report).outcome == "confirmed", verify(report)
    pick = report.recommendation.optimizer
    assert pick is not None
    again = rerun(report, new_seeds=0)
    assert again.executor == MIXED[pick]
    assert {one.outcome for one in again.repeated} == {"same bits"}

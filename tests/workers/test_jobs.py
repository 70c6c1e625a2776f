"""What a worker does, driven message by message: in order, twice, late, or never."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from tests.builders.messages import (
    SPEC,
    Bell,
    answer,
    answer_all,
    bell,
    conclusion,
    results_of,
    submit,
    timeless,
    view,
)
from tests.builders.params import needs_compiler
from tests.builders.present import present
from tests.builders.uploads import forget_data, people, upload
from whichopt.service.db import Store
from whichopt.service.db.jobs import Jobs
from whichopt.service.evidence.report.document import evidence
from whichopt.service.evidence.report.verify import verify
from whichopt.service.reaper import sweep
from whichopt.service.settings import Settings
from whichopt.service.states import JobState, TrialState
from whichopt.service.trials import TrialPlan, TrialResult
from whichopt.workers import jobs, kernels, trained_in
from whichopt.workers.engine import Cancelled, State, Watch
from whichopt.workers.engine.executors import EXECUTORS
from whichopt.workers.workload import Workload


@pytest.fixture
def context(store: Store, tmp_path: Path) -> jobs.Context:
    settings = Settings(blobs=tmp_path / "blobs", tick_s=0.02, ring_again_s=0.001)
    return jobs.Context(store, Bell(), settings, worker_name="w1")


def test_a_job_reaches_its_recommendation_however_messages_come(context: jobs.Context) -> None:
    found = []
    for order, twice in ((None, False), (random.Random(1), False), (random.Random(2), True)):
        job_id, uid = submit(context)
        bell(context).plan(job_id)
        answer_all(context, order=order, twice=twice)
        assert view(context, uid).state is JobState.SUCCEEDED
        found.append((timeless(conclusion(context, uid)), sorted(results_of(context, job_id), key=str)))
        searched = [row for row in found[-1][1] if row[1] == "search"]
        assert len(searched) == 16, "each trial is counted once"
    assert found[0] == found[1] == found[2]


def test_a_job_reaches_its_end_when_every_message_is_lost(context: jobs.Context) -> None:
    job_id, uid = submit(context)
    with context.store.transaction() as tx:
        tx.workers.seen("w1", queue="cpu")
    for _ in range(100):
        bell(context).rung.clear()  # what the planner and the door rang for never arrives
        sweep(context.store, context.dispatcher, context.settings)
        for message in list(bell(context).rung):
            answer(context, message)
        if view(context, uid).state.ended:
            break
    assert view(context, uid).state is JobState.SUCCEEDED
    job_again, uid_again = submit(context)
    bell(context).rung = [("plan", job_again)]
    answer_all(context)
    assert timeless(conclusion(context, uid)) == timeless(conclusion(context, uid_again))
    assert job_id != job_again


class Breaking:
    """An executor that raises."""

    def run(self, *_: object) -> list[TrialResult]:
        raise FloatingPointError("the loss is not what it was")


def test_training_that_raises_fails_the_job_with_its_cause(
    context: jobs.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "EXECUTORS", {"stacked": Breaking})
    job_id, uid = submit(context)
    bell(context).plan(job_id)
    answer_all(context)
    failed = view(context, uid)
    assert failed.state is JobState.FAILED
    assert failed.error is not None
    assert failed.error.code == "training_failed"
    assert "FloatingPointError: the loss is not what it was" in failed.error.detail


def test_planning_that_raises_fails_the_job_with_its_cause(
    context: jobs.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("nothing to plan")

    monkeypatch.setattr(jobs, "next_round", broken)
    job_id, uid = submit(context)
    jobs.plan_round(context, job_id)
    failed = view(context, uid)
    assert failed.state is JobState.FAILED
    assert failed.error is not None
    assert "nothing to plan" in failed.error.detail


def test_a_database_that_is_away_while_planning_fails_no_job(
    context: jobs.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("", {}, Exception("the server closed the connection"))

    job_id, uid = submit(context)
    with monkeypatch.context() as patched:
        patched.setattr(Jobs, "add_round", away)
        with capture_logs() as logged:
            jobs.plan_round(context, job_id)
    assert [line["event"] for line in logged] == ["planning_waits"]
    assert view(context, uid).state is JobState.QUEUED
    jobs.plan_round(context, job_id)
    answer_all(context)
    assert view(context, uid).state is JobState.SUCCEEDED


def test_a_planner_that_fails_late_does_not_fail_what_another_has_planned(
    context: jobs.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, uid = submit(context)

    def late(*_: object, **__: object) -> None:
        monkeypatch.undo()
        jobs.plan_round(context, job_id)  # another planner is faster
        raise ZeroDivisionError

    monkeypatch.setattr(jobs, "next_round", late)
    jobs.plan_round(context, job_id)
    answer_all(context)
    assert view(context, uid).state is JobState.SUCCEEDED


def test_a_checkpoint_that_cannot_be_kept_fails_no_job(context: jobs.Context, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    settings = context.settings.model_copy(update={"checkpoint_s": 1e-6, "blobs": tmp_path / "file"})
    context = dataclasses.replace(context, settings=settings)
    job_id, uid = submit(context)
    bell(context).plan(job_id)
    answer_all(context)
    assert view(context, uid).state is JobState.SUCCEEDED


@dataclass
class Waiting:
    """An executor that evaluates for ever; `meanwhile` happens once, from outside."""

    meanwhile: Any
    evaluations: int = 0

    def run(
        self, _workload: Workload, _plans: Sequence[TrialPlan], watch: Watch, _resume: State | None = None
    ) -> list[TrialResult]:
        self.meanwhile()
        while not watch.cancelled():
            self.evaluations += 1
            watch.progress(0, self.evaluations, [])
        raise Cancelled


def test_cancel_is_heard_within_a_tick(context: jobs.Context, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id, uid = submit(context)

    def cancel() -> None:
        with context.store.transaction() as tx:
            tx.jobs.cancel(job_id)

    monkeypatch.setattr(jobs, "EXECUTORS", {"stacked": lambda: Waiting(cancel)})
    bell(context).plan(job_id)
    answer_all(context)
    assert view(context, uid).state is JobState.CANCELLED
    assert {row[5] for row in results_of(context, job_id)} == {TrialState.CANCELLED}


def test_a_stopping_worker_gives_its_cohort_back(
    context: jobs.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, uid = submit(context)
    with context.store.transaction() as tx:
        tx.workers.seen("w1", queue="cpu")

    def stop() -> None:
        with context.store.transaction() as tx:
            tx.workers.stopping("w1")

    jobs.plan_round(context, job_id)
    message = bell(context).rung[0]
    with monkeypatch.context() as patched:
        patched.setattr(jobs, "EXECUTORS", {"stacked": lambda: Waiting(stop)})
        answer(context, message)
    assert bell(context).rung[-1] == message, "it was rung for again"
    assert view(context, uid).state is JobState.RUNNING
    assert {row[5] for row in results_of(context, job_id)} == {TrialState.QUEUED}
    with context.store.transaction() as tx:
        tx.workers.gone("w1")
    answer_all(context)
    assert view(context, uid).state is JobState.SUCCEEDED


class Power(BaseException):
    """The plug is pulled: nothing after it runs, as after kill -9."""


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("about", ["catalog", "own data", "growing batches"])
def test_a_killed_cohort_goes_on_from_its_checkpoint_to_the_same_results(
    executor: str, about: str, context: jobs.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = context.settings.model_copy(update={"checkpoint_s": 1e-6})
    context = dataclasses.replace(context, settings=settings)
    monkeypatch.setattr("whichopt.workers.checkpoints.SHARE", 1e9)  # one at each evaluation
    epochs = {"solo": 6, "stacked": 12}[executor]  # enough for eight checkpoints in a cohort
    changes: dict[str, Any] = {
        "budget": {**SPEC["budget"], "epochs": epochs},  # type: ignore[dict-item]
        "executor": executor,
    }
    if about == "growing batches":
        adaptive = {"adaptive": "norm", "eta": 0.7, "start": 16, "micro": 4}
        changes["optimizers"] = ["adadagrad", {"name": "adam", "space": {"batch_size": adaptive}}]
    real = EXECUTORS[executor]()
    data = upload(settings.blobs, *people()) if about == "own data" else None
    job_id, uid = submit(context, data=data, **changes)
    jobs.plan_round(context, job_id)
    message = bell(context).rung[0]
    resumed: list[bool] = []

    class Fading:
        """Trains for real, until the power goes after a few checkpoints."""

        def run(
            self,
            workload: Workload,
            plans: Sequence[TrialPlan],
            watch: Watch,
            resume: State | None = None,
        ) -> list[TrialResult]:
            resumed.append(resume is not None)
            keep, kept = watch.checkpoint, []

            def fade(state: Any) -> None:
                keep(state)
                kept.append(1)
                if len(kept) == 8 and len(resumed) == 1:
                    raise Power

            watch.checkpoint = fade  # type: ignore[method-assign]
            return real.run(workload, plans, watch, resume)

    with monkeypatch.context() as patched:
        patched.setattr(jobs, "EXECUTORS", {executor: Fading})
        with pytest.raises(Power):
            answer(context, message)
        with context.store.transaction() as tx:
            tx.lost.lapse_all()
        forget_data()  # as another process has none
        answer(context, message)
    assert resumed == [False, True]
    answer_all(context)
    assert view(context, uid).state is JobState.SUCCEEDED
    kept = [] if data is None else [data.content]
    assert [file.name for file in settings.blobs.iterdir()] == kept, "checkpoints of ended cohorts go"

    undisturbed, uid_undisturbed = submit(context, data=data, **changes)
    bell(context).rung = [("plan", undisturbed)]
    answer_all(context)
    assert results_of(context, job_id) == results_of(context, undisturbed)
    assert timeless(conclusion(context, uid)) == timeless(conclusion(context, uid_undisturbed))


HOPELESS = {"name": "sgd", "label": "hopeless", "space": {"lr": 1e-7, "momentum": 0, "weight_decay": 0}}


def test_a_job_with_a_clear_winner_stops_at_the_first_look_at_its_champions(context: jobs.Context) -> None:
    job_id, uid = submit(
        context,
        optimizers=["adamw", HOPELESS],
        budget={"trials": 4, "replicates": 2, "epochs": 6, "confirm_seeds": 10},
    )
    bell(context).plan(job_id)
    answer_all(context)
    ended, found = view(context, uid), conclusion(context, uid)
    assert (found.verdict, found.optimizer) == ("winner", "adamw")
    assert ended.progress.confirm is not None
    stage = present(found.stage)
    assert ended.progress.confirm.looks == stage.looks
    assert (ended.progress.confirm.seeds_done, ended.progress.confirm.seeds_most) == (
        stage.looks[1],
        stage.looks[-1],
    )
    assert ended.progress.trials_done == ended.progress.trials_total
    assert present(found.value).seeds == stage.looks[1] - present(stage.first)
    assert "clear winner" in stage.stopped
    assert not any("cut_short" in warning.code for warning in found.warnings)


def test_the_executor_is_chosen_by_a_probe_and_kept(context: jobs.Context) -> None:
    job_id, uid = submit(context, executor="auto")
    jobs.plan_round(context, job_id)
    first = view(context, uid)
    assert first.probe is not None
    assert set(first.probe) == set(EXECUTORS)
    assert first.executor == min(first.probe, key=first.probe.__getitem__)
    answer_all(context)
    last = view(context, uid)
    assert last.state is JobState.SUCCEEDED
    assert (last.executor, last.probe) == (first.executor, first.probe)


@needs_compiler
def test_the_kernels_are_chosen_before_the_first_round_and_kept(
    context: jobs.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is on the machine later on."""
    there = kernels.Compiled(is_kept=lambda: True, works=lambda: True)
    monkeypatch.setattr(kernels, "COMPILED", {"adabelief.AdaBelief": there})
    job_id, uid = submit(context, kernels="auto")
    assert view(context, uid).spec.kernels == "auto"
    jobs.plan_round(context, job_id)
    assert view(context, uid).spec.kernels == "compiled"
    monkeypatch.setattr(kernels, "COMPILED", {})
    answer_all(context)
    with context.store.read() as tx:
        record = tx.records.of_job(uid)
    assert record is not None
    assert view(context, uid).spec.kernels == "compiled"
    assert all(trial.plan.training.compiled for trial in record.trials)


@pytest.mark.parametrize("kernels", ["torch", pytest.param("compiled", marks=needs_compiler)])
def test_a_job_is_the_same_by_either_executor_trial_by_trial(kernels: str, context: jobs.Context) -> None:
    """On digits and mlp, where the kernels of a stack agree with those of one network."""
    found = []
    for executor in EXECUTORS:
        job_id, uid = submit(
            context,
            executor=executor,
            kernels=kernels,
            workload={"dataset": {"name": "digits"}, "model": {"name": "mlp"}},
            optimizers=["adabelief", "sgd", "radam"],
            budget={"trials": 3, "replicates": 1, "epochs": 2, "confirm_seeds": 3},
        )
        bell(context).rung = [("plan", job_id)]
        answer_all(context)
        assert (view(context, uid).executor, view(context, uid).spec.kernels) == (executor, kernels)
        found.append((sorted(results_of(context, job_id), key=str), timeless(conclusion(context, uid))))
    assert found[0] == found[1]


def test_what_is_recorded_of_a_job_confirms_its_conclusion(context: jobs.Context) -> None:
    """And the record knows what trained it."""
    job_id, uid = submit(context)
    bell(context).plan(job_id)
    answer_all(context)
    with context.store.read() as tx:
        found = tx.records.of_job(uid)
    assert found is not None
    assert found.recommendation is not None
    assert found.environments == [trained_in.training_environment("cpu")]
    assert {"torch", "numpy", "optuna", "whichopt"} <= set(found.environments[0].packages)
    report = evidence(found.facts, found.spec, found.trials, found.recommendation, found.environments)
    assert not report.job.cut_short
    assert {trial.environment for trial in report.trials} == {0}
    assert verify(report).outcome == "confirmed", verify(report)

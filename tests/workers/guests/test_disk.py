"""What `run.keep` writes is bounded, ends with its trial, and is found by whoever reaches the data folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from torch import nn

from tests.builders.guests import guest_spec
from tests.builders.services import Recorder
from tests.builders.training_functions import ROWS, epoch, score
from whichopt.service.db import Store
from whichopt.service.db.tables import trial
from whichopt.service.errors import WhichoptError
from whichopt.service.jobs import cancel
from whichopt.service.settings import Settings
from whichopt.service.sqlite_url import sqlite_url
from whichopt.service.trials import TrialResult
from whichopt.workers import checkpoints, jobs
from whichopt.workers.guests.executor import GuestExecutor
from whichopt.workers.guests.functions import Functions
from whichopt.workers.guests.run import Run
from whichopt.workers.tune import folder, tune

JOB: dict[str, Any] = {
    "minimize": "loss",
    "optimizers": ["sgd"],
    "trials": 4,
    "replicates": 1,
    "epochs": 6,
    "confirm_seeds": 3,
    "processes": 2,
}


@pytest.fixture
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after each epoch."""
    monkeypatch.setattr(folder, "CHECKPOINT_S", 1e-6)
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)


def trains(run: Run, at_epoch: Callable[[int], None]) -> None:
    fitted, validation = run.split(ROWS)
    model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.1), nn.Linear(8, 1))
    optimizer = run.optimizer(model)
    run.keep(model=model, optimizer=optimizer)
    for at in run.epochs:
        at_epoch(at)
        epoch(model, optimizer, fitted)
        run.report(loss=score(model, validation))


def left_by(data: Path) -> tuple[set[str], list[Path]]:
    """The blobs that no row needs or that are checkpoints, and what trials wrote while they ran."""
    store = Store(sqlite_url(data / "whichopt.db"))
    try:
        with store.read() as tx:
            (job,) = tx.views.jobs(state=None, before=None, limit=2, alive_s=0).items
            row = tx.reports.of_job(job.id)
    finally:
        store.close()
    reports = set() if row is None else set(row.blobs.values())
    return {file.name for file in (data / "blobs").iterdir()} - reports, list((data / "runs").iterdir())


@pytest.mark.usefixtures("_often")
@pytest.mark.parametrize("end", ["succeeds", "is cancelled", "raises"])
def test_checkpoints_are_bounded_and_end_with_their_job(tmp_path: Path, end: str) -> None:
    data, seen = tmp_path / "data", tmp_path / "seen"

    def watched(at: int) -> None:
        if at:
            files = [len(list(place.glob("*.p*t*"))) for place in (data / "runs").iterdir()]
            blobs = len(list((data / "blobs").iterdir())) if (data / "blobs").exists() else 0
            with seen.open("a") as file:
                file.write(f"{len(files)} {max(files)} {blobs}\n")
        if at == 5 and len(seen.read_text().splitlines()) > 20 and end != "succeeds":
            if end == "raises":
                raise ValueError("a shape does not fit")
            store = Store(sqlite_url(data / "whichopt.db"))
            with store.read() as tx:
                (job,) = tx.views.jobs(state=None, before=None, limit=2, alive_s=0).items
            cancel(store, job.id, alive_s=0)
            store.close()

    def train(run: Run) -> None:
        trains(run, watched)

    raised = {"succeeds": None, "is cancelled": "cancelled", "raises": "a shape does not fit"}[end]
    with pytest.raises(WhichoptError, match=raised) if raised else nullcontext():
        tune(train, **JOB, data=data, say=lambda _: None)
    lines = [tuple(map(int, line.split())) for line in seen.read_text().splitlines()]
    folders, files, blobs = map(max, zip(*lines, strict=True))
    assert folders == 1
    assert 1 <= files <= 2 * 2, "of each trial that runs, and one that is being written"
    assert 1 <= blobs <= 3, "the cohort's, the one before, and one that is being written"
    kept, left = left_by(data)
    assert left == []
    assert len(kept) <= (1 if end == "raises" else 0), (
        "the next call goes on with what a trial that raised had"
    )


def test_a_trial_goes_on_elsewhere_if_its_data_folder_is_reached_from_there(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)
    ran = tmp_path / "ran"
    stops = ["w1"]

    def noted(at: int) -> None:
        with ran.open("a") as file:
            file.write(f"{at} ")
        if at == 4 and stops:
            with store.transaction() as tx:
                tx.workers.stopping(stops.pop())

    def train(run: Run) -> None:
        trains(run, noted)

    budget = {"trials": 1, "replicates": 1, "epochs": 8, "confirm_seeds": 3}
    shared = Settings(blobs=tmp_path / "blobs", checkpoint_s=1e-6, tick_s=0.01)
    host = Functions(GuestExecutor(isolation="inline"), given=train)
    here = jobs.Context(store, Recorder(), shared, "w1", host)
    beside = dataclasses.replace(here, worker_name="w2")
    apart = dataclasses.replace(beside, settings=shared.model_copy(update={"blobs": tmp_path / "others"}))
    results = []
    for then in (beside, apart):
        stops[:] = ["w1"]
        with store.transaction() as tx:
            tx.workers.gone("w1")
            tx.workers.seen("w1", queue="cpu")
            job_id, _ = tx.jobs.add(
                guest_spec(optimizers=["sgd"], budget=budget, workload={"minimize": "loss"}), queue="cpu"
            )
        jobs.plan_round(here, job_id)
        with store.read() as tx:
            (cohort_id,) = tx.cohorts.queued_of(job_id)
        jobs.run_cohort(here, cohort_id)
        before = ran.read_text().split()
        ran.unlink()
        jobs.run_cohort(then, cohort_id)
        with store.read() as tx:
            kept = tx.connection.scalars(
                sa.select(trial.c.result).where(trial.c.cohort_id == cohort_id)
            ).one()
        results.append(TrialResult.model_validate(kept).model_copy(update={"seconds": 0.0}))
        again = ran.read_text().split()
        ran.unlink()
        assert int(before[-1]) >= 4
        expected = range(int(before[-1]), 8) if then is beside else range(8)
        assert again == [str(at) for at in expected]
    assert results[0] == results[1]
    assert results[0].examples == 8

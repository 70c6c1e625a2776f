"""A database with a job in every state, and datasets in theirs, for the tests of pages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.builders.concluded_jobs import concluded_job, motley_job, recorded
from tests.builders.datasets import add_dataset
from tests.builders.jobs import add_job
from tests.builders.made import images_sample, points_sample, text_sample
from tests.builders.played_jobs import confirming, digits_spec, played_job
from tests.builders.races import TWELVE, racing_job
from tests.builders.reports import growing_report
from whichopt.service.db import Store
from whichopt.service.db.tables import job
from whichopt.service.states import DatasetState
from whichopt.service.views import DatasetProblem

SIX = ("adabelief", "adamw", "nadam", "radam", "adam", "sgd")
ACCURACY: dict[str, Any] = {
    "dataset": "digits",
    "model": {"name": "mlp", "hidden": [64]},
    "metric": "accuracy",
}
HOSTILE = "<script>alert(1)</script> & \"a\" 'job' with a name that is as long as a name may ever become"

TEXT = text_sample("Unbroken" * 20 + "\n<b>The</b> cat\tsat\x00 on the mat, & \u202eran. " * 8)


@dataclass(frozen=True)
class EveryState:
    """What the database holds."""

    ids: dict[str, str]
    """The ids of the jobs, by what they show."""


def every_state(store: Store, folder: Path) -> EveryState:
    """Fill the database; `folder` takes blobs."""
    _, queued = add_job(store)
    _, first = racing_job(store, done=2, running=4, name="has only begun")
    _, search = racing_job(store, done=87, running=9)
    _, accuracy = racing_job(store, done=60, running=6, metric="accuracy", name="higher is better")
    _, large = racing_job(
        store, optimizers=TWELVE, trials=420, done=4990, running=10, replicates=5, name="12 optimizers"
    )
    _, motley = motley_job(store)
    _, confirm = played_job(store, folder, digits_spec(SIX), gap=0.02, stops=confirming(4))
    todays = digits_spec(SIX[:3], today={"name": "adamw", "config": {"lr": 0.001}}, name="keep or switch?")
    _, confirm_today = played_job(store, folder, todays, gap=0.02, stops=confirming(4))
    _, winner = played_job(store, folder, digits_spec(SIX), gap=0.2)
    _, tie = played_job(store, folder, digits_spec(SIX, workload=ACCURACY, name="a tie"), gap=0.0)
    _, today = played_job(store, folder, todays, gap=0.2)
    _, margin = played_job(
        store, folder, digits_spec(SIX[:3], margin={"percent": 2}, name="margin 2%"), gap=0.1
    )
    _, alone = played_job(store, folder, digits_spec(SIX[:1], name=HOSTILE))
    _, nothing = played_job(store, folder, digits_spec(SIX[:2], name="all diverge"), diverges=True)
    _, many = played_job(store, folder, digits_spec(TWELVE, name="twelve of them"), gap=0.03)
    _, points = played_job(
        store, folder, digits_spec(SIX[:3], name="points"), gap=0.2, makes=lambda _: points_sample(256)
    )
    _, images = played_job(
        store, folder, digits_spec(SIX[:3], name="images"), gap=0.2, makes=lambda _: images_sample()
    )
    _, text = played_job(store, folder, digits_spec(SIX[:3], name="text"), gap=0.2, makes=lambda _: TEXT)
    growing = recorded(store, growing_report())
    _, plain = concluded_job(store)
    failed_id, failed = racing_job(store, done=30, running=0, name="a disk was full")
    _fail(store, failed_id)
    cancelled_id, cancelled = racing_job(store, done=30, running=0, name="not needed any more")
    with store.transaction() as tx:
        tx.jobs.cancel(cancelled_id)
        tx.jobs.end_if_cancelled(cancelled_id)
    unreadable_id, _ = add_job(store)
    with store.transaction() as tx:
        tx.connection.execute(sa.update(job).where(job.c.id == unreadable_id).values(spec={"version": 99}))
    _datasets(store)
    return EveryState(
        {
            "queued": queued,
            "first": first,
            "search": search,
            "accuracy": accuracy,
            "large": large,
            "motley": motley,
            "confirm": confirm,
            "confirm_today": confirm_today,
            "winner": winner,
            "tie": tie,
            "today": today,
            "margin": margin,
            "alone": alone,
            "nothing": nothing,
            "many": many,
            "points": points,
            "images": images,
            "text": text,
            "growing": growing,
            "plain": plain,
            "failed": failed,
            "cancelled": cancelled,
        }
    )


def _fail(store: Store, job_id: int) -> None:
    detail = "no space left on device: the checkpoint of a cohort could not be written; free some space"
    with store.transaction() as tx:
        tx.jobs.fail(job_id, code="storage_full", detail=detail)


def _datasets(store: Store) -> None:
    """One dataset in every state that a person can see."""
    add_dataset(store, "penguins", rows=344)
    add_dataset(store, "readings-of-a-name-as-long-as-names-may-be-which-is-64-long", rows=1_000_000)
    add_dataset(store, "arriving", state=DatasetState.READING)
    uid = add_dataset(store, "broken", state=DatasetState.READING)
    problem = DatasetProblem(
        code="unreadable_dataset",
        detail="row 17 has 5 cells, the header has 6: mend the file, and send it again",
    )
    with store.transaction() as tx:
        assert tx.datasets.fail(uid, problem)

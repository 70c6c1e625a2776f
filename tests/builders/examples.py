"""A service for the examples in docstrings, with one job that has really been trained and concluded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from structlog.testing import capture_logs

from tests.builders.concluded_jobs import recorded
from tests.builders.reports import concluded_report
from tests.builders.services import KEY, Recorder
from tests.builders.serving import served
from whichopt.service.app import create_app
from whichopt.service.client import Client
from whichopt.service.db import Store
from whichopt.service.db.migrate import ensure_key, upgrade
from whichopt.service.evidence.report.document import Report
from whichopt.service.settings import Settings
from whichopt.service.spec import JobSpec, resolve
from whichopt.workers import workload
from whichopt.workers.engine import Unwatched
from whichopt.workers.engine.solo import SoloExecutor

JOB = {
    "name": "wine",
    "workload": {"dataset": {"name": "wine"}, "model": {"name": "linear"}},
    "optimizers": ["adabelief", "sgd"],
    "budget": {"trials": 4, "replicates": 2, "epochs": 2, "confirm_seeds": 3},
}
REPORT = "report.json"
"""The report of the job, in the folder in which the examples run."""


@contextmanager
def names_of_examples(folder: Path) -> Iterator[dict[str, object]]:
    """Yield the names that the examples use; write the report of their job into `folder`."""
    report = _trained()
    (folder / REPORT).write_text(report.model_dump_json())
    store = Store(f"sqlite:///{folder / 'whichopt.db'}")
    upgrade(store)
    ensure_key(store, KEY)
    uid = recorded(store, report)
    app = create_app(Settings(events_s=0.02, blobs=folder / "blobs"), store, Recorder())
    with capture_logs(), served(app) as url, Client(url, KEY) as client:
        yield {"url": url, "key": KEY, "client": client, "job": client.job(uid)}
    store.close()


def _trained() -> Report:
    spec = resolve(JobSpec.model_validate(JOB))
    torch.set_num_threads(1)
    run = partial(SoloExecutor().run, workload.build(spec.cataloged), watch=Unwatched())
    return concluded_report(spec, lambda plans: run(plans=plans))

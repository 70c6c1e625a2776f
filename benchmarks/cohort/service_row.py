"""Row (d): whichopt as it is used, a job sent by HTTP to a service of API, broker and two workers.

The service is up and has run a small job on the same workload, as the processes of the other rows are warm.
The clock runs from the POST to the end of the last search trial in the database; confirm is timed apart.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from benchmarks.cohort.runs import Outcome
from benchmarks.shared.processes import PROCESSES
from benchmarks.shared.service import running_service
from whichopt.service.client import Client
from whichopt.service.db import Store
from whichopt.service.db.tables import job as job_table
from whichopt.service.db.tables import trial as trial_table
from whichopt.service.states import JobState, Origin, Phase
from whichopt.service.views import JobView

DATABASE = "whichopt.db"


def service(body: dict[str, Any], repeat: int) -> Outcome:
    """The job through the service."""
    with TemporaryDirectory() as folder, running_service(Path(folder)) as client:
        _finish(client, _small(body))
        posted = datetime.now(UTC)
        ended = _finish(client, body)
        searched = _end_of_search(Path(folder) / DATABASE, ended.id)
        trials = list(client.trials(ended.id))
    search = [trial for trial in trials if trial.phase is Phase.SEARCH]
    values = {
        label: [trial.value for trial in search if trial.optimizer == label and trial.value is not None]
        for label in body["optimizers"]
    }
    confirms = len(trials) - len(search)
    assert ended.finished_at is not None
    confirm_s = (ended.finished_at - searched).total_seconds()
    return Outcome(
        workload=body["name"],
        row="d",
        repeat=repeat,
        seconds=(searched - posted).total_seconds(),
        trials=len(search),
        best={label: min(of) for label, of in values.items() if of},
        defaults={
            trial.optimizer: trial.value
            for trial in search
            if trial.origin is Origin.DEFAULT and trial.value is not None
        },
        note=f"{ended.executor}; then confirm: {confirms} trials, {confirm_s:.1f} s",
        details={"executor": ended.executor, "confirm_trials": confirms, "confirm_seconds": confirm_s},
    )


def _small(body: dict[str, Any]) -> dict[str, Any]:
    """A job on the same workload that gives every worker process something to train."""
    budget = {**body["budget"], "trials": 2 * PROCESSES, "replicates": PROCESSES, "epochs": 1}
    return {**body, "name": "warm-up", "budget": budget}


def _finish(client: Client, body: dict[str, Any]) -> JobView:
    ended = client.wait(client.submit(body).id)
    if ended.state is not JobState.SUCCEEDED:
        raise RuntimeError(f"the job {ended.state}: {ended.error}")
    return ended


def _end_of_search(database: Path, job_id: str) -> datetime:
    store = Store(f"sqlite:///{database}")
    query = (
        sa.select(sa.func.max(trial_table.c.finished_at))
        .join(job_table, trial_table.c.job_id == job_table.c.id)
        .where(job_table.c.uid == job_id, trial_table.c.phase == Phase.SEARCH)
    )
    with store.read() as tx:
        end = tx.connection.execute(query).scalar_one()
    store.close()
    assert isinstance(end, datetime)
    return end

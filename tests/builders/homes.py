"""The service as real processes, in both of its homes, for the journeys."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil
import sqlalchemy as sa

from tests.builders.waiting import DEADLINE_S, wait_until
from whichopt.service.client import Client
from whichopt.service.db import Store
from whichopt.service.db.migrate import ensure_key
from whichopt.service.db.tables import cohort
from whichopt.service.environment import Environment
from whichopt.service.sqlite_url import sqlite_url
from whichopt.service.states import CohortState, JobState
from whichopt.service.views import JobView, Recommendation, TrialView
from whichopt.workers.embedded.broker import Broker

KEY = "wo_the-key-of-the-journeys"

FAST = {
    "WHICHOPT_TICK_S": "0.2",
    "WHICHOPT_LEASE_S": "6",
    "WHICHOPT_ATTEMPTS": "10",
    "WHICHOPT_REAP_S": "0.3",
    "WHICHOPT_RING_AGAIN_S": "10",
    "WHICHOPT_EVENTS_S": "0.1",
}
"""Short leases, so that what a crash leaves behind is found within a test's time; and attempts enough for a
machine so busy that a live worker misses a few."""

SPEC: dict[str, Any] = {
    "workload": {"dataset": {"name": "digits"}, "model": {"name": "mlp", "hidden": [32]}},
    "optimizers": ["adabelief", "sgd"],
    "budget": {"trials": 8, "replicates": 2, "epochs": 20, "confirm_seeds": 3},
    "seed": 7,
    "kernels": "torch",  # so that jobs can be compared, whatever else is done on the machine meanwhile
}


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Home:
    """What both homes have: a client, a look into the database, and the state of a job."""

    client: Client
    store: Store

    def cohorts(self, state: CohortState) -> int:
        """Cohorts in that state; for running ones, those that have come some way."""
        query = sa.select(sa.func.count()).where(cohort.c.state == state)
        if state is CohortState.RUNNING:
            query = query.where(cohort.c.examples > 0)
        with self.store.read() as tx:
            return tx.connection.execute(query).scalar_one()

    def attempts(self) -> list[int]:
        with self.store.read() as tx:
            return list(tx.connection.scalars(sa.select(cohort.c.attempt)))

    def environments(self) -> list[Environment]:
        """What trained each cohort that has ended."""
        with self.store.read() as tx:
            rows = tx.connection.scalars(sa.select(cohort.c.environment)).all()
        return [Environment.model_validate(row) for row in rows if row is not None]

    def report_forms(self, uid: str) -> set[str]:
        """The forms in which the job's report is kept."""
        with self.store.read() as tx:
            row = tx.reports.of_job(uid)
        return set() if row is None else set(row.blobs)

    def submit_and_catch(self, spec: dict[str, Any], cohorts: int) -> JobView:
        """Submit the job, and return it while so many of its cohorts train.

        On a busy machine a round may be over before anybody looks; then another job is submitted.
        """
        for _ in range(10):
            job = self.client.submit(spec)
            if self._caught(job, cohorts):
                return job
        raise AssertionError(f"10 jobs ended, and none was seen with {cohorts} cohorts in training")

    def _caught(self, job: JobView, cohorts: int) -> bool:
        """Whether that many cohorts were seen in training before the job's end."""

        def known() -> bool:
            return self.cohorts(CohortState.RUNNING) >= cohorts or self.client.job(job.id).state.ended

        wait_until(known, f"{cohorts} cohorts to train")
        return self.cohorts(CohortState.RUNNING) >= cohorts

    def finish(self, job: JobView) -> Recommendation:
        ended = self.client.wait(job.id)
        assert ended.state is JobState.SUCCEEDED, (ended.state, ended.error)
        return self.client.recommendation(job.id)

    def outcome(self, job: JobView) -> tuple[Any, list[Any]]:
        """All that must not depend on who ran the job: everything but ids and times."""
        found = self.finish(job).model_dump(mode="json", exclude={"job_id"})
        for part in (found["cost"], *found["ranking"]):
            del part["seconds"]
        return found, sorted(map(timeless, self.client.trials(job.id)), key=str)


def timeless(trial: TrialView) -> dict[str, Any]:
    return trial.model_dump(mode="json", exclude={"id", "seconds", "revision"})


class Embedded(Home):
    """`whichopt up`, as a process."""

    def __init__(self, data: Path, *, workers: int = 2, gpus: str = "0", folder: Path | None = None) -> None:
        """Start one; from `folder` as a user does, by the installed command."""
        self.data = data
        port = free_port()
        options = [f"--port={port}", f"--data={data}", f"--workers={workers}", f"--gpus={gpus}"]
        command = [sys.executable, "-m", "whichopt.service.cli"]
        if folder is not None:
            command = [str(Path(sys.executable).with_name("whichopt"))]
        self.process = subprocess.Popen(
            [*command, "up", *options],
            cwd=folder,
            env={**os.environ, **FAST},
            start_new_session=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: (data / "url").exists() and (data / "url").read_text().strip() == url, "a start")
        self.store = Store(sqlite_url(data / "whichopt.db"))
        self.client = Client(url, (data / "api-key").read_text().strip())

    def printed_link(self) -> str:
        """The link to the page that it prints at its start; may be asked for once."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+/\?key=\S+", line)
        assert found is not None, line
        return found[0]

    def parts(self, name: str) -> list[psutil.Process]:
        """The home's processes whose command line has `name` in it."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if name in " ".join(child.cmdline())]

    def answers(self) -> bool:
        """Whether the API does."""
        try:
            self.client.health()
        except httpx.TransportError:
            return False
        return True

    def kill(self) -> None:
        """kill -9 of the command itself: of its parts only the broker lives on, for the next home."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.process.communicate()
        wait_until(lambda: sum(process.is_running() for process in family) <= 1, "the orphans to end")
        self.client.close()
        self.store.close()

    def stop(self) -> str:
        """Ctrl-C; what the service printed. Nothing may be left running."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        assert len(family) >= 3, "broker, API and worker"
        self.process.send_signal(signal.SIGINT)
        printed, _ = self.process.communicate(timeout=DEADLINE_S)
        assert self.process.returncode == 0
        _, alive = psutil.wait_procs(family, timeout=60)
        assert alive == []
        self.client.close()
        self.store.close()
        return printed


class Production(Home):
    """The processes of docker-compose.yml without Docker: API and workers on a database and a broker."""

    def __init__(
        self,
        database_url: str,
        broker: Broker,
        folder: Path,
        *,
        workers: int = 2,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start them; `environment` is what they have besides."""
        port = free_port()
        self.folder = folder
        self.environment = {
            **os.environ,
            **FAST,
            **(environment or {}),
            "WHICHOPT_DATABASE_URL": database_url,
            "WHICHOPT_BROKER_URL": broker.url,
            "WHICHOPT_BLOBS": str(folder / "blobs"),
        }
        subprocess.run(
            [sys.executable, "-m", "whichopt.service.cli", "migrate"], env=self.environment, check=True
        )
        self.store = Store(database_url)
        ensure_key(self.store, KEY)
        serve = ["uvicorn", "--factory", "whichopt.service.app:from_environment", f"--port={port}"]
        self.api = self._start("api", *serve)
        self.workers: list[subprocess.Popen[bytes]] = []
        for _ in range(workers):
            self.start_worker()
        self.url = f"http://127.0.0.1:{port}"
        self.client = Client(self.url, KEY)
        with socket.socket() as probe:
            wait_until(lambda: probe.connect_ex(("127.0.0.1", port)) == 0, "the API to listen")

    def start_worker(self, **environment: str) -> Path:
        """Start one more worker, with those variables besides; return its log."""
        name = f"worker{len(self.workers)}"
        self.workers.append(
            self._start(name, "whichopt.workers", "--queue=cpu", "--processes=1", **environment)
        )
        return self.folder / f"{name}.log"

    def kill_a_worker(self) -> None:
        """kill -9, the whole of it."""
        worker = self.workers.pop(0)
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()

    def stop(self) -> None:
        for process in (*self.workers, self.api):
            process.send_signal(signal.SIGTERM)
        for process in (*self.workers, self.api):
            process.wait(timeout=DEADLINE_S)
        self.client.close()
        self.store.close()

    def _start(self, name: str, *module: str, **environment: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *module],
                env={**self.environment, **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

"""What does a large job cost those who read it: its report, events, forecast, pages, trials and studies?

    python -m benchmarks.readers                                  # about 5,000 trials of 12 optimizers
    python -m benchmarks.readers --trials 1000 --json FILE        # a smaller job; all figures in a file
    cd OTHER; PYTHONPATH=.:HERE python -m benchmarks.readers      # the service of another checkout

The job is planned by the real planner, round by round; its results are made up, with curves like those of
real training, and are the same in every run. Planning takes about a minute for 5,000 trials. The job is
stored twice in SQLite: in the middle of confirm (for the forecast) and at its end (for everything else). The
API runs in a process of its own and is asked over HTTP, one request at a time.

A second says little without its machine, so each time is also given as a ratio to a yardstick: the time to
read all columns of all trials from the database in this process, measured right before and after each reader.
Bytes are those on the wire. The first request of a reader also pays for what the API imports on first use.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import socket
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

import whichopt.service
from benchmarks.readers.job import KEY, Made, make
from whichopt.service.db import Store
from whichopt.service.db.tables import trial as trial_table

LATER = 3
"""Requests behind the time of a later one, which is their median."""

START_S = 60.0


@dataclass(frozen=True)
class RequestCost:
    """What one reader waits for and receives; `seconds` is None if it took longer than the limit.

    `ratio` is to the yardstick beside it, of the limit if it took longer.
    """

    reader: str
    request: str
    seconds: float | None
    limit_s: float
    bytes: int | None
    ratio: float = math.nan


@contextmanager
def serving(database: Path, folder: Path) -> Iterator[httpx.Client]:
    """The API over the database, in a process of its own, from the same checkout as this one's."""
    root = str(Path(whichopt.service.__file__).parent.parent)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "WHICHOPT_DATABASE_URL": f"sqlite:///{database}",
        "WHICHOPT_BLOBS": str(folder / "blobs"),
        "WHICHOPT_BROKER_URL": f"redis+socket://{folder / 'no-broker'}",
        "WHICHOPT_REAP_S": "3600",
        "WHICHOPT_LOG_LEVEL": "ERROR",
    }
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    with (folder / "api.log").open("ab") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "uvicorn",
                "--factory",
                "whichopt.service.app:from_environment",
                f"--port={port}",
            ],
            env={**os.environ, **settings, "PYTHONPATH": path},
            cwd=root,
            stdout=log,
            stderr=log,
        )
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"X-API-Key": KEY}, trust_env=False
        ) as client:
            _wait(process, client, folder / "api.log")
            yield client
    finally:
        process.kill()  # it may still work for a reader that has gone
        process.wait()


def _wait(process: subprocess.Popen[bytes], client: httpx.Client, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            client.get("/healthz")
        except httpx.TransportError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the API did not start: {log.read_text()[-2000:]}") from None
            time.sleep(0.05)
        else:
            return


def ask(client: httpx.Client, reader: Reader, request: str, limit_s: float) -> RequestCost:
    """Read one answer to its end."""
    started = time.perf_counter()
    over = RequestCost(reader.name, request, None, limit_s, None)
    try:
        with client.stream("GET", reader.path, params=reader.params, timeout=limit_s) as answer:
            answer.raise_for_status()
            for _ in answer.iter_raw():
                if time.perf_counter() - started > limit_s:
                    return over
            received = answer.num_bytes_downloaded
    except httpx.TimeoutException:
        return over
    return RequestCost(reader.name, request, time.perf_counter() - started, limit_s, received)


def all_pages(client: httpx.Client, reader: Reader, limit_s: float) -> RequestCost:
    """Read every page, one after the other."""
    seconds, received = 0.0, 0
    cursor: str | None = ""
    while cursor is not None:
        started = time.perf_counter()
        asked = {**reader.params, **({"cursor": cursor} if cursor else {})}
        answer = client.get(reader.path, params=asked, timeout=limit_s)
        seconds += time.perf_counter() - started
        answer.raise_for_status()
        received += answer.num_bytes_downloaded
        cursor = answer.json()["cursor"]
    return RequestCost(reader.name, "first", seconds, limit_s, received)


class Yardstick:
    """Reads all columns of all trials from the database, again and again."""

    def __init__(self, database: Path) -> None:
        self._store = Store(f"sqlite:///{database}")
        self.seconds: list[float] = []
        self.lay()
        self.seconds.clear()  # the first time is also that of opening the database

    def lay(self) -> float:
        started = time.perf_counter()
        with self._store.read() as tx:
            tx.connection.execute(sa.select(trial_table)).all()
        self.seconds.append(time.perf_counter() - started)
        return self.seconds[-1]

    def beside(self, costs: Callable[[], list[RequestCost]]) -> list[RequestCost]:
        """What `costs` measures, with the ratio to the mean of the yardstick before and after it."""
        before = self.lay()
        measured = costs()
        usual = (before + self.lay()) / 2
        return [
            replace(cost, ratio=(cost.limit_s if cost.seconds is None else cost.seconds) / usual)
            for cost in measured
        ]

    def close(self) -> None:
        self._store.close()


@dataclass(frozen=True)
class Reader:
    """One who asks for a path, once or `again` or for all its pages, in the job's middle or at its end."""

    name: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    again: bool = True
    paged: bool = False
    running: bool = False


def readers(made: Made, folder: Path, limit_s: float) -> tuple[float, list[RequestCost]]:
    """The yardstick's median, and what each reader takes."""
    job = f"/v1/jobs/{made.uid}"
    everyone = [
        Reader("forecast, in confirm", f"{job}/forecast", running=True),
        Reader("forecast, at the end", f"{job}/forecast"),
        Reader("page of jobs, /", "/"),
        Reader("job view", job),
        Reader("all trials", f"{job}/trials", {"limit": "500"}, paged=True),
        Reader("report, HTML", f"{job}/report", {"format": "html"}),
        Reader("report, JSON", f"{job}/report", {"format": "json"}),
        Reader("events from the start", f"{job}/events", again=False),
        Reader("events, with curves", f"{job}/events", {"curves": "true"}, again=False),
        Reader("studies.db", f"{job}/studies.db", again=False),
    ]
    rows, costs = Yardstick(made.ended), list[RequestCost]()
    for running, database in ((True, made.running), (False, made.ended)):
        waiting = deque(reader for reader in everyone if reader.running is running)
        while waiting:
            with serving(database, folder) as client:
                while waiting:
                    costs += rows.beside(partial(_requests, client, waiting.popleft(), limit_s))
                    if costs[-1].seconds is None:
                        break  # the API works on for a reader that has gone: the next one gets another
    rows.close()
    return statistics.median(rows.seconds), costs


def _requests(client: httpx.Client, reader: Reader, limit_s: float) -> list[RequestCost]:
    """The first request of a reader and the median of some later ones; none if the API has no such answer."""
    if "curves" in reader.params and not _has_curves(client):
        return []
    if reader.paged:
        return [all_pages(client, reader, limit_s)]
    first = ask(client, reader, "first", limit_s)
    if first.seconds is None or not reader.again:
        return [first]
    later = [ask(client, reader, "later", limit_s) for _ in range(LATER)]
    return [first, sorted(later, key=lambda cost: cost.seconds or math.inf)[LATER // 2]]


def _has_curves(client: httpx.Client) -> bool:
    """Whether a reader of events can choose to have the curves."""
    paths = client.get("/openapi.json", timeout=START_S).json()["paths"]
    asked = paths["/v1/jobs/{job_id}/events"]["get"].get("parameters", [])
    return any(parameter["name"] == "curves" for parameter in asked)


def table(made: Made, rows_s: float, costs: Sequence[RequestCost]) -> Table:
    shown = Table(
        *("reader", "request"),
        *("seconds", "times the yardstick", "bytes"),
        title=f"{made.trials:,} trials, {made.ended.stat().st_size / 1e6:.0f} MB of SQLite; "
        f"the yardstick was {rows_s:.3f} s (median)",
        title_justify="left",
        box=None,
    )
    for column in shown.columns[2:]:
        column.justify = "right"
    for cost in costs:
        over = f"over {cost.limit_s:g}"
        shown.add_row(
            cost.reader,
            cost.request,
            over if cost.seconds is None else f"{cost.seconds:.3f}",
            f"over {cost.ratio:.3g}" if cost.seconds is None else f"{cost.ratio:.3g}",
            "" if cost.bytes is None else f"{cost.bytes:,}",
        )
    return shown


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.readers", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--trials", type=int, default=5000, help="about so many, confirm included")
    parser.add_argument("--limit", type=float, default=60.0, metavar="S", help="for any one answer")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    given = parser.parse_args(argv)
    console = Console(width=max(100, Console().width))
    with TemporaryDirectory(prefix="whichopt-readers-") as name:
        folder = Path(name)
        started = time.monotonic()
        made = make(folder, given.trials)
        console.print(f"The job was planned and stored in {time.monotonic() - started:.0f} s.")
        rows_s, costs = readers(made, folder, given.limit)
        console.print(table(made, rows_s, costs))
    if given.json:
        document = {"trials": made.trials, "yardstick_s": rows_s, "costs": [asdict(cost) for cost in costs]}
        given.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()

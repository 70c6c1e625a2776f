"""Races that a benchmark has run by a service, one job each, and that go on where an earlier start ended."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from benchmarks.shared.asked_races import Asked
from benchmarks.shared.found_races import Found, found
from benchmarks.shared.machine import environment
from benchmarks.shared.race_tables import put_between_marks, table, written
from benchmarks.shared.service import running_service
from whichopt.service.client import Client
from whichopt.service.exit_codes import INTERRUPTED
from whichopt.service.states import JobState
from whichopt.service.views import JobView


def run(given: argparse.Namespace, races: Sequence[Asked], extra: str = "") -> int:
    """Run the races that are asked for, and print and write what came of them; return the exit code.

    Args:
        given: the options, as `options` reads them.
        races: those that there are.
        extra: what stands above the tables in the documentation.
    """
    chosen = [one for one in races if not given.only or one.name in given.only]
    lacking = {one.name: why for one in chosen if (why := one.missing) is not None}
    known = [one for one in chosen if one.name not in lacking]
    console = Console(width=max(160, Console().width))
    for name, why in lacking.items():
        console.print(f"missing in this version: {name} ({why})", markup=False)
    given.data.mkdir(parents=True, exist_ok=True)
    made = list[Found]()
    try:
        for one in outcomes(known, given.data.resolve(), quick=given.quick):
            console.print(table(one))
            made.append(one)
    except KeyboardInterrupt:
        console.print(f"Stopped. What is done lies in {given.data}; start again to go on.", markup=False)
        return INTERRUPTED
    if given.docs is not None:
        measured = {one.asked.name for one in made}
        missing = [one for one in races if one.name not in measured]
        put_between_marks(given.docs, extra + written(made, missing))
    if given.json is not None:
        document = {
            "outcomes": [_document(one) for one in made],
            "missing": lacking,
            "environment": environment(),
        }
        given.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


def outcome(client: Client, asked: Asked, *, quick: bool) -> Found:
    """Return what comes of a workload: of the job that the service has of it already, or of a new one.

    Raises:
        RuntimeError: the job failed.
    """
    sent = asked.sent(quick=quick)
    digest = hashlib.sha256(json.dumps(sent, sort_keys=True).encode()).hexdigest()
    job = client.submit(sent, idempotency_key=f"race-{digest[:32]}")
    if job.state in (JobState.CANCELLED, JobState.FAILED):
        job = client.resume(job.id)
    started = time.perf_counter()
    job = client.wait(job.id, on_change=_Told(asked.name))
    if job.state is not JobState.SUCCEEDED:
        raise RuntimeError(f"{asked.name}: the job ended as {job.state.value}: {job.error}")
    print(f"{asked.name}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return found(asked, client.report(job.id))


class _Told:
    """Prints a job's progress whenever another twentieth of its trials is over."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.last = -1

    def __call__(self, job: JobView) -> None:
        done, total = job.progress.trials_done, job.progress.trials_total
        if (step := 20 * done // max(1, total)) != self.last:
            self.last = step
            phase = job.phase or job.state
            print(f"{self.name}: {phase.value}, {done} of {total} trials", file=sys.stderr, flush=True)


def outcomes(workloads: Sequence[Asked], data: Path, *, quick: bool) -> Iterator[Found]:
    """Yield what comes of each workload, by one service over `data`."""
    with running_service(data) as client:
        for asked in workloads:
            yield outcome(client, asked, quick=quick)


def _document(one: Found) -> dict[str, object]:
    rest = {name: value for name, value in asdict(one).items() if name not in ("asked", "standings")}
    standings = [
        {**asdict(standing), "value": standing.value and standing.value.model_dump()}
        for standing in one.standings
    ]
    return {"workload": one.asked.name, "job": one.asked.sent(), **rest, "standings": standings}


def options(*, module: str, about: str, data: Path, races: Sequence[Asked]) -> argparse.ArgumentParser:
    """Return the parser of a benchmark's options."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=about.splitlines()[0])
    names = ", ".join(repr(one.name) for one in races)
    parser.add_argument("--quick", action="store_true", help="jobs that say nothing, in a minute or two")
    parser.add_argument(
        "--data", type=Path, default=data, metavar="FOLDER", help="what is done is kept there"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help=f"one of the workloads: {names}"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--docs", type=Path, metavar="FILE", help="write the tables between its marks")
    return parser

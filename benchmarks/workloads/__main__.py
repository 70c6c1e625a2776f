"""AdaBelief against SGD, Adam, AdamW and RAdam on small workloads, tuned on equal terms by whichopt's jobs.

    python -m benchmarks.workloads [--quick] [--data FOLDER] [--only NAME ...] [--json FILE] [--docs FILE]

Each workload of `asked` is a job of a service, as `whichopt up` starts it: the optimizers get as many trials
each, and what is reported is of fresh seeds and test examples. The service's data folder keeps what is done,
so a second start goes on where the first one ended: Ctrl-C loses no more than the cohorts that were being
trained. Workloads that this version does not know are named and left out.
"""

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

from benchmarks.shared.machine import environment
from benchmarks.shared.service import running_service
from benchmarks.workloads.asked import WORKLOADS, Asked
from benchmarks.workloads.found import Found, found
from benchmarks.workloads.tables import put_between_marks, table, written
from whichopt.service.client import Client
from whichopt.service.exit_codes import INTERRUPTED
from whichopt.service.states import JobState
from whichopt.service.views import JobView

DATA = Path("whichopt-data/workloads")


def outcome(client: Client, asked: Asked, *, quick: bool) -> Found:
    """Return what comes of a workload: of the job that the service has of it already, or of a new one.

    Raises:
        RuntimeError: the job failed.
    """
    sent = asked.sent(quick=quick)
    digest = hashlib.sha256(json.dumps(sent, sort_keys=True).encode()).hexdigest()
    job = client.submit(sent, idempotency_key=f"workloads-{digest[:32]}")
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


def main(argv: Sequence[str] | None = None) -> int:
    given = _options(argv)
    chosen = [one for one in WORKLOADS if not given.only or one.name in given.only]
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
        put_between_marks(given.docs, written(made, [one for one in WORKLOADS if one.name not in measured]))
    if given.json is not None:
        document = {
            "outcomes": [_document(one) for one in made],
            "missing": lacking,
            "environment": environment(),
        }
        given.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


def _document(one: Found) -> dict[str, object]:
    rest = {name: value for name, value in asdict(one).items() if name not in ("asked", "standings")}
    standings = [
        {**asdict(standing), "value": standing.value and standing.value.model_dump()}
        for standing in one.standings
    ]
    return {"workload": one.asked.name, "job": one.asked.sent(), **rest, "standings": standings}


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.workloads", description=(__doc__ or "").splitlines()[0]
    )
    names = ", ".join(repr(one.name) for one in WORKLOADS)
    parser.add_argument("--quick", action="store_true", help="jobs that say nothing, in a minute or two")
    parser.add_argument(
        "--data", type=Path, default=DATA, metavar="FOLDER", help="what is done is kept there"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help=f"one of the workloads: {names}"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--docs", type=Path, metavar="FILE", help="write the tables between its marks")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())

"""How long does the first job after `whichopt up` take, and how much of that are imports?

    python -m benchmarks.first_job [--repeats N] [--json FILE]

Each repeat starts a service with two worker processes and sends a job with about 0.04 s of training as soon
as the API answers, and then the same job again: what the second saves is what the first had to wait for. Both
are timed from the POST to `succeeded`. The time to import torch, scikit-learn and Optuna in a fresh process
is measured right before the service and right after it. Each job's time is also given as a ratio to the
mean of the two, as seconds say little without their machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.shared.service import running_service
from whichopt.service.client import Client
from whichopt.service.states import JobState

IMPORTS = "import torch, sklearn.datasets, optuna"
JOB: dict[str, Any] = {
    "workload": {"dataset": {"name": "wine"}, "model": {"name": "linear"}},
    "optimizers": ["adam", "sgd"],
    "budget": {"trials": 4, "replicates": 2, "epochs": 2, "confirm_seeds": 3},
    "batch_size": 32,
}


@dataclass(frozen=True)
class Times:
    """`imports` is how long the cold imports took, `training` what the jobs' trials took by their records."""

    imports: float
    first: float
    second: float
    training: float

    @property
    def ratio(self) -> float:
        return self.first / self.imports

    @property
    def second_ratio(self) -> float:
        return self.second / self.imports


def imports() -> float:
    """Seconds that a fresh Python process takes to import them, its own start included."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)
    return time.perf_counter() - started


def measured() -> Times:
    """One service, two jobs."""
    before = imports()
    with TemporaryDirectory() as folder, running_service(Path(folder)) as client:
        first, training = _job(client)
        second, _ = _job(client)
    return Times((before + imports()) / 2, first, second, training)


def _job(client: Client) -> tuple[float, float]:
    """Seconds from the POST to the end, and those of its training."""
    started = time.perf_counter()
    ended = client.wait(client.submit(JOB).id)
    seconds = time.perf_counter() - started
    if ended.state is not JobState.SUCCEEDED:
        raise RuntimeError(f"the job {ended.state}: {ended.error}")
    return seconds, sum(entry.seconds for entry in ended.ledger)


def table(times: Sequence[Times]) -> Table:
    shown = Table("", "seconds", "times the imports", box=None)
    for column in shown.columns[1:]:
        column.justify = "right"
    ratios = [statistics.median(one.ratio for one in times), statistics.median(o.second_ratio for o in times)]
    rows = {
        "imports of torch, scikit-learn, Optuna": ([one.imports for one in times], 1.0),
        "first job, POST to succeeded": ([one.first for one in times], ratios[0]),
        "second job": ([one.second for one in times], ratios[1]),
    }
    for name, (seconds, ratio) in rows.items():
        shown.add_row(name, f"{statistics.median(seconds):.2f}", f"{ratio:.2f}")
    training = statistics.median(one.training for one in times)
    shown.add_row("training in each job", f"{training:.3f}", "")
    return shown


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="services; what is shown is the median")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    given = parser.parse_args(argv)
    if given.repeats < 1:
        parser.error("--repeats must be 1 at least")
    times = [measured() for _ in range(given.repeats)]
    Console().print(table(times))
    if given.json:
        rows = [{**asdict(one), "ratio": one.ratio, "second_ratio": one.second_ratio} for one in times]
        given.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Jobs that are given minutes: do they end when asked, with equal seconds for every optimizer?

    python -m benchmarks.minutes                                  # every workload below, a minute each
    python -m benchmarks.minutes --minutes 3 digits friedman1     # some of them, three minutes each

Each job runs in a service of its own, with two workers, as `whichopt up` starts it. The clock runs from the
first claim to the conclusion. On a machine that does other things too it says little.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.shared.service import running_service
from whichopt.service.states import JobState
from whichopt.service.views import JobView

WITHIN = 0.15
"""Of the minutes, how far off a job may end."""

WORKLOADS: dict[str, dict[str, Any]] = {
    "digits": {"dataset": {"name": "digits"}, "model": {"name": "mlp", "hidden": [128, 64]}},
    "friedman1": {"dataset": {"name": "friedman1"}, "model": {"name": "mlp", "hidden": [64, 64]}},
    "digits-cnn": {"dataset": {"name": "digits"}, "model": {"name": "cnn"}},
}


def job(name: str, minutes: float, optimizers: list[str] | None) -> tuple[JobView, str]:
    """The job as it ended, and what was said of why confirm stopped where it did."""
    body: dict[str, Any] = {
        "name": name,
        "workload": WORKLOADS[name],
        "budget": {"minutes": minutes, "epochs": 15},
    }
    if optimizers:
        body["optimizers"] = optimizers
    with TemporaryDirectory() as folder, running_service(Path(folder)) as client:
        ended = client.wait(client.submit(body).id)
        if ended.state is not JobState.SUCCEEDED:
            raise RuntimeError(f"the job {ended.state}: {ended.error}")
        stage = client.recommendation(ended.id).stage
    return ended, "" if stage is None else stage.stopped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("workloads", nargs="*", metavar="workload", help=", ".join(WORKLOADS))
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--optimizers", nargs="+", help="of the catalog; else a job's default six")
    asked = parser.parse_args()
    for unknown in set(asked.workloads) - set(WORKLOADS):
        parser.error(f"no workload {unknown!r}; there are {', '.join(WORKLOADS)}")
    console = Console()
    for name in asked.workloads or WORKLOADS:
        started = time.monotonic()
        ended, stopped = job(name, asked.minutes, asked.optimizers)
        console.print(_table(ended, asked.minutes, stopped, time.monotonic() - started))


def _table(ended: JobView, minutes: float, stopped: str, service_s: float) -> Table:
    plan = ended.spec.budget.settled
    assert ended.started_at is not None
    assert ended.finished_at is not None
    assert plan is not None
    took = (ended.finished_at - ended.started_at).total_seconds()
    off = took / (60 * minutes) - 1
    confirm = ended.progress.confirm
    seeds = "" if confirm is None else f"{confirm.seeds_done} of {confirm.seeds_most}"
    table = Table(
        "optimizer",
        "ms a step",
        "trials planned",
        "trials, with confirm",
        "seconds, with confirm",
        title=f"{ended.name} ({ended.executor}): asked {60 * minutes:.0f} s, took {took:.1f} s ({off:+.1%}, "
        f"{'within' if abs(off) <= WITHIN else 'NOT within'} {WITHIN:.0%}); {seeds} fresh seeds "
        f"({stopped}); the service was up for {service_s:.0f} s",
        title_justify="left",
        box=None,
    )
    for entry in ended.ledger:
        label = entry.optimizer
        table.add_row(
            label,
            f"{plan.step_ms[label]:.3f}",
            str(plan.trials[label]),
            str(entry.trials),
            f"{entry.seconds:.2f}",
        )
    return table


if __name__ == "__main__":
    main()

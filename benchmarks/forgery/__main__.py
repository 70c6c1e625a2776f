"""A forged report: does it pass `verify`, and how often does `audit` find it?

    python -m benchmarks.forgery [--report FILE] [--audits N] [--trials N]

A small real job is trained by a service of its own (or a report is given). Then its report is forged: the
test values of a quarter of its trials, of a tenth, and of one are halved, in favor of the optimizer that came
last, and everything that follows from them is recomputed. `verify` must find each consistent with itself: it
cannot know more. Audits by N seeds, which look the true results up and train nothing, must find it about as
often as `audit` says, and must find nothing in the true report.

The command fails if one of these does not hold; "about as often" is within 3.3 standard deviations, which
a right chance exceeds once in a thousand times.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.forgery.forge import forged, most_runs, recorded
from benchmarks.shared.rates import clopper_pearson
from benchmarks.shared.service import running_service
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.draw import chance_of_a_hit, drawable
from whichopt.service.evidence.report.files import read_report
from whichopt.service.evidence.report.verify import verify
from whichopt.workers.audit import TRIALS, audited

AUDITS = 200
DEVIATIONS = 3.3

JOB: dict[str, Any] = {
    "name": "to be forged",
    "workload": {"dataset": {"name": "wine"}, "model": {"name": "linear"}},
    "optimizers": ["adam", "adabelief"],
    "budget": {"trials": 18, "replicates": 3, "epochs": 5, "confirm_seeds": 10},
}
"""Two optimizers, so that the confirm runs of one are more than a quarter of all trials."""


@dataclass(frozen=True)
class Forgery:
    """A forged report, and what became of it."""

    what: str
    forged: int
    trials: int
    verified: str
    statement: str
    chance: float
    found: int
    audits: int

    @property
    def about_as_often(self) -> bool:
        """Tell if it was found about as often as the chance says."""
        deviation = math.sqrt(self.audits * self.chance * (1 - self.chance))
        return abs(self.found - self.audits * self.chance) <= DEVIATIONS * deviation

    @property
    def meets(self) -> bool:
        return self.verified == "confirmed" and self.about_as_often


def measure(truth: Report, *, audits: int = AUDITS, drawn: int = TRIALS) -> list[Forgery]:
    """Forge the report, a quarter of its trials, a tenth and one, and audit each by so many seeds.

    Args:
        truth: a report whose results are what training gave.
        audits: the number of seeds.
        drawn: the trials that an audit draws.
    """
    total = len(drawable(truth.trials))
    label = truth.recommendation.ranking[-1].optimizer
    counts = {"a quarter": round(total / 4), "a tenth": round(total / 10), "one trial": 1, "none": 0}
    return [_forgery(truth, what, label, count, audits=audits, drawn=drawn) for what, count in counts.items()]


def _forgery(truth: Report, what: str, label: str, count: int, *, audits: int, drawn: int) -> Forgery:
    made = forged(truth, label, min(count, most_runs(truth, label)))
    train = recorded(truth)
    verified = verify(made).outcome
    found = sum(not audited(made, trials=drawn, seed=seed, train=train).holds for seed in range(audits))
    total = len(drawable(truth.trials))
    hidden = sum(one.result != other.result for one, other in zip(made.trials, truth.trials, strict=True))
    return Forgery(
        what=what if hidden == count else f"all runs of {label}",
        forged=hidden,
        trials=total,
        verified=verified,
        statement=made.recommendation.statement,
        chance=chance_of_a_hit(total, hidden, drawn),
        found=found,
        audits=audits,
    )


def real_report() -> Report:
    """Return the report of JOB, trained by a service of its own."""
    with TemporaryDirectory() as folder, running_service(Path(folder)) as client:
        ended = client.wait(client.submit(JOB).id)
        if ended.error is not None:
            raise RuntimeError(f"the job failed: {ended.error.detail}")
        return client.report(ended.id)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--report", type=Path, help="a report to forge; without it, a job is trained")
    parser.add_argument("--audits", type=int, default=AUDITS, help="seeds to audit by")
    parser.add_argument("--trials", type=int, default=TRIALS, help="trials that each audit draws")
    asked = parser.parse_args(arguments)
    truth = real_report() if asked.report is None else read_report(asked.report)
    rows = measure(truth, audits=asked.audits, drawn=asked.trials)
    console = Console()
    console.print(_table(rows, asked.trials))
    console.print(f"True: {truth.recommendation.statement}")
    console.print(f"Forged, {rows[0].what}: {rows[0].statement}")
    return 0 if all(row.meets for row in rows) else 1


def _table(rows: Sequence[Forgery], drawn: int) -> Table:
    table = Table(
        "forged",
        "trials",
        "verify",
        "chance that audit finds it",
        f"found in {rows[0].audits} audits",
        "95% bounds",
        "as said",
        title=f"{rows[0].trials} trials, {drawn} drawn in each audit",
        box=None,
    )
    for row in rows:
        low, high = clopper_pearson(row.found, row.audits)
        table.add_row(
            row.what,
            str(row.forged),
            row.verified,
            f"{row.chance:.1%}",
            f"{row.found / row.audits:.1%}",
            f"{low:.1%} to {high:.1%}",
            "yes" if row.meets else "NO",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())

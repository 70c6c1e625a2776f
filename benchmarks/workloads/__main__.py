"""AdaBelief against SGD, Adam, AdamW and RAdam on small workloads, tuned on equal terms by whichopt's jobs.

    python -m benchmarks.workloads [--quick] [--data FOLDER] [--only NAME ...] [--json FILE] [--docs FILE]

Each workload of `asked` is a job of a service, as `whichopt up` starts it: the optimizers get as many trials
each, and what is reported is of fresh seeds and test examples. The service's data folder keeps what is done,
so a second start goes on where the first one ended: Ctrl-C loses no more than the cohorts that were being
trained. Workloads that this version does not know are named and left out.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.shared.races import options, run
from benchmarks.workloads.asked import WORKLOADS

DATA = Path("whichopt-data/workloads")


def main(argv: Sequence[str] | None = None) -> int:
    parser = options(module="benchmarks.workloads", about=__doc__ or "", data=DATA, races=WORKLOADS)
    return run(parser.parse_args(argv), WORKLOADS)


if __name__ == "__main__":
    sys.exit(main())

"""What do the pages cost the service and whoever looks at them?

    python -m benchmarks.page          # two minutes; exit code 1 if a limit is passed

With 12 optimizers and 5,000 trials a page of a job is at most 150 kB, compressed and without the library that
draws figures; a live update costs the server at most 20 ms of CPU for 10 viewers together; a report is made
once. `benchmarks.page.home` is run after that: the list of 10,000 jobs against that of 100.
"""

from __future__ import annotations

import logging
import os
import sys

import structlog
from rich.console import Console
from rich.table import Table

from benchmarks.page import home
from benchmarks.page.job import costs


def main() -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    table = Table("what", "measured", "at most", "", box=None)
    passed = False
    for cost in costs():
        limit = "" if cost.most is None else f"{cost.most:,.0f} {cost.unit}"
        table.add_row(cost.what, f"{cost.value:,.1f} {cost.unit}", limit, "" if cost.kept else "TOO MUCH")
        passed |= not cost.kept
    Console().print(table)
    Console().print(f"load of the machine: {os.getloadavg()[0]:.1f}; CPU times grow with what runs beside")
    return max(home.main([]), int(passed))


if __name__ == "__main__":
    sys.exit(main())

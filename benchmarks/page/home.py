"""Does the list of jobs stay quick with 10,000 jobs? Its time against that with 100, in one run.

    python -m benchmarks.page.home                # about a minute; exit code 1 if a ratio is above 3
    python -m benchmarks.page.home --jobs 2000    # fewer

Both services answer in this process, from SQLite databases whose rows are written directly, in turns. The
figure of an address is the median of its requests.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from fastapi.testclient import TestClient
from rich.console import Console
from rich.table import Table

from tests.builders.many_jobs import many_jobs
from tests.builders.services import KEY, Recorder
from whichopt.service.app import create_app
from whichopt.service.db import Store
from whichopt.service.db.migrate import ensure_key, upgrade
from whichopt.service.settings import Settings
from whichopt.service.sqlite_url import sqlite_url

FEW, MANY = 100, 10_000
REQUESTS = 25
MOST = 3.0
"""The most times that a list of many jobs may take of what one of few takes."""

LIMITED = ("/", "/?show=winner", "/?show=unclear", "/v1/jobs?limit=25")
"""Addresses that must keep to it: each is a whole page of either list."""

PRINTED = ("/?show=failed", "/?q=mlp", "/?q=no+such+word")
"""Addresses whose times are only printed: a search reads the words of all jobs; of few jobs, few failed."""


def measured(jobs: int) -> list[tuple[str, float, float]]:
    """Return (address, seconds with FEW jobs, seconds with `jobs`)."""
    with TemporaryDirectory() as folder:
        few, many = (_client(Path(folder), count) for count in (FEW, jobs))
        with few, many:
            return [(address, *_medians((few, many), address)) for address in (*LIMITED, *PRINTED)]


def _client(folder: Path, jobs: int) -> TestClient:
    store = Store(sqlite_url(folder / f"{jobs}.db"))
    upgrade(store)
    ensure_key(store, KEY)
    many_jobs(store, jobs)
    app = create_app(Settings(blobs=folder / f"blobs-{jobs}"), store, Recorder())
    return TestClient(app, headers={"X-API-Key": KEY})


def _medians(clients: Sequence[TestClient], address: str) -> tuple[float, float]:
    took: list[list[float]] = [[] for _ in clients]
    for _ in range(REQUESTS):
        for client, own in zip(clients, took, strict=True):
            begun = time.perf_counter()
            answer = client.get(address)
            own.append(time.perf_counter() - begun)
            answer.raise_for_status()
    few, many = map(statistics.median, took)
    return few, many


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--jobs", type=int, default=MANY, help=f"jobs of the larger list (default: {MANY})")
    chosen = parser.parse_args(arguments)
    found = measured(chosen.jobs)
    table = Table("address", f"{FEW} jobs", f"{chosen.jobs:,} jobs", "ratio", box=None)
    for address, few, many in found:
        table.add_row(address, f"{1000 * few:.1f} ms", f"{1000 * many:.1f} ms", f"{many / few:.2f}")
    Console().print(table)
    slow = [address for address, few, many in found if address in LIMITED and many > MOST * few]
    for address in slow:
        print(f"{address} takes more than {MOST:g} times as long with {chosen.jobs:,} jobs", file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())

"""How long does it take to take a table in, beside pandas reading the same file?

    python -m benchmarks.intake [--rows N] [--repeats N] [--json FILE]

A table of 14 columns of normal numbers, 3 of whole numbers, 2 of categories and a target of two classes is
written as CSV. Each repeat starts two processes, one after the other: one imports pandas and reads the file,
the other is the reader, which also infers kinds, counts, compares rows and keeps the columns. Both are timed
from start to end; `read_csv` is what pandas took to read alone. The lowest of each figure counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv
from rich.console import Console
from rich.table import Table

from whichopt.service.uploads import Choices
from whichopt.workers.intake.limits import Limits

PANDAS = (
    "import sys, time, pandas; start = time.perf_counter(); table = pandas.read_csv(sys.argv[1]);"
    "print(time.perf_counter() - start, len(table))"
)
MOST = 2.0
"""Times of pandas that the reader may take."""
FEWEST_ROWS = 100_000
"""Rows from which on it is judged."""


def write(path: Path, rows: int) -> None:
    """Write the table."""
    random = np.random.default_rng(0)
    columns: dict[str, npt.NDArray[Any]] = {f"x{i}": random.normal(size=rows).round(4) for i in range(14)}
    columns |= {f"k{i}": random.integers(0, 50, rows) for i in range(3)}
    words = {"c0": ["red", "green", "blue"], "c1": [f"v{i}" for i in range(40)], "y": ["a", "b"]}
    columns |= {name: random.choice(np.array(values), rows) for name, values in words.items()}
    csv.write_csv(pa.table(columns), path)


@dataclass(frozen=True)
class Cost:
    """What a process took from start to end: seconds, seconds of all cores, and most bytes in memory."""

    seconds: float
    cpu: float
    peak: int


def by_pandas(path: Path) -> tuple[Cost, float]:
    """Return the cost of the process, and the seconds of the reading alone."""
    cost, said = _run([sys.executable, "-c", PANDAS, str(path)], {})
    return cost, float(said.split()[0])


def by_reader(path: Path, folder: Path) -> tuple[Cost, int]:
    """Return the cost of the process, and the bytes that it keeps."""
    request = folder / "request.json"
    asked = {"file": str(path), "format": "csv", "choices": Choices().model_dump(mode="json")}
    request.write_text(json.dumps(asked | {"folder": str(folder), "limits": asdict(Limits())}))
    command = [sys.executable, "-m", "whichopt.workers.intake", str(request)]
    cost, said = _run(command, {"ARROW_DEFAULT_MEMORY_POOL": "system", "OPENBLAS_NUM_THREADS": "1"})
    answer = json.loads(said.splitlines()[-1])
    if "problem" in answer:
        raise SystemExit(answer["problem"]["detail"])
    return cost, (folder / answer["file"]).stat().st_size


def _run(command: list[str], variables: Mapping[str, str]) -> tuple[Cost, str]:
    start = time.perf_counter()
    with subprocess.Popen(command, env=os.environ | variables, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with status {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * unit), said


def least(costs: Iterable[Cost]) -> Cost:
    """Return the lowest of each figure."""
    found = list(costs)
    return Cost(
        min(one.seconds for one in found), min(one.cpu for one in found), min(one.peak for one in found)
    )


def verdict(rows: int, pandas: Cost, reader: Cost) -> str | None:
    """Return what is wrong if the reader took too long; None if it did not, or if the table is too small.

    A small table takes as long as a process takes to start.
    """
    times = reader.seconds / pandas.seconds
    if rows < FEWEST_ROWS or times <= MOST:
        return None
    return f"the reader took {times:.2f} times as long as pandas; at most {MOST:g} are allowed"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "table.csv"
        write(path, asked.rows)
        size = path.stat().st_size
        pairs = [(by_pandas(path), by_reader(path, folder)) for _ in range(asked.repeats)]
    pandas, reader = least(one[0] for one, _ in pairs), least(one[0] for _, one in pairs)
    read = min(one[1] for one, _ in pairs)
    table = Table(
        *("what", "seconds", "times of pandas", "seconds of cores", "peak, MB"),
        title=f"{asked.rows:,} rows by 20 columns, {size:,} bytes",
    )
    for name, cost in (("pandas, a process", pandas), ("the reader, a process", reader)):
        times = f"{cost.seconds / pandas.seconds:.2f}"
        table.add_row(name, f"{cost.seconds:.2f}", times, f"{cost.cpu:.2f}", f"{cost.peak / 1e6:.0f}")
    table.add_row("pandas.read_csv", f"{read:.2f}", f"{read / pandas.seconds:.2f}", "", "")
    Console().print(table)
    if asked.json is not None:
        figures = {"rows": asked.rows, "bytes": size, "read_csv": read}
        figures |= {"pandas": asdict(pandas), "reader": asdict(reader)}
        asked.json.write_text(json.dumps(figures, indent=2) + "\n")
    if wrong := verdict(asked.rows, pandas, reader):
        raise SystemExit(wrong)


if __name__ == "__main__":
    main()

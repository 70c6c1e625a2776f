"""How long does it take to take a table in, beside pandas reading the same file?

    python -m benchmarks.intake [--rows N] [--repeats N] [--json FILE]

A table of 14 columns of normal numbers, 3 of whole numbers, 2 of categories and a target of two classes is
written as CSV. Each repeat starts two processes, one after the other: one imports pandas and reads the file,
the other is the reader, which also infers kinds, counts, compares rows and keeps the columns. Both are timed
from start to end; `read_csv` is what pandas took to read alone. The lowest time of each counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
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


def write(path: Path, rows: int) -> None:
    """Write the table."""
    random = np.random.default_rng(0)
    columns: dict[str, npt.NDArray[Any]] = {f"x{i}": random.normal(size=rows).round(4) for i in range(14)}
    columns |= {f"k{i}": random.integers(0, 50, rows) for i in range(3)}
    words = {"c0": ["red", "green", "blue"], "c1": [f"v{i}" for i in range(40)], "y": ["a", "b"]}
    columns |= {name: random.choice(np.array(values), rows) for name, values in words.items()}
    csv.write_csv(pa.table(columns), path)


def by_pandas(path: Path) -> tuple[float, float]:
    """Return the seconds of the process and of the reading alone."""
    start = time.perf_counter()
    found = subprocess.run([sys.executable, "-c", PANDAS, path], capture_output=True, text=True, check=True)
    return time.perf_counter() - start, float(found.stdout.split()[0])


def by_reader(path: Path, folder: Path) -> tuple[float, int]:
    """Return the seconds of the process, and the bytes that it keeps."""
    request = folder / "request.json"
    asked = {"file": str(path), "format": "csv", "choices": Choices().model_dump(mode="json")}
    request.write_text(json.dumps(asked | {"folder": str(folder), "limits": asdict(Limits())}))
    environment = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system", "OPENBLAS_NUM_THREADS": "1"}
    start = time.perf_counter()
    found = subprocess.run(
        [sys.executable, "-m", "whichopt.workers.intake", request],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - start
    answer = json.loads(found.stdout.splitlines()[-1])
    if "problem" in answer:
        raise SystemExit(answer["problem"]["detail"])
    return seconds, (folder / answer["file"]).stat().st_size


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
    pandas, read = (min(one[i] for one, _ in pairs) for i in (0, 1))
    reader = min(one[0] for _, one in pairs)
    table = Table(
        "what", "seconds", "times of pandas", title=f"{asked.rows:,} rows by 20 columns, {size:,} bytes"
    )
    table.add_row("pandas, a process", f"{pandas:.2f}", "1.00")
    table.add_row("pandas.read_csv", f"{read:.2f}", f"{read / pandas:.2f}")
    table.add_row("the reader, a process", f"{reader:.2f}", f"{reader / pandas:.2f} (at most {MOST:g})")
    Console().print(table)
    if asked.json is not None:
        figures = {"rows": asked.rows, "bytes": size, "pandas": pandas, "read_csv": read, "reader": reader}
        asked.json.write_text(json.dumps(figures, indent=2) + "\n")
    if reader > MOST * pandas:
        raise SystemExit(f"the reader took {reader / pandas:.2f} times as long as pandas")


if __name__ == "__main__":
    main()

"""Tables as files of every format, and as they are taken in."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from whichopt.service.uploads import Choices, Column, Table
from whichopt.workers.intake.limits import Limits
from whichopt.workers.intake.taken import Taken, take

ROWS = 60
COLUMNS: Mapping[str, Sequence[Any]] = {
    "size": [i * 1.5 for i in range(ROWS)],
    "color": [("red", "green", "blue")[i % 3] for i in range(ROWS)],
    "y": ["ab"[i % 2] for i in range(ROWS)],
}
"""A small table: numbers, categories and two classes."""


def written(columns: Mapping[str, Sequence[Any]], delimiter: str = ",", end: str = "\n") -> str:
    """Return the table as text, with a header."""
    rows = [columns, *zip(*columns.values(), strict=True)]
    return "".join(delimiter.join(map(str, row)) + end for row in rows)


def as_parquet(columns: Mapping[str, Any] | pa.Table, **options: Any) -> bytes:
    file = io.BytesIO()
    parquet.write_table(
        columns if isinstance(columns, pa.Table) else pa.table(dict(columns)), file, **options
    )
    return file.getvalue()


def as_npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def as_npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def taken(
    folder: Path, data: str | bytes, form: str = "csv", limits: Limits | None = None, **choices: Any
) -> Taken:
    """Take in a file of that content."""
    path = folder / "sent"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return take(path, form, Choices.model_validate(choices), limits)


def column(table: Table, name: str) -> Column:
    return next(one for one in table.columns if one.name == name)


def read_by_process(
    folder: Path, data: str | bytes, form: str = "csv", limits: Limits | None = None, **choices: Any
) -> tuple[list[dict[str, Any]], Path]:
    """Have a process take a file in; return the lines that it says, and the folder of its result."""
    sent, result = folder / "sent", folder / "result"
    sent.write_bytes(data.encode() if isinstance(data, str) else data)
    result.mkdir(exist_ok=True)
    request = folder / "request.json"
    said = Choices.model_validate(choices).model_dump(mode="json")
    asked = {"file": str(sent), "format": form, "choices": said, "folder": str(result)}
    request.write_text(json.dumps(asked | {"limits": asdict(limits or Limits())}))
    process = subprocess.run(
        [sys.executable, "-m", "whichopt.workers.intake", str(request)],
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    return [json.loads(line) for line in process.stdout.splitlines()], result

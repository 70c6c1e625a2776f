"""People's own files, and the reports of jobs about them that are concluded in this process."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.builders.reports import concluded_report
from whichopt.service.catalog.built_in import built_in
from whichopt.service.catalog.datasets import uploaded
from whichopt.service.evidence.report.document import Report
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.uploads import Choices, File
from whichopt.workers import workload
from whichopt.workers.engine import Unwatched
from whichopt.workers.engine.executors import EXECUTORS
from whichopt.workers.intake.taken import take

Columns = Mapping[str, Sequence[Any]]


def saved(path: Path, columns: Columns, *, delimiter: str = ",") -> Path:
    """Write the columns to a CSV file; a value that is missing (None, NaN) is an empty field."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow(["" if value is None or value != value else value for value in row])
    return path


def report_of(
    path: Path, blobs: Path, choices: Choices, asked: Mapping[str, Any], *, form: str = "csv"
) -> Report:
    """Return the report of a job about the file, whose columns are kept in the folder `blobs`.

    `asked` is the job without its dataset's name.
    """
    options = asked["workload"].get("dataset", {})
    taken = take(path, form, choices)
    part, content = taken.keep(blobs)
    part.rename(blobs / content)
    data = path.read_bytes()
    file = File(name=path.name, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    entry = uploaded(path.stem, taken.table, file, content, choices)
    job = {**asked, "workload": {**asked["workload"], "dataset": {"name": path.stem, **options}}}
    spec = resolve(JobSpec.model_validate(job), replace(built_in(), datasets=(entry,)))
    torch.set_num_threads(1)  # as a worker's process has
    built = workload.build(spec.cataloged, blobs=blobs)
    return concluded_report(spec, lambda plans: EXECUTORS["stacked"]().run(built, plans, Unwatched()))


def visits(rows: int = 600) -> dict[str, list[Any]]:
    """Return columns of every kind, written as in a country with decimal commas, and two to predict.

    `risk` has three classes, and `cost` numbers. `part`, `clinic` and `day` may divide the rows.
    """
    random = np.random.default_rng(5)
    age = random.normal(45, 15, rows)
    town = random.choice(["north", "south", "west"], rows, p=[0.5, 0.3, 0.2])
    street = random.zipf(1.4, rows) % 60
    member = random.random(rows) < 0.6
    days = np.datetime64("2021-03-01") + random.integers(0, 700, rows)
    score = (age - 45) / 15 + (town == "south") - member + (days - days.min()).astype(float) / 700
    noisy = score + random.normal(0, 0.4, rows)
    return {
        "age": [None if gone else f"{one:.2f}".replace(".", ",") for one, gone in _sometimes(age, random)],
        "town": [None if gone else str(one) for one, gone in _sometimes(town, random)],
        "street": [f"street {one}" for one in street],
        "member": ["Yes" if one else "No" for one in member],
        "children": random.integers(0, 5, rows).tolist(),
        "day": [f"{one.day:02}.{one.month:02}.{one.year}" for one in days.tolist()],
        "clinic": [f"clinic {one}" for one in random.integers(0, 40, rows)],
        "part": ["test" if one else "train" for one in random.random(rows) < 0.25],
        "cost": [f"{one:.2f}".replace(".", ",") for one in 100 + 20 * noisy],
        "risk": np.array(["low", "middle", "high"])[np.digitize(noisy, [0, 1])].tolist(),
    }


def _sometimes(values: Any, random: np.random.Generator) -> list[tuple[Any, bool]]:
    """Return each value, and whether it is missing."""
    return list(zip(values.tolist(), (random.random(len(values)) < 0.1).tolist(), strict=True))

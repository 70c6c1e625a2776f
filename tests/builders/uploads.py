"""Uploads as the reader of files leaves them: the kept columns in a folder of blobs, and their entry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from whichopt.service import blobs
from whichopt.service.catalog.datasets import DatasetEntry, uploaded
from whichopt.service.catalog.shapes import Shape
from whichopt.service.splits import sizes_of
from whichopt.service.uploads import CATEGORIES, Column, File, Kind, Role, Split, Table
from whichopt.workers import workload

FILE = File(name="own.csv", bytes=1234, sha256="f" * 64)

SPLIT_TENSORS = {"column": ("part", "int8"), "group": ("group", "int32"), "time": ("time", "float64")}


def forget_data() -> None:
    """Forget all data that this process has loaded."""
    for cached in (workload.TABLES, workload.SPLITS):
        cached.clear()
    workload._build.cache_clear()


def people(rows: int = 180) -> tuple[dict[str, Any], list[str]]:
    """Return columns of every kind that becomes features, with missing values, and classes to predict."""
    random = np.random.default_rng(3)
    age, town = (
        random.normal(40, 12, rows),
        random.choice(["north", "south", "west"], rows, p=[0.5, 0.3, 0.2]),
    )
    risk = (age - 40) / 12 + (town == "south") + random.normal(0, 0.5, rows)
    days = np.datetime64("2021-03-01", "s") + random.integers(0, 10**8, rows).astype("timedelta64[s]")
    columns = {
        "age": np.where(random.random(rows) < 0.1, np.nan, age),
        "town": [None if random.random() < 0.1 else one for one in town.tolist()],
        "member": (random.random(rows) < 0.6).tolist(),
        "since": list(days),
    }
    return columns, np.array(["low", "middle", "high"])[np.digitize(risk, [-0.2, 0.8])].tolist()


def upload(
    folder: Path,
    columns: Mapping[str, Any],
    target: Any,
    *,
    split: str = "random",
    split_by: Any = None,
    most: int = CATEGORIES,
    name: str = "own",
) -> DatasetEntry:
    """Keep the columns in the folder; return the entry of the dataset.

    Args:
        folder: a folder of blobs.
        columns: by name. Texts are categories; a missing value is None, or NaN.
        target: classes as whole numbers or texts, or numbers with a fraction.
        split: as a person writes it.
        split_by: the part, the group or the time of each row, if the split needs one.
        most: most categories of a column that are kept.
        name: the name of the dataset.
    """
    numbers, codes, described = list[np.ndarray](), list[np.ndarray](), list[Column]()
    for column, values in columns.items():
        kind = _kind(values)
        if kind is Kind.CATEGORY:
            of_rows, facts = _categories(values, most)
            codes.append(of_rows)
        else:
            of_rows, facts = _numbers(values)
            numbers.append(of_rows)
        described.append(
            Column(
                name=column, kind=kind, role=Role.FEATURE, low=None, high=None, becomes="features", **facts
            )
        )
    classes, targets = _target(target)
    rule = Split.model_validate(split)
    tensors = {
        "numbers": np.stack(numbers, axis=1) if numbers else np.zeros((len(targets), 0)),
        "codes": np.stack(codes, axis=1) if codes else np.zeros((len(targets), 0), dtype=np.int16),
        "target": targets,
    }
    by = None if split_by is None else np.array(split_by)
    if by is not None:
        tensor, dtype = SPLIT_TENSORS[rule.kind]
        tensors[tensor] = by.astype(dtype)
    table = Table(
        rows=len(targets),
        columns=tuple(described),
        target="y",
        task="regression" if classes is None else "classification",
        classes=classes,
        split=rule,
        shape=Shape(len(targets), sum(column.width for column in described), len(classes or "1")),
        sizes=sizes_of(
            rule,
            len(targets),
            given=by if rule.kind == "column" else None,
            group=by if rule.kind == "group" else None,
        ),
    )
    content = blobs.save(folder, save(tensors, metadata={"whichopt": table.canonical()}))
    return uploaded(name, table, FILE, content)


def _kind(values: Sequence[Any]) -> Kind:
    known = [value for value in values if value is not None]
    if known and isinstance(known[0], str):
        return Kind.CATEGORY
    if known and isinstance(known[0], bool | np.bool_):
        return Kind.BOOL
    return Kind.DATE if known and isinstance(known[0], np.datetime64) else Kind.NUMERIC


def _numbers(values: Sequence[Any]) -> tuple[np.ndarray, dict[str, int]]:
    known = [
        value.astype("datetime64[s]").astype(float) if isinstance(value, np.datetime64) else value
        for value in values
    ]
    numbers = np.array([np.nan if value is None else value for value in known], dtype=np.float64)
    missing = int(np.isnan(numbers).sum())
    return numbers, {
        "missing": missing,
        "distinct": len(np.unique(numbers[~np.isnan(numbers)])),
        "width": 1 + (missing > 0),
        "indicator": missing > 0,
    }


def _categories(values: Sequence[Any], most: int) -> tuple[np.ndarray, dict[str, Any]]:
    counts = Counter(value for value in values if value is not None)
    kept = sorted(counts, key=lambda value: (-counts[value], value))[:most]
    places = {value: place for place, value in enumerate(kept)} | {None: -1}
    missing = sum(value is None for value in values)
    other = sum(value not in places for value in values)
    return np.array([places.get(value, len(kept)) for value in values], dtype=np.int16), {
        "missing": missing,
        "distinct": len(counts),
        "categories": tuple(kept),
        "other": other,
        "width": len(kept) + (other > 0) + (missing > 0),
        "indicator": missing > 0,
    }


def _target(target: Sequence[Any]) -> tuple[tuple[str, ...] | None, np.ndarray]:
    values = np.array(target)
    if values.dtype.kind == "f":
        return None, values.astype(np.float64)
    classes, codes = np.unique(values, return_inverse=True)
    return tuple(map(str, classes)), codes.astype(np.int64)

"""Takes a file in: from its bytes to a table and the tensors that are kept of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from whichopt.service.catalog.shapes import Shape
from whichopt.service.uploads import Choices, Column, Kind, Role, Table, Written
from whichopt.workers.intake import arrays, delimited, parquet
from whichopt.workers.intake.columns import Mask, Values, infer
from whichopt.workers.intake.described import Feature, feature, left_out, used, why_left_out
from whichopt.workers.intake.division import division
from whichopt.workers.intake.limits import Limits
from whichopt.workers.intake.problems import TooLarge, Unreadable, shown
from whichopt.workers.intake.progress import Progress, silent
from whichopt.workers.intake.raw import Raw
from whichopt.workers.intake.remarks import remarks
from whichopt.workers.intake.target import Target, check_known, chosen, target

METADATA = "whichopt"
"""The key of the metadata under which the table stands."""
PART = "part-table.safetensors"
TOGETHER = 8
"""Columns that are put beside each other at once: a row of them fills a line of the processor's cache."""
MOST_NAMED = 10
"""Most columns that a note names."""


@dataclass(frozen=True)
class Taken:
    """A table, and the tensors that are kept of it."""

    table: Table
    tensors: dict[str, npt.NDArray[Any]]

    @property
    def bytes(self) -> int:
        """Size of what is kept, but for the table in words."""
        return sum(tensor.nbytes for tensor in self.tensors.values())

    def keep(self, folder: Path) -> tuple[Path, str]:
        """Write the tensors to a file in the folder; return it and the hash of its bytes.

        The table goes with them, but without what is said of the file that was sent (notes, remarks, how it
        is written): equal content is to give equal bytes.
        """
        path = folder / PART
        plain = self.table.model_copy(update={"notes": (), "remarks": (), "written": None})
        save_file(self.tensors, path, metadata={METADATA: plain.canonical()})
        with path.open("rb") as file:
            os.fsync(file.fileno())
            return path, hashlib.file_digest(file, "sha256").hexdigest()


def take(
    path: Path, form: str, choices: Choices, limits: Limits | None = None, progress: Progress | None = None
) -> Taken:
    """Take a file in.

    Args:
        path: the file.
        form: its format: `csv`, `tsv`, `parquet`, `npz` or `npy`.
        choices: what a person says about it.
        limits: the limits on it.
        progress: is told how far it is.

    Raises:
        Problem: it cannot be read, and why.
    """
    limits, progress = limits or Limits(), progress or silent()
    raw = _read(path, form, choices, limits, progress)
    progress.at(raw.rows, 0.999)  # of the file; what follows is in memory
    names = list(raw.columns)
    split = choices.split
    if raw.split is not None and split.kind == "random":
        split = raw.split
    for name in choices.columns:
        check_known(names, name, "describe")
    if split.column is not None:
        check_known(names, split.column, "divide the rows by")
    dropped = {name for name, kind in choices.columns.items() if kind == "leave_out"}
    if split.column in dropped:
        raise Unreadable(f"column {shown(split.column)} cannot divide the rows and be left out")
    predicted, note = chosen(names, choices.target, dropped | ({split.column} if split.column else set()))
    values = _infer(raw, choices, predicted, None)
    wanted = target(values, choices.task, raw.first_row)
    columns = dict.fromkeys(names) | {predicted: used(values, Role.TARGET, _predicted(wanted))}
    divides = None
    if split.column is not None:
        divides = _infer(raw, choices, split.column, None)
        columns[split.column] = used(divides, Role.SPLIT, f"divides the rows: {split}")
    divided = division(split, divides, wanted, raw.rows, raw.first_row)
    found = dict[str, Feature]()
    for values in _inferred(raw, choices, divided.outside):
        if values.name in dropped:
            columns[values.name] = left_out(values, "as was asked")
        elif why := why_left_out(values, divided.outside):
            columns[values.name] = left_out(values, why)
        else:
            found[values.name] = feature(values, divided.outside)
            columns[values.name] = found[values.name].column
    described = [column for column in columns.values() if column is not None]
    features = _features(described, limits)
    outputs = 1 if wanted.classes is None else len(wanted.classes)
    table = Table(
        rows=raw.rows,
        columns=tuple(described),
        target=predicted,
        task=wanted.task,
        classes=wanted.classes,
        class_rows=_class_rows(wanted),
        split=split,
        shape=Shape(raw.rows, features, outputs),
        sizes=divided.sizes,
        notes=(*raw.notes, note, wanted.note, divided.note, *_notes(described)),
        written=_written(raw),
    )
    tensors = _tensors(found, raw.rows) | {"target": wanted.labels} | divided.tensors
    return Taken(
        table.model_copy(update={"remarks": remarks(table, tensors, divided.outside, raw.doubts)}), tensors
    )


def _written(raw: Raw) -> Written:
    """Return how the file writes its table, once its columns are inferred."""
    by_way = dict[str, list[str]]()
    for name, way in sorted(raw.ways.items()):
        by_way.setdefault(way, []).append(name)
    return Written.model_validate(raw.written.model_dump() | by_way)


def _class_rows(wanted: Target) -> tuple[int, ...] | None:
    """Return the number of rows of each class, in their order."""
    if wanted.classes is None:
        return None
    return tuple(np.bincount(wanted.labels, minlength=len(wanted.classes)).tolist())


def _read(path: Path, form: str, choices: Choices, limits: Limits, progress: Progress) -> Raw:
    try:
        if form in ("csv", "tsv"):
            return delimited.read(path, limits, progress, header=choices.header, tabs=form == "tsv")
        if form == "parquet":
            dropped = {name for name, kind in choices.columns.items() if kind == "leave_out"}
            return parquet.read(path, limits, progress, dropped=dropped)
        if form in ("npz", "npy"):
            return arrays.read(path, limits, zipped=form == "npz")
    except OSError as error:
        raise Unreadable(f"the file cannot be read: {str(error)[:300]}") from error
    raise Unreadable(f"{form!r} is no format of tables; it is one of csv, tsv, parquet, npz, npy")


def _infer(raw: Raw, choices: Choices, name: str, outside: Mask | None) -> Values:
    """Return the values of a column; free what they were."""
    asked = choices.columns.get(name)
    kind = None if asked is None or asked == "leave_out" else Kind(asked)
    values = infer(name, raw.columns.pop(name), kind, raw.first_row, outside=outside)
    if values.doubt is not None:
        raw.doubts[name] = values.doubt
    if values.way is not None:
        raw.ways[name] = values.way
    return values


def _inferred(raw: Raw, choices: Choices, outside: Mask) -> Iterator[Values]:
    """Yield the values of each column that is left in the file's order, inferred by all cores."""
    cores = min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(cores) as pool:
        names, waiting = iter(list(raw.columns)), []
        for name in names:
            waiting.append(pool.submit(_infer, raw, choices, name, outside))
            if len(waiting) > cores:
                yield waiting.pop(0).result()
        while waiting:
            yield waiting.pop(0).result()


def _predicted(wanted: Target) -> str:
    if wanted.classes is None:
        return "predicted: a number"
    return f"predicted: one of {len(wanted.classes)} classes"


def _features(columns: list[Column], limits: Limits) -> int:
    """Return the number of features of the columns.

    Raises:
        Unreadable: there are none.
        TooLarge: there are more than allowed.
    """
    features = sum(column.width for column in columns)
    if not features:
        out = [column.name for column in columns if column.role is Role.LEFT_OUT]
        raise Unreadable(
            "no column is left to predict from: "
            + (
                "; ".join(
                    f"{column.name} is {column.becomes}" for column in columns if column.name in out[:5]
                )
            )
            + "; say which kind a column has to use it, such as columns={...: category}"
        )
    if features > limits.features:
        widest = max(columns, key=lambda column: column.width)
        raise TooLarge(
            f"the columns become {features:,} features; at most {limits.features:,} are allowed "
            f"(WHICHOPT_MAX_FEATURES); leave some out: {shown(widest.name)} alone becomes {widest.width}",
            column=widest.name,
        )
    return features


def _notes(columns: list[Column]) -> list[str]:
    """Name the columns that are left out, by reason."""
    reasons = dict[str, list[str]]()
    for column in columns:
        if column.role is Role.LEFT_OUT:
            reasons.setdefault(column.becomes, []).append(column.name)
    notes = []
    for why, names in reasons.items():
        more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
        notes.append(f"{', '.join(names[:MOST_NAMED])}{more}: {why}")
    return notes


def _tensors(found: dict[str, Feature], rows: int) -> dict[str, npt.NDArray[Any]]:
    """Return the columns side by side; each is freed once it stands there."""
    with_numbers = [name for name, one in found.items() if one.numbers is not None]
    with_codes = [name for name, one in found.items() if one.codes is not None]
    numbers = np.empty((rows, len(with_numbers)))
    codes = np.empty((rows, len(with_codes)), dtype=np.int16)
    for i in range(0, len(with_numbers), TOGETHER):
        together = [found.pop(name).numbers for name in with_numbers[i : i + TOGETHER]]
        columns = [one for one in together if one is not None]
        np.stack(columns, axis=1, out=numbers[:, i : i + TOGETHER])
    for i, name in enumerate(with_codes):
        one = found.pop(name).codes
        assert one is not None
        codes[:, i] = one
    return {"numbers": numbers, "codes": codes}

"""Takes a file in: from its bytes to a table and the tensors that are kept of it."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from whichopt.service.catalog.shapes import Shape
from whichopt.service.texts import LANGUAGE
from whichopt.service.uploads import Choices, Column, ImageFacts, Kind, Role, Table, Written
from whichopt.workers.intake.columns import Mask
from whichopt.workers.intake.described import Feature, used
from whichopt.workers.intake.division import division
from whichopt.workers.intake.formats import read
from whichopt.workers.intake.images.kept import CLASS, image_shape
from whichopt.workers.intake.images.kept import tensors as image_tensors
from whichopt.workers.intake.inferred import Inferred
from whichopt.workers.intake.kept import Kept, KeptImages
from whichopt.workers.intake.limits import Limits
from whichopt.workers.intake.problems import TooLarge, Unreadable, shown
from whichopt.workers.intake.progress import Progress, silent
from whichopt.workers.intake.raw import Images, Raw
from whichopt.workers.intake.remarks import remarks
from whichopt.workers.intake.target import Target, check_known, chosen, target
from whichopt.workers.intake.together import CORES

PART = "part-table.safetensors"
MOST_NAMED = 10
"""Most columns that a note names."""


@dataclass(frozen=True)
class Taken:
    """A table, and what is kept of it."""

    table: Table
    kept: Kept
    outside: Mask
    """The rows outside the test part."""
    doubts: dict[str, str]
    """What looks wrong with a column, by its name."""
    images: Images | None = None

    def remarked(self) -> Table:
        """Return the table with remarks on what its rows show."""
        found = remarks(self.table, self.kept, self.outside, self.doubts, self.images)
        return self.table.model_copy(update={"remarks": found})

    def keep(self, folder: Path) -> tuple[Path, str]:
        """Write what is kept to a file in the folder; return it and the hash of its bytes.

        The table goes with it, but without what is said of the file that was sent (notes, remarks, how it is
        written): equal content is to give equal bytes.
        """
        path = folder / PART
        plain = self.table.model_copy(update={"notes": (), "remarks": (), "written": None})
        return path, self.kept.write(path, plain.canonical())


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
    limits = limits or Limits()
    raw = read(
        *(path, form, limits, progress or silent()),
        header=choices.header,
        kinds=choices.columns,
        size=choices.size,
    )
    return take_read(raw, choices, limits)


def take_read(raw: Raw, choices: Choices, limits: Limits) -> Taken:
    """Take a table in that has been read; the arguments and what is raised are as for `take`."""
    choices = _fitting(raw, choices)
    names = list(raw.columns)
    split = choices.split
    if raw.split is not None and split.kind == "random":
        split = raw.split
    for name in choices.columns:
        check_known(names, name, "describe")
    if split.kind == "in_order":
        raise Unreadable(
            "split in_order is for texts, whose windows follow one another; give a table the split "
            "time:NAME, with a column that says when"
        )
    if split.column is not None:
        check_known(names, split.column, "divide the rows by")
    dropped = {name for name, kind in choices.columns.items() if kind == "leave_out"}
    if split.column in dropped:
        raise Unreadable(f"column {shown(split.column)} cannot divide the rows and be left out")
    guess = chosen(names, choices.target, dropped | ({split.column} if split.column else set()))
    predicted = guess.name
    others = [name for name in names if name not in (predicted, split.column)]
    with ThreadPoolExecutor(CORES) as pool:
        inferred = Inferred(raw, choices, pool)
        inferred.begin(others)
        if guess.guessed:
            inferred.check_guess(predicted, [name for name in others if name not in dropped])
        values = inferred.whole(predicted)
        assert choices.task != LANGUAGE  # which texts are read for, by `whichopt.workers.intake.plain`
        wanted = target(values, choices.task, raw.first_row)
        columns = dict.fromkeys(names) | {predicted: used(values, Role.TARGET, _predicted(wanted))}
        divides = None
        if split.column is not None:
            divides = inferred.whole(split.column)
            columns[split.column] = used(divides, Role.SPLIT, f"divides the rows: {split}")
        divided = division(split, divides, wanted, raw.rows, raw.first_row)
        found = dict[str, Feature]()
        for one in inferred.described(others, divided.outside):
            if isinstance(one, Feature):
                found[one.column.name] = one
            column = one.column if isinstance(one, Feature) else one
            columns[column.name] = column
    described = [column for column in columns.values() if column is not None]
    by_folders = raw.images is not None and raw.images.names is not None
    decided = () if by_folders else (guess.note, wanted.note)
    images = None if raw.images is None else ImageFacts.model_validate(raw.images.facts)
    shown_as = None if raw.images is None else image_shape(raw.images.pixels)
    features = _features(described, limits) if shown_as is None else math.prod(shown_as)
    outputs = 1 if wanted.classes is None else len(wanted.classes)
    table = Table(
        rows=raw.rows,
        columns=tuple(described),
        target=predicted,
        task=wanted.task,
        classes=wanted.classes,
        class_rows=_class_rows(wanted),
        split=split,
        shape=Shape(raw.rows, features, outputs, image=shown_as),
        sizes=divided.sizes,
        notes=(*raw.notes, *decided, divided.note, *_notes(described)),
        written=_written(raw) if images is None else None,
        images=images,
    )
    tensors = {"target": wanted.labels} | divided.tensors
    if raw.images is not None:
        tensors |= image_tensors(raw.images, wanted.labels)
    kept = (Kept if images is None else KeptImages)(
        raw.rows,
        [one.numbers for one in found.values() if one.numbers is not None],
        [one.codes for one in found.values() if one.codes is not None],
        tensors,
    )
    return Taken(table, kept, divided.outside, raw.doubts, raw.images)


def _fitting(raw: Raw, choices: Choices) -> Choices:
    """Return the choices as they are meant for what was read.

    Raises:
        Unreadable: a choice is one about columns, and there are images; or the other way round.
    """
    if raw.images is None:
        if choices.size is not None:
            raise Unreadable("size= is for images, and the file is a table; leave it out")
        return choices
    named = [
        name for name, said in (("columns", choices.columns), ("header", choices.header is not None)) if said
    ]
    if choices.split.kind in ("group", "time"):
        named.append("split")
    if named:
        raise Unreadable(
            f"{', '.join(named)} cannot be said of images, which have no columns; leave it out. Images in "
            "train/, val/ and test/ are divided by these folders"
        )
    if raw.images.names is None:
        return choices
    if choices.target not in (None, CLASS) or choices.task == "regression":
        raise Unreadable(
            "the class of an image is the name of its folder, and that is what is predicted; leave target "
            "and task out"
        )
    as_words = dict.fromkeys(raw.columns, Kind.CATEGORY)
    return choices.model_copy(update={"columns": as_words, "task": "classification"})


def _written(raw: Raw) -> Written:
    """Return how the file writes its table, once its columns are inferred."""
    by_way = dict[str, list[str]]()
    for name, way in sorted(raw.ways.items()):
        by_way.setdefault(way, []).append(name)
    return Written.model_validate(raw.written | by_way)


def _class_rows(wanted: Target) -> tuple[int, ...] | None:
    """Return the number of rows of each class, in their order."""
    if wanted.classes is None:
        return None
    return tuple(np.bincount(wanted.labels, minlength=len(wanted.classes)).tolist())


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

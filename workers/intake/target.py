"""What is to be predicted: the column, the task, and the classes."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from whichopt.service.uploads import Kind
from whichopt.workers.intake.columns import Values, as_words
from whichopt.workers.intake.problems import AmbiguousTarget, AmbiguousTask, TooLarge, Unreadable, shown
from whichopt.workers.intake.raw import as_numpy
from whichopt.workers.intake.words import Coded, coded

NAMES = ("target", "label", "labels", "class", "y", "outcome", "response")
"""Names of columns that are predicted, in small letters."""

MOST_WHOLE = 20
"""Distinct whole numbers that may be classes without being asked for."""
FEWEST_ROWS = 5
"""Rows that a class needs: each part of the rows needs some."""
MOST_CLASSES = 1000
LONGEST_CLASS = 200
"""Characters of the name of a class."""
MOST_NAMED = 20
"""Most columns that a message names."""

UNFIT = {
    Kind.DATE: "has dates",
    Kind.TEXT: "has text, different in nearly all rows",
    Kind.ID: "has values that are distinct in (nearly) all rows, as ids are",
}
"""Why columns of a kind are not predicted."""

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Target:
    """What is to be predicted: the codes of classes, or numbers."""

    task: Task
    classes: tuple[str, ...] | None
    labels: npt.NDArray[np.int64] | npt.NDArray[np.float64]
    note: str


@dataclass(frozen=True)
class Chosen:
    """The column to predict, and how it was chosen; `guessed`: by nothing but its place."""

    name: str
    note: str
    guessed: bool = False


def chosen(names: Sequence[str], asked: str | None, barred: Collection[str]) -> Chosen:
    """Return the column to predict.

    Args:
        names: the columns, in the file's order.
        asked: the name that a person gave.
        barred: columns that divide the rows or are left out.

    Raises:
        AmbiguousTarget: two names are those of targets.
        Unreadable: there is no such column, or none is left.
    """
    if asked is not None:
        check_known(names, asked, "predict")
        if asked in barred:
            raise Unreadable(
                f"column {shown(asked)} cannot be predicted and also divide the rows or be left out",
                column=asked,
            )
        return Chosen(asked, f"{asked} is predicted, as was asked")
    free = [name for name in names if name not in barred]
    if not free:
        raise Unreadable("no column is left to predict")
    known = [name for name in free if name.lower() in NAMES]
    if len(known) > 1:
        raise AmbiguousTarget(
            f"columns {', '.join(map(shown, known))} all have names of a column to predict; say which one: "
            f"target={known[0]}",
            column=known[0],
        )
    if known:
        return Chosen(known[0], f"{known[0]} is predicted, by its name")
    note = f"{free[-1]} is predicted, as it is the last column; target=NAME says otherwise"
    return Chosen(free[-1], note, guessed=True)


def why_unfit(values: Values) -> str | None:
    """Return why nobody would predict a column, whatever else there is; None if somebody may."""
    if values.distinct < 2:
        return "has the same value in every row" if values.distinct else "has no value in any row"
    return UNFIT.get(values.kind)


def check_guess(values: Values, others: Iterable[Values]) -> None:
    """Raise AmbiguousTarget if a column was only chosen by its place, and another is meant for sure.

    Args:
        values: the column, of the kind that it would have if it were not to be predicted.
        others: the other columns, likewise.
    """
    why = why_unfit(values)
    if why is None:
        return
    fit = [other.name for other in others if not other.missing and why_unfit(other) is None]
    if fit:  # else it is told what is wrong with this one
        more = f" and {len(fit) - MOST_NAMED:,} more" if len(fit) > MOST_NAMED else ""
        raise AmbiguousTarget(
            f"the last column would be predicted, but {shown(values.name)} {why}; say which column to "
            f"predict: target=NAME, with one of {', '.join(map(shown, fit[:MOST_NAMED]))}{more}",
            column=values.name,
        )


def check_known(names: Sequence[str], name: str, use: str) -> None:
    """Raise Unreadable if there is no such column."""
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {shown(near[0])}?" if near else f"there are {', '.join(map(shown, names[:20]))}"
        raise Unreadable(f"there is no column {shown(name)} to {use}; {hint}", column=name)


def target(values: Values, task: Task | None, first_row: int) -> Target:
    """Return what is to be predicted.

    Args:
        values: the column.
        task: the task that a person asked for; None: infer it.
        first_row: the number of its first row.

    Raises:
        AmbiguousTask: both tasks are possible.
        TooLarge: there are too many classes.
        Unreadable: the column lacks values, or does not fit the task.
    """
    name = values.name
    _check_complete(values, first_row)
    decided, note = (task, f"{task}, as was asked") if task else _task(values)
    if decided == "regression":
        if values.numbers is None:
            assert values.words is not None
            raise Unreadable(
                f"column {shown(name)} has words, such as {shown(values.words.words[0])}, so it cannot be "
                "the target of a regression; ask for task=classification, or for another target",
                row=first_row,
                column=name,
            )
        if values.distinct < 2:
            raise Unreadable(
                f"column {shown(name)} has the same value in every row, so there is nothing to predict",
                row=first_row,
                column=name,
            )
        return Target("regression", None, values.numbers, note)
    classes, labels = _classes(values, first_row)
    return Target("classification", classes, labels, note)


def _check_complete(values: Values, first_row: int) -> None:
    if not values.missing:
        return
    absent = np.isnan(values.numbers) if values.numbers is not None else None
    if absent is None:
        assert values.words is not None
        absent = values.words.codes < 0
    row = int(np.argmax(absent)) + first_row
    raise Unreadable(
        f"column {shown(values.name)} is to be predicted, but has no value in {values.missing:,} rows, the "
        f"first of which is row {row}; remove them, or predict another column",
        row=row,
        column=values.name,
    )


def _task(values: Values) -> tuple[Task, str]:
    name, distinct = values.name, values.distinct
    if values.numbers is None or values.kind is Kind.BOOL:
        what = "words" if values.numbers is None else "values"
        return "classification", f"classification, as {name} has {distinct:,} distinct {what}"
    if values.kind is Kind.DATE:
        raise Unreadable(
            f"column {shown(name)} has dates, which cannot be predicted; choose another target", column=name
        )
    if not values.whole:
        return "regression", f"regression, as {name} has numbers that are not whole"
    if distinct <= MOST_WHOLE:
        return "classification", f"classification, as {name} has {distinct} distinct whole numbers"
    raise AmbiguousTask(
        f"column {shown(name)} has {distinct:,} distinct whole numbers: say task=regression if they are "
        "amounts to predict, or task=classification if each is a class",
        column=name,
    )


def _classes(values: Values, first_row: int) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Return the classes, numbers by size and words by the alphabet, and the class of each row."""
    name = values.name
    if values.numbers is not None:
        numbers, inverse = np.unique(values.numbers, return_inverse=True)
        _check_number(name, len(numbers))
        few = Values(name, values.kind, 0, len(numbers), numbers, whole=values.whole, labels=values.labels)
        classes, labels = as_words(few).to_pylist(), inverse.astype(np.int64)
    else:
        words = values.words or coded(pa.chunked_array([as_words(values)]))
        _check_number(name, len(words.words))
        _check_lengths(name, words, first_row)
        order = as_numpy(pc.sort_indices(words.words))
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        classes, labels = words.words.take(pa.array(order)).to_pylist(), rank[words.codes]
    if len(classes) < 2:
        raise Unreadable(
            f"column {shown(name)} has a single class, {shown(classes[0])}, in every row, so there is "
            "nothing to predict",
            row=first_row,
            column=name,
        )
    counts = np.bincount(labels, minlength=len(classes))
    if counts.min() < FEWEST_ROWS:
        least = int(counts.argmin())
        row = int(np.argmax(labels == least)) + first_row
        raise Unreadable(
            f"class {shown(classes[least])} of column {shown(name)} has {counts[least]} rows, the first of "
            f"which is row {row}; a class needs {FEWEST_ROWS}: remove it, join it with another, or ask for "
            "task=regression if the column is an amount",
            row=row,
            column=name,
        )
    return tuple(classes), labels


def _check_lengths(name: str, words: Coded, first_row: int) -> None:
    lengths = as_numpy(pc.utf8_length(words.words))
    if len(lengths) and lengths.max() > LONGEST_CLASS:
        longest = int(lengths.argmax())
        row = words.first_row(longest) + first_row
        raise Unreadable(
            f"column {shown(name)} has a class of {lengths[longest]:,} characters in row {row}; at most "
            f"{LONGEST_CLASS} are allowed: name it in short, or predict another column",
            row=row,
            column=name,
        )


def _check_number(name: str, classes: int) -> None:
    if classes > MOST_CLASSES:
        raise TooLarge(
            f"column {shown(name)} has {classes:,} classes; at most {MOST_CLASSES:,} are allowed; is it the "
            "column to predict?",
            column=name,
        )

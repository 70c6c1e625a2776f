"""Common mistakes that a table shows: they are said, and change nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from whichopt.service.uploads import Column, Kind, Remark, Role, Table
from whichopt.workers.intake.images.remarks import remarks as image_remarks
from whichopt.workers.intake.kept import Kept
from whichopt.workers.intake.raw import Images
from whichopt.workers.intake.together import slices

FEW_ROWS = 30
"""Rows of a class below which its scores hardly say anything: about 6 of them are in the test part."""
NEARLY_ALL = 0.95
"""Share of a class above which accuracy says little."""
SAME_ORDER = 0.9999
"""Rank correlation above which a column is the target in disguise: its noise would be a ten-thousandth."""
SAMPLE = 20_000
"""Rows by which a rank correlation is told."""
FEWEST_SAME = 50
"""Rows from which on it is no accident if a column tells the target."""
MOST = 20
"""Most remarks with one code."""


def remarks(
    table: Table,
    kept: Kept,
    outside: npt.NDArray[np.bool_],
    doubts: dict[str, str],
    images: Images | None = None,
) -> tuple[Remark, ...]:
    """Return the remarks on a table.

    Args:
        table: what was found.
        kept: what is kept of it.
        outside: the rows outside the test part.
        doubts: what looks wrong, by the column's name.
        images: the images that the rows are of, if it is no table.
    """
    if images is not None:
        of_images = image_remarks(images.pixels, kept.target, outside, images.names, table.classes)
        return (*of_images, *_classes(table, kept, outside))
    found = [*_repeated(kept, outside), *_disguised(table, kept), *_classes(table, kept, outside)]
    found += [
        Remark(
            code="mostly_numbers",
            column=name,
            what=f"{name} is taken for categories: {doubt}",
            why="each distinct number is a category of its own, and most of them become 'other'",
            instead="mend the values that are no numbers, or leave them empty",
        )
        for name, doubt in list(doubts.items())[:MOST]
    ]
    found += [
        Remark(
            code="left_out",
            column=column.name,
            what=f"{column.name} is {column.becomes}",
            why="a model would learn it by heart, or cannot read it",
            instead=f'to use it, say its kind: columns={{"{column.name}": "category"}} or "numeric"',
        )
        for column in [
            one for one in table.columns if one.role is Role.LEFT_OUT and one.kind in (Kind.ID, Kind.TEXT)
        ][:MOST]
    ]
    return tuple(found)


def _repeated(kept: Kept, outside: npt.NDArray[np.bool_]) -> list[Remark]:
    """Find rows of the test part that also stand in another part."""
    rows = _hashed(kept)
    ordered = np.sort(rows)
    if not (ordered[1:] == ordered[:-1]).any():
        return []
    test = rows[~outside]
    seen = int(np.isin(test, rows[outside]).sum())
    if not seen:
        return []
    return [
        Remark(
            code="duplicate_rows",
            what=f"{seen:,} of {len(test):,} test rows also stand in training or validation, target and all",
            why="a model that learned them by heart scores better on the test part than on new data",
            instead="remove the duplicates, or keep them together by what they share: split=group:NAME",
        )
    ]


def _hashed(kept: Kept) -> npt.NDArray[np.uint64]:
    """Return a hash of each row: features and target."""
    hashed = np.zeros(kept.rows, dtype=np.uint64)
    columns: list[npt.NDArray[Any]] = [*kept.numbers, *kept.codes, kept.target]
    for rows in slices(kept.rows):
        of_rows = hashed[rows]
        for column in columns:
            bits = np.array(column[rows], dtype=np.float64).view(np.uint64)  # a copy
            bits *= np.uint64(0x9E3779B97F4A7C15)
            bits ^= bits >> np.uint64(29)
            of_rows ^= bits
            of_rows *= np.uint64(0xBF58476D1CE4E5B9)
            of_rows ^= of_rows >> np.uint64(32)
    return hashed


def _disguised(table: Table, kept: Kept) -> list[Remark]:
    """Find columns that are the target itself, or tell it."""
    if table.rows < FEWEST_SAME:
        return []
    rows = np.unique(np.linspace(0, table.rows - 1, SAMPLE).astype(np.int64))
    target = kept.target[rows]
    numbers, codes = iter(kept.numbers), iter(kept.codes)
    found = list[Remark]()
    for column in table.features:
        if column.kind is Kind.CATEGORY:
            values = next(codes)
            how = _one_to_one(values[rows], target) and _one_to_one(values, kept.target)
            same = (
                "each of its categories goes with one value of the target, and the other way round"
                if how
                else None
            )
        else:
            same = _same(table, next(numbers)[rows], target)
        if same and len(found) < MOST:
            found.append(_disguise(column, table.target, same))
    return found


def _disguise(column: Column, target: str, same: str) -> Remark:
    return Remark(
        code="target_in_disguise",
        column=column.name,
        what=f"{column.name} is {target} in disguise: {same}",
        why="whoever has it need not predict anything, and later it will not be known in time",
        instead=f'if so, leave it out: columns={{"{column.name}": "leave_out"}}',
    )


def _same(table: Table, values: npt.NDArray[np.float64], target: npt.NDArray[Any]) -> str | None:
    present = ~np.isnan(values)
    values, target = values[present], target[present]
    if len(values) < FEWEST_SAME or len(np.unique(target)) < 2:
        return None
    if table.classes is not None and _one_to_one(values, target):
        return "each of its values goes with one class, and the other way round"
    if table.classes is not None:
        if len(table.classes) > 2:
            return None
        ordered = [values[target == label] for label in np.unique(target)]
        apart = ordered[0].max() < ordered[1].min() or ordered[1].max() < ordered[0].min()
        enough = min(map(len, ordered)) >= FEWEST_SAME
        return "a threshold on it tells the two classes apart without an error" if apart and enough else None
    ranks = [np.unique(one, return_inverse=True)[1].astype(np.float64) for one in (values, target)]
    if ranks[0].std() == 0:
        return None
    correlation = abs(float(np.corrcoef(ranks[0], ranks[1])[0, 1]))
    return (
        f"its order is that of {table.target} (rank correlation {correlation:.4f})"
        if correlation > SAME_ORDER
        else None
    )


def _one_to_one(values: npt.NDArray[Any], target: npt.NDArray[Any]) -> bool:
    """Tell if each value goes with one value of the target and the other way round."""
    classes = np.unique(target)
    if len(np.unique(values[:FEWEST_SAME])) > len(classes):
        return False
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return len(first) == len(classes) and bool((target[first][inverse] == target).all())


FEW = "scores that count each class alike rest on very few rows of it"


def _class_remark(table: Table, what: str, *, why: str, instead: str) -> Remark:
    return Remark(code="few_rows_of_class", column=table.target, what=what, why=why, instead=instead)


def _tested(rows: int, tested: int) -> str:
    return f"{'all' if tested == rows else f'{tested:,}' if tested else 'none'} are in the test part"


def _classes(table: Table, kept: Kept, outside: npt.NDArray[np.bool_]) -> list[Remark]:
    if table.classes is None:
        return []
    counts = np.bincount(kept.target, minlength=len(table.classes))
    tested = np.bincount(kept.target[~outside], minlength=len(table.classes))
    apart = (tested == 0) | (tested == counts)
    found = [
        _class_remark(
            table,
            f"class {table.classes[i]} has {counts[i]:,} rows, of which {_tested(counts[i], tested[i])}",
            why="no model can learn it without a row to train on" if tested[i] else FEW,
            instead="collect more of them, join it with another class, or divide the rows by another rule",
        )
        for i in np.flatnonzero(apart)[:MOST].tolist()
    ]
    small = np.flatnonzero((counts < FEW_ROWS) & ~apart)
    if len(small):
        least = int(small[counts[small].argmin()])
        rows = f"{counts[least]:,} rows, of which {_tested(counts[least], tested[least])}"
        name = table.classes[least]
        many = f"{len(small):,} classes have fewer than {FEW_ROWS} rows; the smallest, {name}, has {rows}"
        what = f"class {name} has {rows}" if len(small) == 1 else many
        found.append(
            _class_remark(table, what, why=FEW, instead="collect more of them, or join it with another class")
        )
    share = counts.max() / table.rows
    if share >= NEARLY_ALL:
        found.append(
            Remark(
                code="nearly_one_class",
                column=table.target,
                what=f"{share:.1%} of the rows are of class {table.classes[int(counts.argmax())]}",
                why=f"whoever always says so has an accuracy of {share:.1%}, so accuracy says little",
                instead="select by metric=average_precision or balanced_accuracy; class_weight=balanced "
                "gives the rare class its weight in training",
            )
        )
    return found

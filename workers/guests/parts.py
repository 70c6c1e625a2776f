"""The division of a person's data by `run.split`: the test part is the same for every seed, and held back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torch import Tensor
from torch.utils.data import Subset

from whichopt.service import splits
from whichopt.service.catalog.shapes import Sizes
from whichopt.service.uploads import Split

if TYPE_CHECKING:
    import numpy.typing as npt

GROUPED = Split(kind="group", column="groups")


class Parts(NamedTuple):
    """Training, validation and test, as the function gets them; `test` is None if it has no rows."""

    train: Any
    validation: Any
    test: Any
    sizes: Sizes


def parts(
    data: Any,
    seed: int,
    *,
    test: float = splits.TEST_SHARE,
    validation: float = splits.VALIDATION_SHARE,
    stratify: Any = None,
    groups: Any = None,
) -> Parts:
    """Return the parts of a dataset, or of so many rows.

    Args:
        data: a dataset that is indexed by row, or the number of rows.
        seed: redraws validation, and nothing else.
        test: share of the rows that is held back; 0 if the function has test data of its own.
        validation: share of the others.
        stratify: the class of each row, whose shares every part keeps.
        groups: the group of each row; a group is never in two parts. Shares are then about a fifth and a
            fourth, and cannot be chosen.

    Raises:
        TypeError: `data` has no rows that can be indexed.
        ValueError: a share or a column is wrong, or a part would have no rows.
    """
    rows = _rows(data)
    for name, share, least in (("test", test, 0.0), ("validation", validation, 1e-9)):
        if not least <= share < 1:
            raise ValueError(f"run.split: {name}={share} is no share; give a number from 0 to 1")
    if groups is not None:
        divided = _by_group(rows, seed, groups, test, validation, stratify)
    else:
        divided = _at_random(rows, seed, test, validation, stratify)
    sizes = Sizes(*map(len, divided))
    shown = (
        divided if isinstance(data, int | np.integer) else tuple(Subset(data, of.tolist()) for of in divided)
    )
    return Parts(shown[0], shown[1], shown[2] if sizes.test else None, sizes)


def _rows(data: Any) -> int:
    if isinstance(data, bool) or (isinstance(data, float) or data is None):
        raise TypeError(f"run.split takes a dataset or a number of rows, not {data!r}")
    if isinstance(data, int | np.integer):
        return int(data)
    if hasattr(data, "iloc") or not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        raise TypeError(
            f"run.split cannot index the rows of {type(data).__name__}: give the number of rows, "
            "run.split(len(...)), and take rows by what it returns"
        )
    return len(data)


def _at_random(
    rows: int, seed: int, test: float, validation: float, stratify: Any
) -> tuple[npt.NDArray[np.int64], ...]:
    held_back = max(1, round(rows * test)) if test else 0
    rest = rows - held_back
    validates = max(1, round(rest * validation))
    sizes = Sizes(rest - validates, validates, held_back)
    if min(sizes.train, sizes.validation) < 1:
        raise ValueError(f"run.split: {rows} rows are too few for {sizes}")
    strata = None if stratify is None else _column("stratify", stratify, rows)
    return splits.divided(splits.RANDOM, strata, rows, sizes, seed)


def _by_group(
    rows: int, seed: int, groups: Any, test: float, validation: float, stratify: Any
) -> tuple[npt.NDArray[np.int64], ...]:
    if stratify is not None:
        raise ValueError("run.split divides by groups or by classes: leave out stratify or groups")
    if (test, validation) != (splits.TEST_SHARE, splits.VALIDATION_SHARE):
        raise ValueError(
            "run.split cannot choose the shares of groups, which come whole: leave out test and validation"
        )
    group = _column("groups", groups, rows)
    return splits.divided(GROUPED, None, rows, splits.sizes_of(GROUPED, rows, group=group), seed, group=group)


def _column(name: str, values: Any, rows: int) -> npt.NDArray[Any]:
    column = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if column.shape != (rows,):
        raise ValueError(
            f"run.split: {name} has the shape {column.shape}; give one value for each of {rows} rows"
        )
    if column.dtype == object:  # names, and None for the lack of one
        column = np.asarray([str(value) for value in column])
    return column


def is_again(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Tell if two calls of `run.split` ask for the same: the second only repeats the first."""
    return all(a is b or (isinstance(a, int | float) and a == b) for a, b in zip(one, other, strict=True))

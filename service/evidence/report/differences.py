"""Compares a conclusion as it stands in a report with the same one recomputed.

Sums are exact (`math.fsum`), so another machine differs by no more than the last bits of a t quantile, a
bootstrap's percentile or a random draw's product. Numbers agree within RELATIVE of their size (and of the
largest value of the job, if they are the result of a subtraction). Probabilities are shares of random draws;
they agree within PROBABILITY, four standard errors of the difference between two such shares.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

RELATIVE = 1e-9
PROBABILITY = 0.022

Path = tuple[str, ...]
"""The names of the fields that lead to a place. A row about an optimizer is reached by its label."""


def _paths(*dotted: str) -> frozenset[Path]:
    return frozenset(tuple(path.split(".")) for path in dotted)


WORDED = _paths(
    "recommendation.words",
    "recommendation.statement",
    "recommendation.today.sentence",
    "recommendation.optimizer_verdict.statement",
    "recommendation.snippet",
    "recommendation.stage.stopped",
    "analysis.advice.statement",
    "analysis.pairing.statement",
    "analysis.methods.*",
)
"""Fields that say in words what others say in numbers; a `*` stands for any name."""

PROBABILITIES = _paths(
    "recommendation.probability_best",
    "recommendation.ranking.*.probability_best",
    "recommendation.optimizer_verdict.probability_best.*",
    "analysis.advice.steps.*.rows.*.probability_best",
    "analysis.advice.ranges.*.probability_low",
    "analysis.advice.ranges.*.probability_high",
)
"""Fields that hold a share of random draws. A `*` stands for a label or for the place in a list.

Whole paths, not names: users choose the labels, and one that is called like a field decides nothing."""


class Difference(NamedTuple):
    """A place at which the two are not the same."""

    path: Path
    stored: Any
    recomputed: Any

    @property
    def is_words(self) -> bool:
        """True if the place holds words, not a result."""
        return self.path[:2] == ("recommendation", "warnings") or _is_one_of(WORDED, self.path)


def differences(path: Path, stored: Any, recomputed: Any, *, scale: float) -> Iterator[Difference]:
    """Yield the places below `path` that are not the same in two pieces of JSON.

    Args:
        scale: The largest value of the job: a difference of two values is as exact as they are.
    """
    if isinstance(stored, dict) and isinstance(recomputed, dict):
        for name in dict.fromkeys((*stored, *recomputed)):
            yield from differences((*path, name), stored.get(name), recomputed.get(name), scale=scale)
    elif isinstance(stored, list) and isinstance(recomputed, list):
        yield from _of_lists(path, stored, recomputed, scale=scale)
    elif not _same(path, stored, recomputed, scale):
        yield Difference(path, stored, recomputed)


def _of_lists(path: Path, stored: list[Any], recomputed: list[Any], *, scale: float) -> Iterator[Difference]:
    """Compare two lists; rows of optimizers are compared by optimizer, and their order separately."""
    if (ours := _labels(stored)) is not None and (theirs := _labels(recomputed)) is not None:
        if ours != theirs:
            yield Difference(path, ours, theirs)
        row_of = dict(zip(theirs, recomputed, strict=True))
        for label, row in zip(ours, stored, strict=True):
            if label in row_of:
                yield from differences((*path, label), row, row_of[label], scale=scale)
    elif len(stored) != len(recomputed) or all(isinstance(one, str) for one in (*stored, *recomputed)):
        if stored != recomputed:
            yield Difference(path, stored, recomputed)
    else:
        for i, (one, other) in enumerate(zip(stored, recomputed, strict=True)):
            yield from differences((*path, str(i)), one, other, scale=scale)


def _labels(rows: Sequence[Any]) -> list[str] | None:
    """Return the optimizers of the rows, or None unless each row is about one of its own."""
    labels = [row.get("optimizer") for row in rows if isinstance(row, dict)]
    if not rows or len(labels) < len(rows) or None in labels or len(set(labels)) < len(labels):
        return None
    return [str(label) for label in labels]


def _same(path: Path, stored: Any, recomputed: Any, scale: float) -> bool:
    numbers = [x for x in (stored, recomputed) if isinstance(x, int | float) and not isinstance(x, bool)]
    if len(numbers) < 2:
        return bool(stored == recomputed)
    if all(isinstance(number, int) for number in numbers):
        return bool(stored == recomputed)
    relative, absolute = (
        (0.0, PROBABILITY) if _is_one_of(PROBABILITIES, path) else (RELATIVE, RELATIVE * 1e-3 * scale)
    )
    try:
        return math.isclose(stored, recomputed, rel_tol=relative, abs_tol=absolute)
    except OverflowError:  # a whole number beyond the largest float, beside a float
        return False


def _is_one_of(fields: frozenset[Path], path: Path) -> bool:
    return any(
        len(path) == len(known) and all(name in ("*", part) for name, part in zip(known, path, strict=True))
        for known in fields
    )

"""What a figure is given, and what it gives: plain data in, a Vega-Lite spec with its words out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from whichopt.service.states import Direction

T = TypeVar("T")

Spec = dict[str, Any]
"""A Vega-Lite spec as plain JSON."""


@dataclass(frozen=True)
class Figure:
    """A drawing to come, and its words: nobody needs to see it to know what it shows."""

    name: str
    """Names it within a page, as a part of an id."""

    title: str
    caption: str
    """What to look for, and what was left out or drawn at an edge."""

    alt: str
    """What it shows, in numbers."""

    spec: Spec

    def __post_init__(self) -> None:
        self.spec["description"] = self.alt  # screen readers are told it wherever the spec is drawn


@dataclass(frozen=True)
class Metric:
    """What values are measured by, and on which split."""

    name: str
    direction: Direction
    split: str = "validation"

    @property
    def is_lower_better(self) -> bool:
        return self.direction is Direction.MINIMIZE

    @property
    def words(self) -> str:
        """The name with its split: validation nll."""
        return f"{self.split} {self.name}"

    @property
    def across(self) -> str:
        """The title of a horizontal axis, which always runs to the better."""
        return f"{self.words}, better to the right"

    @property
    def up(self) -> str:
        """What to add to the title of a vertical axis, which runs as the metric does."""
        return "(lower is better)" if self.is_lower_better else "(higher is better)"

    def sorted(self, values: list[float]) -> list[float]:
        """Return the values, the best first."""
        return sorted(values, reverse=not self.is_lower_better)

    def best(self, values: list[float]) -> float:
        return self.sorted(values)[0]


@dataclass(frozen=True)
class Point:
    """A point of a line, with the ends of its band if it has one."""

    at: float
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """A line of an optimizer; a `quiet` one stands behind the others, without a name."""

    label: str
    points: tuple[Point, ...]
    quiet: bool = False


def thinned(rows: Sequence[T], most: int) -> tuple[T, ...]:
    """Return at most `most` of the rows, evenly, the first and the last among them."""
    if len(rows) <= most:
        return tuple(rows)
    last = len(rows) - 1
    return tuple(rows[round(i * last / (most - 1))] for i in range(most))


def short(label: str, most: int = 16) -> str:
    """Return the label, cut to fit beside a figure."""
    return label if len(label) <= most else f"{label[: most - 1]}…"


def listed(names: list[str]) -> str:
    """Return the names as a sentence has them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def plain(value: float, digits: int = 3) -> str:
    """Return a number as short as it is clear: 0.01, but 5e-5.

    Example:
        >>> from whichopt.service.figures.figure import plain
        >>> plain(0.01), plain(5e-5), plain(-1e-16)
        ('0.01', '5e-5', '-1e-16')
    """
    text = f"{value:.{digits - 1}e}" if 0 < abs(value) < 0.001 else f"{value:.{digits}g}"
    number, e, power = text.partition("e")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number}{e}{int(power)}" if e else text

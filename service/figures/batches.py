"""Figures of batches that grow: their size, and the noise of the gradient that they grow by."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from whichopt.service.figures.axes import Range, axis
from whichopt.service.figures.figure import Figure, Line, Point, thinned
from whichopt.service.figures.lines import HEIGHT, MOST_POINTS, line_chart

MOST_BANDS = 3
"""Optimizers of which a band is drawn; those of more could not be told apart."""

FAR = 1000.0
"""Noise by which a figure reaches above and below what a test allows."""

Curve = Sequence[tuple[int, float]]
"""The examples that a run had seen, and what it had there."""


@dataclass(frozen=True)
class Grown:
    """How the batches of an optimizer grew in its runs.

    `first` is the size of the first batch, `most` that which none can exceed. Curves of `sizes` have the size
    from there on, and curves of `noise` that at the last test, as a multiple of what the test allows.
    """

    label: str
    first: int
    most: int
    sizes: Sequence[Curve]
    noise: Sequence[Curve]

    @property
    def last(self) -> int:
        """The size of the batches at the end, in the middle one of the runs."""
        return round(_middle(self.sizes)[-1].value)

    @property
    def words(self) -> str:
        """What the batch did, in words: grew from 32 to 536 examples."""
        if self.last == self.first:
            return f"stayed at {self.first:,} examples"
        end = ", the most it may have" if self.last == self.most else ""
        return f"grew from {self.first:,} to {self.last:,} examples{end}"


def batch_sizes(
    grown: Sequence[Grown],
    tones: Mapping[str, int],
    *,
    runs: str,
    width: int | None = None,
    height: int = HEIGHT,
) -> Figure:
    """Draw how the batches grew, on a scale on which twice as many examples are always as far.

    Args:
        grown: at least one optimizer, each with a curve of sizes.
        tones: of each label.
        runs: names the runs, such as "best config's fresh seeds".
        width: in pixels; None if the page says it.
        height: in pixels.
    """
    lines = [
        Line(one.label, (Point(0, one.first), *thinned(_middle(one.sizes), MOST_POINTS - 1))) for one in grown
    ]
    ends = [end for line in lines for point in line.points for end in _ends(point)]
    shown = Range(min(ends) / 1.2, max(max(ends), 2 * min(ends)) * 1.2, log=True)
    said = "; that of ".join(f"{one.label} {one.words}" for one in grown)
    return Figure(
        name="batch-sizes",
        title="How the batches grew",
        caption=f"The batch of {said}. {_whose(grown, runs)} Sizes are read when a run is evaluated: one "
        "step of the line may be several of the batch.",
        alt=f"Batch size over the examples seen: {'; '.join(f'{one.label} {one.words}' for one in grown)}.",
        spec=line_chart(
            lines,
            tones,
            shown,
            axis("batch size, in examples", _powers(shown.low, shown.high), whole=True),
            banded=_banded(grown),
            steps=True,
            x_title="examples seen",
            first=0,
            whole=True,
            width=width,
            height=height,
        ),
    )


def batch_noise(
    grown: Sequence[Grown],
    tones: Mapping[str, int],
    *,
    runs: str,
    width: int | None = None,
    height: int = HEIGHT,
) -> Figure | None:
    """Draw the noise that batches grow by, with a line at what the test allows; None if nothing was tested.

    Args:
        grown: as `batch_sizes` takes them.
        tones: of each label.
        runs: names the runs.
        width: in pixels; None if the page says it.
        height: in pixels.
    """
    tested = [one for one in grown if any(one.noise)]
    if not tested:
        return None
    found = {one.label: thinned(_middle(one.noise), MOST_POINTS) for one in tested}
    ends = [end for points in found.values() for point in points for end in _ends(point)]
    within = [end for end in ends if 1 / FAR <= end <= FAR]
    shown = Range(min([0.5, *within]) / 1.1, max([2.0, *within]) * 1.1, log=True)
    beyond = len(ends) - len(within)
    lines = [Line(label, tuple(_inside(point, shown) for point in points)) for label, points in found.items()]
    last = "; ".join(f"{label} ends at {points[-1].value:.3g}" for label, points in found.items())
    return Figure(
        name="batch-noise",
        title="Why they grew",
        caption="Noise of a batch's gradient, as a multiple of what the norm test allows with batch_eta. "
        "Above 1 the batch had too much of it, and the next one is larger, unless it has as many examples as "
        f"it may have. {_whose(tested, runs)}"
        + (" What lies far out is drawn at the edge." if beyond else ""),
        alt=f"Noise of the batches over the examples seen; 1 is what the test allows: {last}.",
        spec=line_chart(
            lines,
            tones,
            shown,
            axis("noise, 1 is allowed", shown.ticks(6)),
            banded=_banded(tested),
            steps=False,
            x_title="examples seen",
            first=0,
            whole=True,
            width=width,
            height=height,
            level=1.0,
        ),
    )


def _middle(curves: Sequence[Curve]) -> tuple[Point, ...]:
    """Return the median of the runs at each place, with a band that holds all of them if they are several.

    It is one that a run had: between two batch sizes lies none.
    """
    at: dict[int, list[float]] = defaultdict(list)
    for curve in curves:
        for examples, value in curve:
            at[examples].append(value)
    several = len(curves) > 1
    return tuple(
        Point(examples, statistics.median_low(found), *((min(found), max(found)) if several else ()))
        for examples, found in sorted(at.items())
    )


def _ends(point: Point) -> Iterable[float]:
    return (end for end in (point.value, point.low, point.high) if end is not None)


def _inside(point: Point, shown: Range) -> Point:
    """Return the point with what lies outside moved to the edge: a gradient of 0 has no logarithm."""
    low, value, high = (
        None if one is None else min(max(one, shown.low), shown.high)
        for one in (point.low, point.value, point.high)
    )
    return Point(point.at, shown.low if value is None else value, low, high)


def _banded(grown: Sequence[Grown]) -> set[str]:
    return {one.label for one in grown} if len(grown) <= MOST_BANDS else set()


def _whose(grown: Sequence[Grown], runs: str) -> str:
    """Say which runs the lines are of."""
    count = max(len(one.sizes) for one in grown)
    if count == 1:
        return f"Shown is the {runs}."
    band = ", and the band holds all of them" if _banded(grown) else ""
    return f"The line is the middle one of the {runs}{band}."


def _powers(low: float, high: float, most: int = 7) -> list[float]:
    """Return powers of two between two sizes, at most that many, each as far from the next."""
    first, last = math.ceil(math.log2(low)), math.floor(math.log2(high))
    every = -(-(last - first + 1) // most)
    return [2.0**power for power in range(first, last + 1, every)]

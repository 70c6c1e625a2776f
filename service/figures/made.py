"""The figures of what generators make: points in the plane, those of all finalists on the same axes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from whichopt.service.figures.axes import axis, even_ticks
from whichopt.service.figures.figure import Figure
from whichopt.service.figures.style import BELOW, color, number, shape, spec, values

Place = tuple[float, float]

ROOM = 0.06
"""Share of the range that is left free at each end."""

FAR = 0.02
"""Share of the points, at each end, that may lie outside: a few stray ones must not squeeze the rest."""

FARTHER = 1.5
"""A stray point is left outside only if it is this many times as far from the middle as the rest reaches."""


LEAST = 1e-6
"""Least half of an axis, as a share of how far from 0 it lies: ticks of less are one number."""


@dataclass(frozen=True)
class Extent:
    """What both axes show: a square, so that a circle looks like one."""

    x: tuple[float, float]
    y: tuple[float, float]

    def holds(self, point: Place) -> bool:
        return self.x[0] <= point[0] <= self.x[1] and self.y[0] <= point[1] <= self.y[1]


def extent_of(points: Iterable[Place]) -> Extent | None:
    """Return what the axes must show of all these points; None if there is none."""
    found = list(points)
    if not found:
        return None
    ends = [_ends(sorted(point[axis] for point in found)) for axis in (0, 1)]
    middles = [(low + high) / 2 for low, high in ends]
    wide = max(high - low for low, high in ends) / 2 * (1 + 2 * ROOM)
    half = max(wide, LEAST * max(map(abs, middles))) or 1.0
    return Extent(*((middle - half, middle + half) for middle in middles))


def _ends(ordered: Sequence[float]) -> Place:
    """Return the range of all values but for stray ones."""
    cut = int(FAR * (len(ordered) - 1))
    low, high = ordered[cut], ordered[-1 - cut]
    middle, half = (low + high) / 2, (high - low) / 2
    inside = [one for one in (ordered[0], ordered[-1]) if abs(one - middle) <= FARTHER * half]
    return min(low, *inside, high), max(high, *inside, low)


def points_made(
    label: str,
    points: Sequence[Place],
    tones: Mapping[str, int],
    extent: Extent,
    *,
    name: str,
    title: str,
    width: int | None = None,
    height: int = 320,
) -> Figure:
    """Draw the points that an optimizer's network makes.

    Args:
        label: the optimizer.
        points: what was made.
        tones: of each label.
        extent: what `extent_of` says of all samples, so that they have the same axes.
        name: names the figure within a page.
        title: whose points they are.
        width: in pixels; None if the page says it.
        height: in pixels.
    """
    inside = [point for point in points if extent.holds(point)]
    left, right, above = 40.0, 12.0, 10.0
    x = number("x", _scale(extent.x), axis(None, even_ticks(*extent.x, 5), grid=True))
    y = number("y", _scale(extent.y), axis(None, even_ticks(*extent.y, 5)))
    mark = {"type": "point", "filled": True, "size": 22, "opacity": 0.6}
    rows = [{"o": label, "x": float(f"{x:.4g}"), "y": float(f"{y:.4g}")} for x, y in inside]
    encoding = {"x": x, "y": y, "color": color([label], tones), "shape": shape([label], tones)}
    out = len(points) - len(inside)
    beyond = f" {out:,} more {'lies' if out == 1 else 'lie'} outside." if out else ""
    return Figure(
        name=name,
        title=title,
        caption=f"{len(inside):,} points; all finalists have the same axes.{beyond}",
        alt=f"{title}: {len(points):,} points that the network makes. {_told(points)}",
        spec=spec(
            [{"data": values(rows), "mark": mark, "encoding": encoding}],
            width=width,
            height=height,
            left=left,
            right=right,
            above=above,
            below=BELOW - 16,
        ),
    )


def _scale(ends: Place) -> dict[str, object]:
    return {"type": "linear", "domain": list(ends), "zero": False, "nice": False, "clamp": True}


def _told(points: Sequence[Place]) -> str:
    """Say where points lie."""
    if not points:
        return ""
    (left, right), (low, high) = ((min(axis), max(axis)) for axis in zip(*points, strict=True))
    return f"They lie from {left:.3g} to {right:.3g} across, and from {low:.3g} to {high:.3g} up."

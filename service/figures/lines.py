"""Draws lines over what was seen, done or spent, each with its name at its end, some with a band."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from whichopt.service.figures.axes import Range, axis, even_ticks, whole_ticks
from whichopt.service.figures.figure import Line, Point, Spec
from whichopt.service.figures.labels import end_labels, room_right
from whichopt.service.figures.style import ABOVE, BELOW, color, number, spec, ticks_for, values

MOST_POINTS = 60
"""Points of one line; more are more than a screen shows, and cost a page."""

HEIGHT = 270
LEFT = 44.0


def line_chart(
    lines: Sequence[Line],
    tones: Mapping[str, int],
    shown: Range,
    y_axis: Spec,
    *,
    banded: Collection[str],
    steps: bool,
    x_title: str,
    whole: bool,
    width: int | None,
    height: int,
    first: float | None = None,
    level: float | None = None,
) -> Spec:
    """Return the spec of lines; those that are `quiet` lie behind, thin and without a name.

    Args:
        lines: at least one, each with a point.
        tones: of each label.
        shown: what the vertical axis shows.
        y_axis: the vertical axis.
        banded: labels of lines whose bands are drawn.
        steps: True if a value holds until the next one.
        x_title: of the horizontal axis.
        whole: True if that counts whole things.
        width: in pixels; None if the page says it.
        height: in pixels.
        first: where the horizontal axis begins; None if that is where the first line does.
        level: a value at which a line is drawn across.
    """
    named = [line for line in lines if not line.quiet]
    labels = list(dict.fromkeys(line.label for line in [*named, *lines]))
    points = [point for line in lines for point in line.points]
    right = room_right([line.label for line in named]) if named else 12.0
    plot = height - ABOVE - BELOW
    first = min(point.at for point in points) if first is None else first
    last = max(point.at for point in points)
    if last <= first:
        last = first + 1
    count = ticks_for(width, LEFT, right)
    ticks = whole_ticks(first, last, count) if whole else even_ticks(first, last, count)
    x = number(
        "x",
        {"domain": [first, last], "nice": False, "zero": False},
        axis(x_title, ticks, whole=whole and last - first < 1e6),
    )
    y = number("v", shown.scale(), y_axis)
    tone, interpolate = color(labels, tones), "step-after" if steps else "linear"
    rows = [_row(line, place, point, shown) for place, line in enumerate(lines) for point in line.points]
    layers: list[Spec] = []
    if level is not None:
        across = {"type": "rule", "stroke": "var(--quiet)", "strokeWidth": 1, "strokeDash": [4, 4]}
        layers.append({"data": values([{"v": level}]), "mark": across, "encoding": {"y": y}})
    bands = [row for row in rows if "low" in row and row["o"] in banded and not row["quiet"]]
    if bands:
        layers.append(
            {
                "data": values(bands),
                "mark": {"type": "area", "opacity": 0.14, "interpolate": interpolate},
                "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": tone},
            }
        )
    for quiet, mark in ((True, {"strokeWidth": 1, "opacity": 0.28}), (False, {"strokeWidth": 2.2})):
        own = [row for row in rows if row["quiet"] == quiet]
        if own:
            layers.append(
                {
                    "data": values(own),
                    "mark": {"type": "line", "interpolate": interpolate, **mark},
                    "encoding": {
                        "x": x,
                        "y": y,
                        "color": tone,
                        "detail": {"field": "line"},
                    },
                }
            )
    ends = {line.label: line.points[-1].value for line in named}
    layers += end_labels(ends, labels, tones, shown, plot) if ends else []
    return spec(layers, width=width, height=height, left=LEFT, right=right)


def _row(line: Line, place: int, point: Point, shown: Range) -> dict[str, Any]:
    row: dict[str, Any] = {
        "o": line.label,
        "line": place,
        "quiet": line.quiet,
        "x": point.at,
        "v": point.value,
    }
    if point.low is not None and point.high is not None:
        # A band may reach below zero, which a log scale does not have.
        row |= {"low": max(point.low, shown.low), "high": min(point.high, shown.high)}
    return row

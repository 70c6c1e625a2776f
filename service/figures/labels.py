"""Names at the ends of lines, each beside its optimizer's mark, spread so that none covers another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from whichopt.service.figures.axes import Range
from whichopt.service.figures.figure import Spec, short
from whichopt.service.figures.style import CHARACTER, color, shape, values

GAP = 15.0
"""Pixels from one name to the next."""


def spread(heights: Sequence[float], room: float, gap: float = GAP) -> list[float]:
    """Return heights in pixels, from 0 to `room`, moved apart just as far as is needed.

    If there is not enough room for all, they are spread over it evenly, in their order.

    Example:
        >>> from whichopt.service.figures.labels import spread
        >>> spread([50.0, 52.0, 90.0], room=100.0, gap=10.0)
        [46.0, 56.0, 90.0]
    """
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    gap = min(gap, room / max(1, len(heights) - 1))
    # Blocks of names that touch: each lies as near to the heights of its names as it can.
    blocks: list[list[int]] = []
    for i in order:
        blocks.append([i])
        while len(blocks) > 1 and _start(blocks[-2], heights, room, gap) + gap * len(blocks[-2]) > _start(
            blocks[-1], heights, room, gap
        ):
            last = blocks.pop()
            blocks[-1] += last
    placed = [0.0] * len(heights)
    for block in blocks:
        start = _start(block, heights, room, gap)
        for place, i in enumerate(block):
            placed[i] = start + place * gap
    return placed


def _start(block: Sequence[int], heights: Sequence[float], room: float, gap: float) -> float:
    ideal = sum(heights[i] - place * gap for place, i in enumerate(block)) / len(block)
    return min(max(ideal, 0.0), room - gap * (len(block) - 1))


def room_right(labels: Sequence[str]) -> float:
    """Return the pixels that names take at the right of a figure."""
    return 26 + CHARACTER * max(map(len, map(short, labels)))


def end_labels(
    ends: Mapping[str, float], labels: Sequence[str], tones: Mapping[str, int], shown: Range, height: float
) -> list[Spec]:
    """Return layers with the name of each line at the right of the plot.

    Args:
        ends: the value at which each label's line ends.
        labels: all of the figure, as its colors have them.
        tones: of each label.
        shown: the range of the vertical axis.
        height: of the plot, in pixels.
    """
    at = spread([(1 - shown.share(value)) * height for value in ends.values()], height)
    rows = [{"o": label, "s": short(label), "y": y} for label, y in zip(ends, at, strict=True)]
    place: Spec = {
        "x": {"value": "width"},
        "y": {"field": "y", "type": "quantitative", "scale": None, "axis": None},
    }
    mark = {"type": "point", "filled": True, "size": 52, "opacity": 1, "xOffset": 10}
    return [
        {
            "data": values(rows),
            "mark": mark,
            "encoding": {**place, "color": color(labels, tones), "shape": shape(labels, tones)},
        },
        {
            "data": values(rows),
            "mark": {"type": "text", "align": "left", "baseline": "middle", "dx": 20},
            "encoding": {**place, "text": {"field": "s"}},
        },
    ]

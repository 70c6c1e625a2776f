"""Means with their intervals, a lane for each optimizer: a bar for each look; right is better."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from whichopt.service.figures.axes import computable
from whichopt.service.pages.job.acts.words import number, span
from whichopt.service.pages.job.lanes import Scale
from whichopt.service.states import Direction
from whichopt.service.views import Interval

HEIGHTS = {1: (50.0,), 2: (30.0, 60.0), 3: (20.0, 40.0, 66.0), 4: (14.0, 30.0, 46.0, 70.0)}
"""Where the bars of so many looks lie, in percent of a lane's height; the latest has the most room."""

MOST_BARS = 4


@dataclass(frozen=True)
class Bar:
    """An interval in percent of a lane; `mean` is its middle.

    `kind` is its CSS class: `k3` the latest, `k2` the one before, `k1` older ones.
    """

    low: float
    mean: float
    high: float
    y: float
    kind: str


@dataclass(frozen=True)
class Lane:
    """One optimizer's lane.

    Args:
        label: the optimizer, or what else the lane is of.
        tone: its color and its shape.
        bars: one a look, the latest last; empty if a run diverged.
        value: the latest mean in words.
        behind: how far behind the best it is, in words.
        odds: the probability of being the best; None if that was not asked.
        says: the lane in words, for who cannot see it.
        note: what is written in a lane without bars.
        hollow: True of what is no candidate, such as a default.
        strong: True of the one that is recommended.
    """

    label: str
    tone: int
    bars: tuple[Bar, ...]
    value: str
    behind: str
    odds: float | None
    says: str
    note: str = ""
    hollow: bool = False
    strong: bool = False


def bars(intervals: Sequence[Interval | None], scale: Scale) -> tuple[Bar, ...]:
    """Return the bars of the looks in their order, of the last ones if there are too many.

    A look at which a run had diverged has none, and its place stays free. An interval whose ends nothing
    tells is a mean alone.
    """
    shown = list(intervals)[-MOST_BARS:]
    if not shown or shown[-1] is None:
        return ()
    if scale.beyond(shown[-1].mean):  # its earlier looks would all lie at the same edge
        shown = shown[-1:]
    heights = HEIGHTS[len(shown)]
    found = []
    for place, interval in enumerate(shown):
        if interval is None:
            continue
        mean = scale.at(interval.mean)
        ends = (mean, mean)
        if interval.low is not None and interval.high is not None:
            low, high = scale.at(interval.low), scale.at(interval.high)
            ends = min(low, high), max(low, high)
        newer = len(shown) - 1 - place
        found.append(Bar(ends[0], mean, ends[1], heights[place], ("k3", "k2", "k1")[min(newer, 2)]))
    return tuple(found)


def in_words(label: str, interval: Interval | None, places: int | None, otherwise: str) -> str:
    """Say a lane: its mean and its interval, or what there is instead."""
    if interval is None:
        return f"{label}: {otherwise}"
    ends = span(interval.low, interval.high, places)
    mean = number(interval.mean, places)
    return f"{label}: {mean} on fresh seeds" + (f", interval {ends}" if ends else "")


def widths(intervals: Sequence[Interval | None]) -> list[float | None]:
    """Return how wide each interval is; None if nothing tells."""
    return [
        one.high - one.low
        for one in intervals
        if one is not None and one.low is not None and one.high is not None
    ]


FAR = 4.0
"""The worst interval is cut off if it reaches so many times as far from the best as the second worst one."""

DECADE = 10.0
"""Values that span more than this factor are shown on a log scale."""

SHARE_BEFORE = 0.3
"""How far beyond the latest intervals those of earlier looks are shown, as a share of the former."""


def scale_of(
    spans: Iterable[tuple[float, float]],
    direction: Direction,
    before: Iterable[tuple[float, float]] = (),
) -> Scale:
    """Return the scale that shows the spans, but for one that is so bad that the others would vanish.

    Args:
        spans: the ends of what is to be shown, one or more, all finite.
        direction: the metric's.
        before: spans of earlier looks, which are shown as far as there is room for them.
    """
    sign = direction.sign
    known = ((sign * computable(a), sign * computable(b)) for a, b in spans)
    losses = [(min(ends), max(ends)) for ends in known]
    best = min(low for low, _ in losses)
    ordered = sorted(high for _, high in losses)
    limit = ordered[-1]
    if len(ordered) > 2 and limit - best > FAR * (ordered[-2] - best) > 0:
        limit = ordered[-2]
    clamped = limit < ordered[-1]
    room = SHARE_BEFORE * (limit - best)
    earlier = [sign * computable(end) for span in before for end in span]
    best, limit = (
        max(min([best, *earlier]), best - room),
        min(max([limit, *earlier]), limit + room),
    )
    if limit == best:
        room = 0.05 * abs(best) or 1.0
        best, limit = best - room, limit + room
    ends = sign * limit, sign * best
    log = sign > 0 and min(ends) > 0 and max(ends) / min(ends) > DECADE
    return Scale(worst=ends[0], best=ends[1], log=log, clamped=clamped)

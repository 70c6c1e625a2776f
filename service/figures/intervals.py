"""Figures of finalists on fresh seeds: means with intervals look by look, and how far behind they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from whichopt.service.figures.axes import Range, axis, computable, fit
from whichopt.service.figures.figure import Figure, Metric, Spec, listed
from whichopt.service.figures.style import (
    BELOW,
    ROW,
    color,
    left_of,
    number,
    rows_axis,
    rows_height,
    shape,
    spec,
    ticks_for,
    tip,
    values,
)

ABOVE, RIGHT = 6.0, 18.0
LOOK = 9
"""Pixels from the bar of one look to that of the next."""

LEFTWARD, RIGHTWARD = "M.4-.5L-.5 0 .4 .5Z", "M-.4-.5L.5 0-.4 .5Z"
"""Heads of bars that go on beyond the figure."""


@dataclass(frozen=True)
class Bounded:
    """A mean with the ends of its interval; None if there are too few runs for one."""

    label: str
    mean: float
    low: float | None
    high: float | None


def finalists(
    looks: Sequence[Sequence[Bounded]],
    metric: Metric,
    tones: Mapping[str, int],
    *,
    level: float,
    worst: float | None = None,
    width: int | None = None,
) -> Figure:
    """Draw the finalists' means with their intervals: of each look below that of the look before.

    Args:
        looks: the finalists at each look, the last look last; its order is that of the rows.
        metric: of the means.
        tones: of each label.
        level: of the intervals.
        worst: what a constant predictor scores, if it is known.
        width: in pixels; None if the page says it.
    """
    last = looks[-1]
    labels = [row.label for row in last]
    shown = fit(
        [end for look in looks for row in look for end in _ends(row)],
        metric,
        worst=worst,
        always=[row.mean for row in last],
    )
    left, row = left_of(labels), max(ROW, 14 + LOOK * len(looks))
    ticks = axis(metric.across, shown.ticks(ticks_for(width, left, RIGHT)), grid=True)
    x = number("m", shown.scale(reverse=metric.is_lower_better), ticks)
    best = metric.best([row.mean for row in last])
    layers: list[Spec] = [
        {
            "data": values([{"m": best}]),
            "mark": {"type": "rule", "stroke": "var(--quiet)", "strokeWidth": 1},
            "encoding": {"x": x},
        }
    ]
    for place, look in enumerate(looks):
        now = place == len(looks) - 1
        dy = LOOK * (place - (len(looks) - 1) / 2)
        strokes = 4.0 if now else 1.6
        layers += _bars(
            [row for row in look if row.label in labels],
            labels,
            tones,
            x,
            shown,
            reverse=metric.is_lower_better,
            dy=dy,
            thick=strokes,
            opacity=0.6 if now else 0.4,
            size=90 if now else 0,
        )
    said = "; ".join(
        f"{row.label} {row.mean:.4g}"
        + ("" if row.low is None or row.high is None else f" ({row.low:.4g} to {row.high:.4g})")
        for row in last
    )
    earlier = " The thin bars above are those of the looks before." if len(looks) > 1 else ""
    return Figure(
        name="finalists",
        title="The finalists on fresh seeds",
        caption=f"Mean and {level:.0%} interval of each optimizer's best config; the line marks the best "
        f"mean.{earlier}" + shown.said(metric, "left"),
        alt=f"{metric.words.capitalize()} on fresh seeds: {said}.",
        spec=_framed(layers, len(labels), row, left, width),
    )


def behind_the_best(
    rows: Sequence[Bounded],
    metric: Metric,
    tones: Mapping[str, int],
    *,
    name: str,
    title: str,
    caption: str,
    what: str = "configs",
    width: int | None = None,
) -> Figure:
    """Draw how far each is behind the best, which is at the right; a bar that reaches zero may be as good.

    Args:
        rows: differences, positive if it is worse, in the order of the figure.
        metric: of the values that were compared.
        tones: of each label.
        name: of the figure.
        title: of the figure.
        caption: what the bars are.
        what: is compared, in the plural.
        width: in pixels; None if the page says it.
    """
    labels = [row.label for row in rows]
    shown, cut = _reach(rows)
    left = left_of(labels)
    title_x = f"{metric.name} behind the best, better to the right"
    x = number(
        "m",
        shown.scale(reverse=True),
        axis(title_x, shown.ticks(ticks_for(width, left, RIGHT)), grid=True),
    )
    layers: list[Spec] = [
        {
            "data": values([{"m": 0}]),
            "mark": {"type": "rule", "stroke": "var(--ink)", "strokeWidth": 1},
            "encoding": {"x": x},
        },
        *_bars(rows, labels, tones, x, shown, reverse=True),
    ]
    said = "; ".join(
        f"{row.label} {row.mean:.3g}"
        + ("" if row.low is None or row.high is None else f" ({row.low:.3g} to {row.high:.3g})")
        for row in rows
    )
    heads = f" Arrowheads: the interval goes on ({listed(cut)})." if cut else ""
    return Figure(
        name=name,
        title=title,
        caption=caption + heads,
        alt=f"How far {what} are behind the best, in {metric.words}: {said}.",
        spec=_framed(layers, len(rows), ROW, left, width),
    )


def seed_values(
    rows: Mapping[str, Sequence[float]],
    metric: Metric,
    tones: Mapping[str, int],
    *,
    worst: float | None = None,
    left_out: str = "",
    width: int | None = None,
) -> Figure:
    """Draw every fresh seed of each optimizer's best config: what the intervals are made of.

    Args:
        rows: the values by label, in the order of the seeds, which are the same for all.
        metric: of the values.
        tones: of each label.
        worst: what a constant predictor scores, if it is known.
        left_out: who is not shown and why, in a sentence.
        width: in pixels; None if the page says it.
    """
    labels = list(rows)
    means = {label: sum(found) / len(found) for label, found in rows.items()}
    shown = fit(
        [value for found in rows.values() for value in found], metric, worst=worst, always=means.values()
    )
    left = left_of(labels)
    ticks = axis(metric.across, shown.ticks(ticks_for(width, left, RIGHT)), grid=True)
    x, y = number("m", shown.scale(reverse=metric.is_lower_better), ticks), rows_axis(labels)
    data = [
        {"o": label, "m": value, "s": seed, "r": place}
        for place, (label, found) in enumerate(rows.items())
        for seed, value in enumerate(found)
    ]
    thread = {"type": "line", "stroke": "var(--quiet)", "strokeWidth": 0.6, "opacity": 0.4}
    mark = {"type": "point", "filled": True, "size": 44, "opacity": 0.7, "tooltip": tip("$o", ": ", "$m")}
    tick = {"type": "tick", "stroke": "var(--ink)", "thickness": 2, "bandSize": 18, "size": 18}
    layers: list[Spec] = [
        {
            "data": values(data),
            "mark": mark,
            "encoding": {"x": x, "y": y, "color": color(labels, tones), "shape": shape(labels, tones)},
        },
        {
            "data": values([{"o": label, "m": mean} for label, mean in means.items()]),
            "mark": tick,
            "encoding": {"x": x, "y": y},
        },
    ]
    if len(labels) > 1:
        layers.insert(
            0,
            {
                "data": values(data),
                "mark": thread,
                "encoding": {"x": x, "y": y, "detail": {"field": "s"}, "order": {"field": "r"}},
            },
        )
    seeds = len(next(iter(rows.values())))
    said = "; ".join(
        f"{label} mean {means[label]:.4g}, {min(found):.4g} to {max(found):.4g}"
        for label, found in rows.items()
    )
    return Figure(
        name="seed-values",
        title="The runs behind it",
        caption="One mark a fresh seed, for each optimizer's best config; the tick is the mean. A gray line "
        "joins the runs of one seed: they start and see the data alike, so they are compared pair by pair."
        + left_out
        + shown.said(metric, "left"),
        alt=f"{metric.words.capitalize()} on each of {seeds} fresh seeds: {said}.",
        spec=_framed(layers, len(labels), ROW, left, width),
    )


def _framed(layers: Sequence[Spec], rows: int, row: int, left: float, width: int | None) -> Spec:
    height = rows_height(rows, row)
    return spec(layers, width=width, height=height, left=left, right=RIGHT, above=ABOVE, below=BELOW)


def _ends(row: Bounded) -> list[float]:
    return [row.mean, *(end for end in (row.low, row.high) if end is not None)]


def _reach(rows: Sequence[Bounded]) -> tuple[Range, list[str]]:
    """Return the range of differences that shows what matters, and the labels of bars that go beyond.

    One bar may be much wider than the others, and these are to be read.
    """
    reaches = sorted(max(abs(computable(end)) for end in _ends(row)) for row in rows)
    most = max(2.5 * reaches[len(reaches) // 2], *(1.3 * abs(computable(row.mean)) for row in rows), 0.0)
    most = min(most or 1.0, 1.05 * reaches[-1] or 1.0)
    lowest = max(min(min(_ends(row)) for row in rows), -most)
    cut = [row.label for row in rows if any(abs(end) > most for end in _ends(row))]
    return Range(min(lowest, 0.0) - 0.05 * most, most * 1.02), cut


def _bars(
    rows: Sequence[Bounded],
    labels: Sequence[str],
    tones: Mapping[str, int],
    x: Spec,
    shown: Range,
    *,
    reverse: bool,
    dy: float = 0.0,
    thick: float = 4.0,
    opacity: float = 0.6,
    size: int = 90,
) -> list[Spec]:
    """Return the layers of intervals with their means; a bar that goes on beyond the figure has a head."""
    y, tone = rows_axis(labels), color(labels, tones)
    bars = [
        {"o": row.label, "a": row.low, "b": row.high}
        for row in rows
        if row.low is not None and row.high is not None and row.high > row.low
    ]
    layers: list[Spec] = []
    if bars:
        bar = {"type": "rule", "strokeWidth": thick, "opacity": opacity, "yOffset": dy}
        layers.append(
            {
                "data": values(bars),
                "mark": bar,
                "encoding": {"x": {**x, "field": "a"}, "x2": {"field": "b"}, "y": y, "color": tone},
            }
        )
    for is_high in (False, True):
        beyond = [
            {"o": bar["o"], "m": shown.high if is_high else shown.low}
            for bar in bars
            if (bar["b"] > shown.high if is_high else bar["a"] < shown.low)  # type: ignore[operator]
        ]
        if beyond:
            head = RIGHTWARD if is_high != reverse else LEFTWARD
            mark = {"type": "point", "filled": True, "shape": head, "size": 60, "opacity": 0.9, "yOffset": dy}
            layers.append({"data": values(beyond), "mark": mark, "encoding": {"x": x, "y": y, "color": tone}})
    means = [{"o": row.label, "m": row.mean} for row in rows]
    if size:
        mark = {"type": "point", "filled": True, "size": size, "opacity": 1, "yOffset": dy}
        mark["tooltip"] = tip("$o", ": ", "$m")
        layers.append(
            {
                "data": values(means),
                "mark": mark,
                "encoding": {"x": x, "y": y, "color": tone, "shape": shape(labels, tones)},
            }
        )
    else:
        small = {"type": "tick", "thickness": 1.4, "size": 7, "opacity": 0.8, "yOffset": dy}
        layers.append({"data": values(means), "mark": small, "encoding": {"x": x, "y": y, "color": tone}})
    return layers

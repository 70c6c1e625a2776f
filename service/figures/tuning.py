"""Figures of what tuning gives: default against tuned, and how much depends on the learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from whichopt.service.figures.axes import Range, axis, fit
from whichopt.service.figures.figure import Figure, Metric, Spec, listed, plain, thinned
from whichopt.service.figures.style import (
    BELOW,
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

NEAR = 0.25
"""A config is near if its value is worse than its study's best by at most this share of it."""


MOST_MARKS = 120
"""Marks of one small figure; of more trials, so many are drawn, evenly from the best to the worst."""


@dataclass(frozen=True)
class Tuned:
    """The value of an optimizer's default, and of what its search found; None if a run diverged."""

    label: str
    default: float | None
    tuned: float | None


@dataclass(frozen=True)
class Rate:
    """A trial by its learning rate."""

    lr: float
    value: float | None
    """None if it was pruned or has diverged."""

    excess: float | None
    """How much worse than its study's best, as a share of it; None if that cannot be said."""


def default_against_tuned(
    rows: Sequence[Tuned],
    metric: Metric,
    tones: Mapping[str, int],
    *,
    worst: float | None = None,
    width: int | None = None,
) -> Figure | None:
    """Draw a line from each optimizer's default (hollow) to what its search found; None if there is nothing.

    Args:
        rows: one for each optimizer.
        metric: of the values.
        tones: of each label.
        worst: what a constant predictor scores, if it is known.
        width: in pixels; None if the page says it.
    """
    known = [(row.label, row.default, row.tuned) for row in rows]
    full = [(o, d, t) for o, d, t in known if d is not None and t is not None]
    if not full:
        return None
    full.sort(key=lambda row: metric.direction.sign * row[2])
    labels = [label for label, *_ in full]
    shown = fit([v for _, *both in full for v in both], metric, worst=worst, always=[t for *_, t in full])
    left = left_of(labels)
    x = shown.scale(reverse=metric.is_lower_better)
    ticks = axis(metric.across, shown.ticks(ticks_for(width, left, 12)), grid=True)
    y, tone, sign = rows_axis(labels), color(labels, tones), shape(labels, tones)
    data = values([{"o": label, "d": default, "t": tuned} for label, default, tuned in full])
    hollow = {
        "tooltip": tip("$o", ", its default: ", "$d"),
        "type": "point",
        "size": 70,
        "fill": "var(--card)",
        "strokeWidth": 1.8,
        "opacity": 1,
    }
    filled = {
        "tooltip": tip("$o", ", tuned: ", "$t"),
        "type": "point",
        "filled": True,
        "size": 90,
        "opacity": 1,
    }
    default, tuned = number("d", x, ticks), number("t", x, ticks)
    layers: list[Spec] = [
        {
            "data": data,
            "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.5},
            "encoding": {"x": default, "x2": {"field": "t"}, "y": y, "color": tone},
        },
        {"data": data, "mark": hollow, "encoding": {"x": default, "y": y, "stroke": tone, "shape": sign}},
        {"data": data, "mark": filled, "encoding": {"x": tuned, "y": y, "color": tone, "shape": sign}},
    ]
    out = [row.label for row in rows if row.label not in labels]
    said = "; ".join(f"{label} from {before:.4g} to {after:.4g}" for label, before, after in full)
    return Figure(
        name="default-and-tuned",
        title="Default against tuned",
        caption="Hollow: the default setting. Filled: the mean of the configs that the studies chose. Both "
        f"on the fresh seeds, {metric.split} split."
        + shown.said(metric, "left")
        + (f" Not shown, as runs diverged: {listed(out)}." if out else ""),
        alt=f"{metric.words.capitalize()} of default and tuned: {said}.",
        spec=spec(layers, width=width, height=rows_height(len(full)), left=left, above=6, right=16),
    )


def lr_ranges(
    tiles: Mapping[str, Sequence[Rate]], metric: Metric, *, worst: float | None = None
) -> tuple[Range, Range] | None:
    """Return the ranges of learning rates and of values that all tiles share; None if there is nothing."""
    rates = [point.lr for points in tiles.values() for point in points if point.lr > 0]
    found = [p.value for points in tiles.values() for p in points if p.value is not None]
    if not rates or not found:
        return None
    low, high = min(rates) / 1.6, max(rates) * 1.6
    return Range(low, high, log=True), fit(found, metric, worst=worst)


def lr_tile(
    label: str,
    points: Sequence[Rate],
    metric: Metric,
    tones: Mapping[str, int],
    ranges: tuple[Range, Range],
    *,
    near: float = NEAR,
    width: int | None = None,
    height: int = 168,
) -> Figure:
    """Draw the trials of one optimizer by their learning rate, a small figure of a row of them.

    Args:
        label: the optimizer.
        points: its search trials.
        metric: of the values.
        tones: of each label.
        ranges: what `lr_ranges` says, so that all tiles have the same axes.
        near: shaded is from the least to the greatest lr of configs that are within this share of the best.
        width: in pixels; None if the page says it.
        height: in pixels.
    """
    rates, shown = ranges
    close = [p.lr for p in points if p.excess is not None and p.excess <= near and p.value is not None]
    band = (min(close), max(close)) if close else None
    left, right, above, below = 38.0, 10.0, 8.0, float(BELOW)
    ticks = axis("lr", rates.ticks(4), labelFontSize=11)
    x = number("x", rates.scale(), ticks)
    y = number("v", shown.scale(), axis(None, shown.ticks(4), labelFontSize=11))
    tone, mark = color([label], tones), shape([label], tones)
    layers: list[Spec] = []
    if band is not None:
        # A single config has a width too.
        low, high = (band[0] / 1.08, band[1] * 1.08)
        layers.append(
            {
                "data": values([{"o": label, "a": low, "b": high}]),
                "mark": {"type": "rect", "opacity": 0.15},
                "encoding": {"x": number("a", rates.scale(), ticks), "x2": {"field": "b"}, "color": tone},
            }
        )
    sign = metric.direction.sign
    complete = sorted(((p.lr, p.value) for p in points if p.value is not None), key=lambda row: sign * row[1])
    marks = thinned(complete, MOST_MARKS)
    layers.append(
        {
            "data": values([{"o": label, "x": rate, "v": value} for rate, value in marks]),
            "mark": {
                "type": "point",
                "filled": True,
                "size": 34,
                "opacity": 0.75,
                "tooltip": tip("lr ", "$x", ": ", "$v"),
            },
            "encoding": {"x": x, "y": y, "color": tone, "shape": mark},
        }
    )
    without = [{"x": p.lr} for p in points if p.value is None]
    missing = thinned(without, MOST_MARKS // 4)
    if missing:
        cross = {"type": "point", "shape": "M-.5-.5L.5.5M.5-.5L-.5.5", "size": 30, "stroke": "var(--quiet)"}
        edge = {"value": 3 if metric.is_lower_better else height - above - below - 3}
        layers.append({"data": values(missing), "mark": cross, "encoding": {"x": x, "y": edge}})
    said = f"{len(close)} of {len(complete)} complete trials are within {near:.0%} of their study's best"
    if band is not None:
        said += f", with lr from {plain(band[0], 2)} to {plain(band[1], 2)}"
    crosses = f" Crosses: {len(without)} without a value." if without else ""
    if len(marks) < len(complete) or len(missing) < len(without):
        crosses += " Not all are drawn, but evenly from the best to the worst."
    return Figure(
        name=f"lr-{tones[label]}",
        title=label,
        caption=f"{said}.{crosses}",
        alt=f"{label}: {metric.words} against lr; {said}.",
        spec=spec(layers, width=width, height=height, left=left, right=right, above=above, below=below),
    )

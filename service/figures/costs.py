"""Figures of what optimizers cost: seconds of training, and steps until a target was reached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from whichopt.service.figures.axes import Range, axis, whole_ticks
from whichopt.service.figures.figure import Figure, Metric, Spec
from whichopt.service.figures.style import (
    color,
    left_of,
    number,
    rows_axis,
    rows_height,
    shape,
    spec,
    ticks_for,
    values,
)

ABOVE, RIGHT = 6.0, 18.0


@dataclass(frozen=True)
class Used:
    """The seconds of training of an optimizer, by phase."""

    label: str
    search: float
    confirm: float


@dataclass(frozen=True)
class Reached:
    """The steps at which each run first had the target; None if it never did."""

    label: str
    steps: tuple[int | None, ...]
    median: int | None


def seconds_used(
    rows: Sequence[Used], tones: Mapping[str, int], *, unit: str = "examples", width: int | None = None
) -> Figure:
    """Draw what each optimizer took in all, search and confirm one after the other.

    Args:
        rows: one for each optimizer.
        tones: of each label.
        unit: what budgets are counted in besides trials, as it is the same for all.
        width: in pixels; None if the page says it.
    """
    labels = [row.label for row in rows]
    left = left_of(labels)
    most = max(row.search + row.confirm for row in rows) or 1.0
    shown = Range(0.0, 1.03 * most)
    ticks = axis("seconds (strong: search, light: confirm)", shown.ticks(_count(width, left)))
    ticks["grid"] = True
    data = [
        part
        for row in rows
        for part in (
            {"o": row.label, "a": 0.0, "b": row.search, "k": 0.9},
            {"o": row.label, "a": row.search, "b": row.search + row.confirm, "k": 0.4},
        )
    ]
    layer: Spec = {
        "data": values(data),
        "mark": {"type": "bar", "height": 14},
        "encoding": {
            "x": number("a", shown.scale(), ticks),
            "x2": {"field": "b"},
            "y": rows_axis(labels),
            "color": color(labels, tones),
            "opacity": {"field": "k", "type": "quantitative", "scale": None, "legend": None},
        },
    }
    said = "; ".join(f"{row.label} {row.search + row.confirm:.1f} s" for row in rows)
    return Figure(
        name="seconds-used",
        title="Seconds of training",
        caption=f"What each optimizer used in all. Trials, {unit} and rungs are the same for all by design; "
        "seconds are what came of it.",
        alt=f"Seconds of training by optimizer: {said}.",
        spec=spec([layer], width=width, height=rows_height(len(rows)), left=left, right=RIGHT, above=ABOVE),
    )


def steps_to_target(
    rows: Sequence[Reached],
    metric: Metric,
    target: float,
    tones: Mapping[str, int],
    *,
    width: int | None = None,
) -> Figure | None:
    """Draw when each run first had the target, sooner to the right; None if none ever had it.

    Args:
        rows: one for each optimizer.
        metric: of the target.
        target: the value that was to be reached.
        tones: of each label.
        width: in pixels; None if the page says it.
    """
    reached = [step for row in rows for step in row.steps if step is not None]
    if not reached:
        return None
    labels = [row.label for row in rows]
    longest = max(reached)
    never = any(step is None for row in rows for step in row.steps)
    shown = Range(0.0, 1.18 * longest if never else 1.04 * longest)
    left = left_of(labels)
    ticks = axis("steps to the target, sooner to the right", whole_ticks(0, longest, _count(width, left)))
    x = number(
        "x", shown.scale(reverse=True), ticks | {"grid": True, "labelExpr": "format(datum.value, ',')"}
    )
    y, tone = rows_axis(labels), color(labels, tones)
    found, lost, medians = [], [], []
    for row in rows:
        counts = Counter(row.steps)
        found += [
            {"o": row.label, "x": step, "n": 30 + 26 * count}
            for step, count in counts.items()
            if step is not None
        ]
        if counts[None]:
            lost.append({"o": row.label, "x": 1.11 * longest, "s": f"{counts[None]} ×"})
        if row.median is not None:
            medians.append({"o": row.label, "x": row.median})
    size = {"field": "n", "type": "quantitative", "scale": None, "legend": None}
    tick = {"type": "tick", "stroke": "var(--ink)", "thickness": 2, "size": 18}
    layers: list[Spec] = [
        {
            "data": values(found),
            "mark": {"type": "point", "filled": True, "opacity": 0.75},
            "encoding": {"x": x, "y": y, "color": tone, "shape": shape(labels, tones), "size": size},
        },
        {"data": values(medians), "mark": tick, "encoding": {"x": x, "y": y}},
    ]
    if lost:
        layers.append(
            {
                "data": values(lost),
                "mark": {"type": "text", "baseline": "middle", "fill": "var(--quiet)"},
                "encoding": {"x": x, "y": y, "text": {"field": "s"}},
            }
        )
    said = "; ".join(
        f"{row.label} {sum(step is not None for step in row.steps)} of {len(row.steps)} runs" for row in rows
    )
    return Figure(
        name="steps-to-target",
        title="Steps to the target",
        caption=f"When each run first had a {metric.words} of {target:.4g}; larger marks are several runs, "
        "the tick is the median."
        + (" ×: runs that never had it within the budget." if never else "")
        + " Runs are looked at once an epoch.",
        alt=f"Runs that had the target: {said}.",
        spec=spec(layers, width=width, height=rows_height(len(rows)), left=left, right=RIGHT, above=ABOVE),
    )


def _count(width: int | None, left: float) -> int:
    return ticks_for(width, left, RIGHT)

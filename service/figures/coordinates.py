"""The figure of a search's configs: each trial a line over its hyperparameters, with its value at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from whichopt.service.figures.axes import fit
from whichopt.service.figures.figure import Figure, Metric, Spec, plain, short
from whichopt.service.figures.style import spec, values
from whichopt.service.figures.tones import color
from whichopt.service.space import Categorical, Dimension, Value

BEST_SHARE = 0.2
"""Share of the trials that stand out in color."""

FEW, MANY = 4, 7
"""Axes whose names fit in one line, and in two."""

MOST_BEST, MOST_LINES = 30, 120
"""Lines in color, and behind these; of more, the worst are left out, and that is said."""


@dataclass(frozen=True)
class Tried:
    """A complete search trial."""

    config: Mapping[str, Value]
    value: float


def parallel_coordinates(
    label: str,
    trials: Sequence[Tried],
    space: Mapping[str, Dimension],
    metric: Metric,
    tones: Mapping[str, int],
    *,
    worst: float | None = None,
    width: int | None = None,
    height: int = 250,
) -> Figure | None:
    """Draw one optimizer's search; None if it has too few trials or nothing that was searched.

    Args:
        label: the optimizer.
        trials: those that are complete.
        space: what was searched.
        metric: of the values.
        tones: of each label.
        worst: what a constant predictor scores, if it is known.
        width: in pixels; None if the page says it.
        height: in pixels.
    """
    if len(trials) < 2 or not space:
        return None
    ordered = sorted(trials, key=lambda trial: metric.direction.sign * trial.value)
    few = max(1, min(MOST_BEST, round(BEST_SHARE * len(ordered))))
    behind = ordered[few : few + MOST_LINES]
    left_out = len(ordered) - few - len(behind)
    shown = fit([trial.value for trial in [*ordered[:few], *behind]], metric, worst=worst, room=0)
    names = [*space, metric.name if metric.name not in space else metric.words]
    slots = len(names)
    rows: list[dict[str, Any]] = []
    for place, trial in reversed([*enumerate([*ordered[:few], *behind])]):
        heights = [_height(space[name], trial.config[name]) for name in space]
        value = shown.share(trial.value)
        heights.append(1 - value if metric.is_lower_better else value)
        rows += [{"t": place, "best": place < few, "n": at, "h": height} for at, height in enumerate(heights)]
    ends = [_ends(allowed) for allowed in space.values()]
    edges = (shown.high, shown.low) if metric.is_lower_better else (shown.low, shown.high)
    ends.append((plain(edges[0]), plain(edges[1])))
    x: Spec = {
        "field": "n",
        "type": "quantitative",
        "axis": None,
        "scale": {"domain": [-0.5, slots - 0.5], "nice": False, "zero": False},
    }
    y: Spec = {"field": "h", "type": "quantitative", "axis": None, "scale": {"domain": [0, 1], "nice": False}}
    best, others = [r for r in rows if r["best"]], [r for r in rows if not r["best"]]
    layers: list[Spec] = [
        {
            "data": values([{"n": at, "h": 0, "b": 1} for at in range(slots)]),
            "mark": {"type": "rule", "stroke": "var(--line)", "strokeWidth": 1.4},
            "encoding": {"x": x, "y": y, "y2": {"field": "b"}},
        }
    ]
    for own, mark in (
        (others, {"strokeWidth": 0.9, "opacity": 0.35, "stroke": "var(--quiet)"}),
        (best, {"strokeWidth": 2, "opacity": 0.9, "stroke": color(tones[label])}),
    ):
        if own:
            layers.append(
                {
                    "data": values(own),
                    "mark": {"type": "line", **mark},
                    "encoding": {"x": x, "y": y, "detail": {"field": "t"}, "order": {"field": "n"}},
                }
            )
    layers += _texts(names, ends, x, y)
    chosen = ordered[0].config
    said = ", ".join(f"{name} {_text(chosen[name])}" for name in space)
    return Figure(
        name=f"space-{tones[label]}",
        title=label,
        caption=f"One line a trial, the best {few} of {len(ordered)} in color; {metric.words} is the last "
        "axis, and up is better on it. Where colored lines meet on an axis, that hyperparameter matters."
        + (f" The {left_out:,} worst are left out." if left_out else "")
        + shown.said(metric, "lower"),
        alt=f"{label}: parallel coordinates of {len(ordered)} configs; the best searched one has {said}.",
        spec=spec(
            layers,
            width=width,
            height=height,
            left=4,
            right=4,
            above=18,
            below=24 + 14 * max(2, _lines(names)),
        ),
    )


def _texts(names: Sequence[str], ends: Sequence[tuple[str, str]], x: Spec, y: Spec) -> list[Spec]:
    """Return the ends of each axis above and below it, and its name below, in lines if there are many."""
    small: Spec = {"type": "text", "fontSize": 10.5, "fontWeight": 400, "fill": "var(--quiet)"}
    rows = [
        {"n": at, "h": height, "s": text} for at, pair in enumerate(ends) for height, text in enumerate(pair)
    ]
    layers: list[Spec] = [
        {
            "data": values([row for row in rows if row["h"] == height]),
            "mark": {**small, "dy": dy, "baseline": "middle"},
            "encoding": {"x": x, "y": y, "text": {"field": "s"}},
        }
        for height, dy in ((0, 11), (1, -9))
    ]
    for line in range(_lines(names)):
        own = [
            {"n": at, "h": 0, "s": short(name)} for at, name in enumerate(names) if at % _lines(names) == line
        ]
        if own:
            layers.append(
                {
                    "data": values(own),
                    "mark": {
                        "type": "text",
                        "fontWeight": 600,
                        "dy": 26 + 14 * line,
                        "baseline": "middle",
                    },
                    "encoding": {"x": x, "y": y, "text": {"field": "s"}},
                }
            )
    return layers


def _lines(names: Sequence[str]) -> int:
    """Return in how many lines the names stand, so that none covers another on a phone."""
    return 1 if len(names) <= FEW else 2 if len(names) <= MANY else 3


def _height(allowed: Dimension, value: Value) -> float:
    """Return the position of a value on its axis, from 0 to 1; values beyond the range lie at its end."""
    if isinstance(allowed, Categorical):
        places = [i for i, choice in enumerate(allowed.choices) if choice == value]
        return places[0] / (len(allowed.choices) - 1) if places else 0.0
    return allowed.position(float(allowed.nearest(value)))


def _ends(allowed: Dimension) -> tuple[str, str]:
    if isinstance(allowed, Categorical):
        return _text(allowed.choices[0]), _text(allowed.choices[-1])
    return _text(allowed.low), _text(allowed.high)


def _text(value: Value) -> str:
    return plain(value) if isinstance(value, float) else str(value)

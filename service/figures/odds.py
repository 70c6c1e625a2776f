"""Figures of probabilities: who is the best by look and by budget, and whether a verdict will name it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from whichopt.service.figures.axes import Range, axis, even_ticks, whole_ticks
from whichopt.service.figures.figure import Figure, Metric, Spec
from whichopt.service.figures.labels import end_labels, room_right
from whichopt.service.figures.style import (
    ABOVE,
    BELOW,
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

HEIGHT = 230
LEFT = 44.0
MOST_NAMED = 9
"""Names at the right of a figure of that height; those of the least likely are left out."""

SHARE = Range(0.0, 1.0)
PERCENT: Spec = {"labelExpr": "format(datum.value, '.0%')"}


@dataclass(frozen=True)
class Odds:
    """The probability of being the best, by label, after so many fresh seeds (or trials)."""

    at: int
    probability: Mapping[str, float]


@dataclass(frozen=True)
class Chances:
    """The chance that a verdict names the leader, by its true lead in standard deviations over seeds."""

    name: str
    """As the figure says it: 10 seeds."""

    points: tuple[tuple[float, float], ...]
    """(lead, chance), by lead."""

    is_own: bool = False
    """True for the job that is asked about."""


def odds_by_look(
    looks: Sequence[Odds],
    tones: Mapping[str, int],
    *,
    expected: Odds | None = None,
    most: int | None = None,
    width: int | None = None,
    height: int = HEIGHT,
) -> Figure:
    """Draw who is the best with which probability, look by look.

    Args:
        looks: those that were, at least one.
        tones: of each label.
        expected: what the next look is expected to say, of all labels or of some; drawn dotted.
        most: fresh seeds of the last look that is planned.
        width: in pixels; None if the page says it.
        height: in pixels.
    """
    last = looks[-1]
    end = max(most or 0, last.at, 0 if expected is None else expected.at)
    said = ", ".join(f"{label} {p:.2f}" for label, p in _by_chance(last.probability) if p >= 0.005)
    dotted = (
        ""
        if expected is None
        else f" Dotted: what the look after {expected.at} seeds is expected to say of its pick."
    )
    return Figure(
        name="odds",
        title="Probability of being the best, look by look",
        caption=f"What the results so far make likely, each time they were looked at.{dotted}",
        alt=f"Probability of being the best after {last.at} fresh seeds: {said}.",
        spec=_odds(looks, tones, expected, end, "fresh seeds", width=width, height=height),
    )


def odds_by_trials(
    steps: Sequence[Odds], tones: Mapping[str, int], *, width: int | None = None, height: int = HEIGHT
) -> Figure:
    """Draw who is the best with which probability after so many trials of a study."""
    last = steps[-1]
    said = ", ".join(f"{label} {p:.2f}" for label, p in _by_chance(last.probability))
    return Figure(
        name="advice",
        title="Best optimizer by budget",
        caption="How probable it is that a search of so many trials with this optimizer ends better than one "
        "with any other; with few studies this stays vague. Nothing is said beyond the trials that were run.",
        alt=f"Probability of being the best by trials; after {last.at}: {said}.",
        spec=_odds(steps, tones, None, last.at, "trials of a study", width=width, height=height),
    )


def odds_now(
    probability: Mapping[str, float], tones: Mapping[str, int], *, width: int | None = None
) -> Figure:
    """Draw who is the best with which probability, the likeliest first."""
    ranked = _by_chance(probability)
    labels = [label for label, _ in ranked]
    left = left_of(labels)
    ticks = axis("probability of being the best", [0, 0.5, 1], **PERCENT, grid=True)
    bar: Spec = {
        "data": values([{"o": label, "p": chance, "z": 0} for label, chance in ranked]),
        "mark": {"type": "bar", "height": 14},
        "encoding": {
            "x": number("z", SHARE.scale(), ticks),
            "x2": {"field": "p"},
            "y": rows_axis(labels),
            "color": color(labels, tones),
        },
    }
    said = ", ".join(f"{label} {chance:.2f}" for label, chance in ranked)
    return Figure(
        name="odds-now",
        title="Probability of being the best",
        caption="What the results so far make likely.",
        alt=f"Probability of being the best: {said}.",
        spec=spec([bar], width=width, height=rows_height(len(ranked)), left=left, above=6, right=18),
    )


def chance_by_lead(
    curves: Sequence[Chances],
    *,
    lead: float | None = None,
    metric: Metric | None = None,
    width: int | None = None,
    height: int = 190,
) -> Figure:
    """Draw the chance that a winner is named, by its true lead: what a job can tell before it is paid for.

    Args:
        curves: of this job, and of others to compare it with.
        lead: what one standard deviation is in the metric's units, if a past job tells.
        metric: of that lead.
        width: in pixels; None if the page says it.
        height: in pixels.
    """
    ends = max(at for curve in curves for at, _ in curve.points)
    ticks = even_ticks(0, ends, ticks_for(width, LEFT, 12))
    unit = "" if lead is None or metric is None else f" A lead of 1 is {lead:.3g} {metric.name} here."
    x = number(
        "x", {"domain": [0, ends], "nice": False}, axis("true lead, in standard deviations over seeds", ticks)
    )
    y = number("p", SHARE.scale(), axis("chance that a winner is named", [0, 0.5, 1], **PERCENT))
    layers: list[Spec] = []
    for curve in sorted(curves, key=lambda curve: curve.is_own):
        rows = [{"x": at, "p": chance} for at, chance in curve.points]
        mark = (
            {"strokeWidth": 2.4, "stroke": "var(--ink)"}
            if curve.is_own
            else {"strokeWidth": 1.4, "stroke": "var(--quiet)", "strokeDash": [4, 3]}
        )
        layers.append(
            {
                "data": values(rows),
                "mark": {"type": "line", "interpolate": "monotone", **mark},
                "encoding": {"x": x, "y": y},
            }
        )
    layers += _names(curves, x, y)
    own = next((curve for curve in curves if curve.is_own), curves[0])
    said = ", ".join(f"{_at(own, at):.0%} for a lead of {at:g}" for at in (0.5, 1, 2) if at <= ends)
    return Figure(
        name="chance",
        title="The chance that a winner is named",
        caption="If one optimizer is truly ahead of all others by that much, so many of a hundred such jobs "
        "name it. Bold: this job. If none is ahead, at most 5 in a hundred name one." + unit,
        alt=f"Chance that a winner is named, in standard deviations over seeds: {said}.",
        spec=spec(layers, width=width, height=height, left=LEFT),
    )


def _by_chance(probability: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(probability.items(), key=lambda item: -item[1])


def _odds(
    looks: Sequence[Odds],
    tones: Mapping[str, int],
    expected: Odds | None,
    end: int,
    x_title: str,
    *,
    width: int | None,
    height: int,
) -> Spec:
    # What is expected may be known of some alone.
    last = {**looks[-1].probability, **({} if expected is None else expected.probability)}
    labels = [label for label, _ in _by_chance(last)]
    named = labels[:MOST_NAMED]
    right = room_right(named)
    count = ticks_for(width, LEFT, right)
    seeds = sorted({look.at for look in looks} | ({expected.at} if expected else set()) | {end})
    first = seeds[0] if len(looks) > 1 else 0
    ticks = seeds if len(seeds) <= count else whole_ticks(first, end, count)
    x = number(
        "x",
        {"domain": [first - 0.02 * (end - first), end], "nice": False, "zero": False},
        axis(x_title, ticks, whole=True),
    )
    y = number("p", SHARE.scale(), axis("probability of being the best", [0, 0.25, 0.5, 0.75, 1], **PERCENT))
    tone = color(labels, tones)
    rows = [{"o": o, "x": look.at, "p": p} for look in looks for o, p in look.probability.items()]
    line: Spec = {"type": "line", "strokeWidth": 2}
    layers: list[Spec] = [{"data": values(rows), "mark": line, "encoding": {"x": x, "y": y, "color": tone}}]
    if expected is not None:
        later = [
            {"o": o, "x": look.at, "p": p}
            for look in (looks[-1], expected)
            for o, p in look.probability.items()
            if o in expected.probability
        ]
        dotted = {"type": "line", "strokeWidth": 1.6, "strokeDash": [2, 4], "opacity": 0.85}
        layers.append({"data": values(later), "mark": dotted, "encoding": {"x": x, "y": y, "color": tone}})
    if len(looks) <= 16:
        point = {"type": "point", "filled": True, "size": 60, "opacity": 1}
        layers.append(
            {
                "data": values(rows),
                "mark": point,
                "encoding": {"x": x, "y": y, "color": tone, "shape": shape(labels, tones)},
            }
        )
    ends = {label: last[label] for label in named}
    layers += end_labels(ends, labels, tones, SHARE, height - ABOVE - BELOW)
    return spec(layers, width=width, height=height, left=LEFT, right=right)


def _names(curves: Sequence[Chances], x: Spec, y: Spec) -> list[Spec]:
    """Name each curve beside it: the steepest at its left, the flattest at its right, others in between."""
    by_reach = sorted(curves, key=lambda curve: _reaches(curve, 0.5))
    layers: list[Spec] = []
    for place, curve in enumerate(by_reach):
        first, final = place == 0 and len(curves) > 1, place == len(curves) - 1
        height = 0.72 if first else 0.3 if final else 0.5
        name = f"{curve.name}, this job" if curve.is_own else curve.name
        rows = [{"x": _reaches(curve, height), "p": height, "s": name}]
        where = {"align": "right", "dx": -7} if first else {"align": "left", "dx": 7}
        text = {"type": "text", "baseline": "middle", "fontSize": 11, **where}
        ink = "var(--ink)" if curve.is_own else "var(--quiet)"
        encoding = {"x": x, "y": y, "text": {"field": "s"}}
        layers += [
            {"data": values(rows), "mark": {**text, **mark}, "encoding": encoding}
            for mark in ({"stroke": "var(--card)", "strokeWidth": 4, "fill": "var(--card)"}, {"fill": ink})
        ]
    return layers


def _reaches(curve: Chances, chance: float) -> float:
    """Return the lead at which the curve has that chance; the last one if it never has."""
    return _between([(height, lead) for lead, height in curve.points], chance)


def _at(curve: Chances, lead: float) -> float:
    """Return the chance at that lead."""
    return _between(curve.points, lead)


def _between(points: Sequence[tuple[float, float]], x: float) -> float:
    """Return y on the line through the points where it first comes to `x`; the last y if it never does."""
    before = points[0]
    for point in points:
        if point[0] >= x:
            run = point[0] - before[0]
            part = (x - before[0]) / run if run > 0 else 0.0
            return before[1] + part * (point[1] - before[1])
        before = point
    return before[1]

"""Ranges and ticks: what lies far out is drawn at the edge, ticks are few and round, and none collide."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from whichopt.service.figures.figure import Metric, Spec

DECADE = 10.0
"""Values that span more than this factor are shown on a log scale."""

ENDLESS = 1e15
"""Beyond this factor one of the values is next to zero, and a log scale would show nothing else."""

FAR = 1.6
"""A worst value is far out if it is this many times as far from the best as the worst one shown would be."""

HUGE, TINY = 1e100, 1e-100
"""Values beyond stand at these in an axis: a function of a person's own may report what no room and no tick
can be computed with."""

NUMBER = (
    "datum.value === 0 ? '0' : abs(datum.value) < 0.001 || abs(datum.value) >= 1e6"
    " ? format(datum.value, '~e') : format(datum.value, '~g')"
)
"""Shows a tick's number as short as it is clear: 0.01, but 5e-5."""

WHOLE = "format(datum.value, ',')"


@dataclass(frozen=True)
class Range:
    """What an axis shows, from low to high."""

    low: float
    high: float
    log: bool = False
    beyond: int = 0
    """Number of values that lie outside and are drawn at the edge."""

    worst: float | None = None
    """The value at that edge."""

    def share(self, value: float) -> float:
        """Return where the value lies from low (0) to high (1), at an end if it lies outside."""
        low, at, high = map(self._scaled, (self.low, min(max(value, self.low), self.high), self.high))
        return (at - low) / (high - low)

    def value(self, share: float) -> float:
        """Return the value that lies there; the reverse of `share`."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        at = low + share * (high - low)
        return math.exp(at) if self.log else at

    def scale(self, *, reverse: bool = False) -> Spec:
        """Return the scale of a Vega-Lite encoding; with `reverse` the low end is on the right."""
        kind = {"type": "log"} if self.log else {"type": "linear", "zero": False}
        return {**kind, "domain": [self.low, self.high], "nice": False, "clamp": True, "reverse": reverse}

    def ticks(self, most: int = 5) -> list[float]:
        """Return at most that many round values, far enough from each other to be read."""
        return log_ticks(self.low, self.high, most) if self.log else even_ticks(self.low, self.high, most)

    def said(self, metric: Metric, edge: str) -> str:
        """Say how many values are drawn at the edge, with a space before; empty if there is none."""
        if not self.beyond or self.worst is None:
            return ""
        which = "1 value" if self.beyond == 1 else f"{self.beyond:,} values"
        verb = "is" if self.beyond == 1 else "are"
        than = "above" if metric.is_lower_better else "below"
        return f" {which} {than} {self.worst:.3g} {verb} drawn at the {edge} edge."

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.log else value


def computable(value: float) -> float:
    """Return the value if an axis can be computed with it, else the nearest one with which one can."""
    return 0.0 if abs(value) < TINY else max(-HUGE, min(value, HUGE))


def fit(
    values: Iterable[float],
    metric: Metric,
    *,
    worst: float | None = None,
    always: Iterable[float] = (),
    room: float = 0.05,
) -> Range:
    """Return the range that shows the values, but for those that are so bad that the others would vanish.

    Args:
        values: at least one, all finite.
        metric: says which ones are bad.
        worst: what a constant predictor scores: nothing worse is worth the room.
        always: values that must be inside.
        room: what is left free at each end, as a share of the range.
    """
    ordered = metric.sorted([computable(value) for value in values])
    always = [computable(value) for value in always]
    best, last = ordered[0], ordered[-1]
    log = _is_log(ordered)
    limit = ordered[round(0.9 * (len(ordered) - 1))]
    if _distance(best, last, log=log) <= FAR * _distance(best, limit, log=log):
        limit = last
    if worst is not None and _worse(worst, best, metric) and _worse(limit, worst, metric):
        limit = worst
    for value in always:
        limit = value if _worse(value, limit, metric) else limit
    beyond = sum(_worse(value, limit, metric) for value in ordered)
    shown = [best, limit, *always]
    low, high = min(shown), max(shown)
    log = _is_log([low, high])
    if log:
        factor = (high / low) ** room
        ends = low / factor, high * factor
    else:
        free = room * (high - low) if high > low else 0.05 * abs(high) or 0.5
        ends = low - free, high + free
    return Range(*ends, log=log, beyond=beyond, worst=limit if beyond else None)


def _is_log(values: Sequence[float]) -> bool:
    return min(values) > 0 and DECADE < max(values) / min(values) < ENDLESS


def _distance(a: float, b: float, *, log: bool) -> float:
    return abs(math.log(a / b)) if log else abs(a - b)


def _worse(value: float, than: float, metric: Metric) -> bool:
    return value > than if metric.is_lower_better else value < than


def even_ticks(low: float, high: float, most: int) -> list[float]:
    """Return the multiples of 1, 2 or 5 times a power of ten, at most that many.

    One tick alone tells no scale: rather than that, there may be one more than wished.
    """
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    finer: list[float] = []
    for factor in (1, 2, 5, 10, 20, 50, 100):
        first, last = math.ceil(low / (factor * step) - 1e-9), math.floor(high / (factor * step) + 1e-9)
        found = [float(f"{k * factor * step:.12g}") for k in range(first, last + 1)]
        if len(found) <= most:
            return finer if len(found) < 2 <= len(finer) <= most + 1 else found
        finer = found
    return []


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Return round values of a log scale; even ones if it spans too little to have any."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for parts, every in (((1, 2, 5), 1), ((1, 3), 1), ((1,), 1), ((1,), 2), ((1,), 3), ((1,), 5)):
        found = [
            float(f"{part}e{power}")
            for power in decades
            if power % every == 0
            for part in parts
            if low <= float(f"{part}e{power}") <= high
        ]
        if len(found) <= most:
            return found if len(found) >= 2 else even_ticks(low, high, most)
    return []


def whole_ticks(low: float, high: float, most: int = 5) -> list[int]:
    """Return whole numbers, at most that many."""
    return sorted({int(tick) for tick in even_ticks(low, high, most) if tick == int(tick)} or {int(high)})


def axis(title: str | None, values: Sequence[float], *, whole: bool = False, **more: Any) -> Spec:
    """Return a Vega-Lite axis with just these ticks, none of which is dropped."""
    return {
        "title": title,
        "values": list(values),
        "labelExpr": WHOLE if whole else NUMBER,
        "labelOverlap": False,
        **more,
    }

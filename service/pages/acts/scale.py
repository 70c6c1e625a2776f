"""The scale of lanes with intervals: the better end is on the right, whichever way the metric goes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

FAR = 4.0
"""An interval that reaches this many times as far from the best as the one before it is cut off."""

DECADE = 10.0
"""Values that span more than this factor are shown on a log scale."""

ROOM = 0.04
"""What is left free at each end, as a share of what is shown."""


@dataclass(frozen=True)
class Tick:
    """A round value on the axis, and where it lies in percent; a `minor` one is left out on phones."""

    x: float
    text: str
    minor: bool


@dataclass(frozen=True)
class Scale:
    """From the worst value that is shown, at 0 percent, to the best one, at 100."""

    worst: float
    best: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return where the value lies, in percent of a lane; at an end if it lies beyond it."""
        return 100 * min(max(self._share(value), 0.0), 1.0)

    def is_beyond(self, value: float) -> bool:
        """Tell if the value is worse than what is shown, so that it is drawn at the left end."""
        return self._share(value) < -1e-9

    def ticks(self, most: int = 7) -> list[Tick]:
        """Return at most so many round values, the worst first; every second one is minor."""
        low, high = sorted((self.worst, self.best))
        values = _log_values(low, high, most) if self.log else _even_values(low, high, most)
        if len(values) < 2:
            values = _even_values(low, high, most)
        places = sorted((self.at(value), value) for value in values)
        return [
            Tick(x=x, text=f"{value:.6g}", minor=bool(place % 2))
            for place, (x, value) in enumerate(places)
            if 1.5 <= x <= 98.5
        ]

    def _share(self, value: float) -> float:
        if self.log and value <= 0:
            return 0.0 if self.worst < self.best else 1.0
        worst, at, best = (
            map(math.log, (self.worst, value, self.best)) if self.log else (self.worst, value, self.best)
        )
        return (at - worst) / (best - worst)


def scale_of(spans: Iterable[tuple[float, float]], *, lower_is_better: bool) -> Scale:
    """Return the scale that shows the spans, but for those that are so bad that the others would vanish.

    Args:
        spans: the ends of what is to be shown, one or more; all finite.
        lower_is_better: the metric's direction.
    """
    sign = 1.0 if lower_is_better else -1.0
    losses = sorted(tuple(sorted((sign * a, sign * b))) for a, b in spans)
    best = min(low for low, _ in losses)
    limit, reach = losses[0][1], losses[0][1] - best
    for high in sorted(high for _, high in losses):
        if reach > 0 and high - best > FAR * reach:
            break
        limit, reach = max(limit, high), max(reach, high - best)
    ends = sign * limit, sign * best
    low, high = min(ends), max(ends)
    log = low > 0 and high / low > DECADE
    if log:
        factor = (high / low) ** ROOM
        low, high = low / factor, high * factor
    else:
        free = ROOM * (high - low) or 0.05 * abs(high) or 0.5
        low, high = low - free, high + free
    return Scale(worst=high, best=low, log=log) if lower_is_better else Scale(worst=low, best=high, log=log)


def _even_values(low: float, high: float, most: int) -> list[float]:
    """The multiples of 1, 2 or 5 times a power of ten, at most that many."""
    unit = 10.0 ** math.floor(math.log10((high - low) / most))
    for factor in (1, 2, 5, 10, 20, 50, 100):
        step = factor * unit
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            return [float(f"{k * step:.12g}") for k in range(first, last + 1)]
    return []


def _log_values(low: float, high: float, most: int) -> Sequence[float]:
    """Round values of a log scale, at most that many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for parts, every in (((1, 2, 5), 1), ((1, 3), 1), ((1,), 1), ((1,), 2), ((1,), 4)):
        found = [
            float(f"{part}e{power}")
            for power in powers
            if power % every == 0
            for part in parts
            if low <= float(f"{part}e{power}") <= high
        ]
        if len(found) <= most:
            return found
    return []

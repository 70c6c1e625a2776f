"""The scale that the lanes of a race share: values as places in percent of a lane, better to the right."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from whichopt.service.figures.axes import computable
from whichopt.service.states import Direction

LEFT, RIGHT = 3.0, 97.0
"""Places of the worst and of the best value that are not clamped, in percent of the lane."""

EDGE = 1.2
"""Place of what is worse than the worst value, and distance of the last place from the right end."""

NEAR = 8.5
"""Least distance of two ticks, in percent of the lane."""

APART = 20.0
"""Least distance of two ticks on a phone: those between are minor."""


class Tick(NamedTuple):
    """A tick of the axis at `at` percent; a minor one is left out on phones."""

    at: float
    text: str
    minor: bool


@dataclass(frozen=True)
class Scale:
    """A scale from a worst value at the left to a best one at the right, whatever the metric's direction.

    `clamped` tells that there are values worse than `worst`: they stand at the left end, and it is said.
    `empty` tells that there are no values, so that the ends mean nothing.
    """

    worst: float
    best: float
    log: bool
    clamped: bool = False
    empty: bool = False

    def at(self, value: float) -> float:
        """Return the place of a value in percent of the lane."""
        start, slope = self._line
        if not self.log:
            place = start + slope * value
        elif value > 0:
            place = start + slope * math.log(value)
        else:
            return 100 - EDGE  # nothing is better than a loss of 0
        return EDGE if place < EDGE else 100 - EDGE if place > 100 - EDGE else place

    def counts(self, values: Iterable[float], bins: int) -> dict[int, int]:
        """Return the number of values in each of so many equal stretches of the lane that has any."""
        start, slope = self._line
        last, each = 100 - EDGE, bins / 100
        units = [math.log(value) if value > 0 else -math.inf for value in values] if self.log else values
        places = (start + slope * unit for unit in units)
        return Counter(
            int(each * (EDGE if place < EDGE else last if place > last else place)) for place in places
        )

    def beyond(self, *values: float) -> int:
        """Return how many of the values are worse than what the lane shows."""
        worst = self.worst
        return sum(value > worst if worst > self.best else value < worst for value in values)

    @cached_property
    def ticks(self) -> list[Tick]:
        """Few round values with their places, from left to right."""
        if self.empty:
            return []
        low, high = min(self.worst, self.best), max(self.worst, self.best)
        chosen = self._apart(_decimal(low, high), NEAR) if self.log else []
        if len(chosen) < 3:
            chosen = self._even(low, high)
        major = set(self._apart(_by_roundness(chosen), APART))
        placed = sorted((self.at(value), value) for value in chosen)
        return [Tick(place, _text(value), value not in major) for place, value in placed]

    def _apart(self, values: Iterable[float], least: float) -> list[float]:
        """Return the values that stand so far from those before them."""
        chosen: list[float] = []
        for value in values:
            if all(abs(self.at(value) - self.at(other)) >= least for other in chosen):
                chosen.append(value)
        return chosen

    def _even(self, low: float, high: float) -> list[float]:
        """Return the round values at the smallest step at which they do not crowd."""
        step = 10.0 ** math.ceil(math.log10(high - low))
        steps = [step * share for share in (1, 0.5, 0.2, 0.1, 0.05, 0.02)]
        best: list[float] = []
        for each in steps:
            ticks = [at * each for at in range(math.ceil(low / each), math.floor(high / each) + 1)]
            if len(ticks) > 8 or len(self._apart(ticks, NEAR)) < len(ticks):
                break
            best = ticks
        return best

    @cached_property
    def _line(self) -> tuple[float, float]:
        """The place of 0 on the scale's own unit, and the percent that one unit takes."""
        worst, best = map(math.log if self.log else float, (self.worst, self.best))
        slope = (RIGHT - LEFT) / (best - worst)
        return LEFT - slope * worst, slope


def scale(values: Iterable[float], direction: Direction) -> Scale:
    """Return the scale of these values, from the best to the 90th percentile if few are far worse.

    Losses above 0 have a log scale. The ends are rounded away from the values, so that a somewhat better
    value moves nothing. Without values it is a scale on which nothing stands.
    """
    sign = direction.sign
    ordered = sorted(filter(math.isfinite, values), reverse=sign < 0)
    if not ordered:
        return Scale(worst=1.0 if sign > 0 else 0.0, best=0.0 if sign > 0 else 1.0, log=False, empty=True)
    places = (0, math.floor(0.9 * (len(ordered) - 1)), -1)
    first, ninetieth, last = (computable(ordered[place]) for place in places)
    log = direction is Direction.MINIMIZE and first > 0
    unit = math.log if log else float
    best, most, worst = unit(first), unit(ninetieth), unit(last)
    far = 1.6 if len(ordered) >= 10 else 4  # of few values the 90th percentile tells little
    clamped = abs(worst - best) > far * abs(most - best) > 0
    if clamped:
        worst = most
    best, worst = _with_room(best, worst, sign, log=log, few=len(ordered) < 10)
    # Of a power of two, which adds up exactly.
    grain = 2.0 ** math.ceil(math.log2(abs(worst - best) / 12))
    best = sign * math.floor(sign * best / grain) * grain
    worst = sign * math.ceil(sign * worst / grain) * grain
    back = math.exp if log else float
    return Scale(worst=back(worst), best=back(best), log=log, clamped=clamped)


def _with_room(best: float, worst: float, sign: float, *, log: bool, few: bool) -> tuple[float, float]:
    """Return the ends apart; of few values far apart, as small differences tell little yet."""
    least = (0.7 if log else 0.1 * abs(best)) if few else 0.0
    if worst == best:
        least = least or (0.1 if log else 0.1 * abs(best))
        least = least or 1.0
    room = max(0.0, least - abs(worst - best)) / 2
    return best - sign * room, worst + sign * room


def in_columns(values: Sequence[float]) -> Callable[[float | None], str]:
    """Return what writes values below each other: with as many decimals as give the smallest four digits."""
    sizes = [abs(value) for value in values if value and math.isfinite(value)]
    if not sizes or not 1e-3 <= min(sizes) <= max(sizes) < 1e6:
        return lambda value: "" if value is None else f"{value:.3g}"
    decimals = max(0, 3 - math.floor(math.log10(min(sizes))))
    return lambda value: "" if value is None else f"{value:.{decimals}f}"


def jitter(replicate: int | None, number: int) -> float:
    """Return the height of a trial's mark in percent: spread evenly, and always the same."""
    return 27 + 53 * ((1 + number + 101 * (replicate or 0)) * 0.6180339887 % 1)


def _decimal(low: float, high: float) -> Iterator[float]:
    """Yield round values of a log scale within the range, the roundest first."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for mantissa in (1, 2, 5, 3, 1.5, 7, 4, 6, 8):
        every = (float(f"{mantissa}e{decade}") for decade in decades)
        yield from (value for value in every if low <= value <= high)


def _by_roundness(values: Iterable[float]) -> list[float]:
    """Return the values with the fewest digits first."""
    return sorted(values, key=lambda value: (len(_text(value).strip("0.")), value))


def _text(value: float) -> str:
    """Return the value as an axis says it; rounding has left no traces in it."""
    return f"{value:.6g}" if abs(value) < 1e5 else f"{value:.3g}"

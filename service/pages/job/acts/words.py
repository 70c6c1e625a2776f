"""The words of a job's page: names and numbers as its sentences have them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

MOST_NAMED = 3
"""Number of names in a sentence before the others are only counted."""


def strong(text: str) -> Markup:
    """Return the text as a strong one, escaped."""
    return Markup("<strong>{}</strong>").format(text)


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: 1 fresh seed, 4,096 trials."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def spelled(number: int) -> str:
    """Return a small number as a word."""
    return NUMBERS[number] if number < len(NUMBERS) else f"{number:,}"


def few(names: Sequence[str], kind: str = "others") -> Markup:
    """Return the names as a sentence has them, each strong; of many the first ones, and how many there are.

    Args:
        names: at least one.
        kind: what the further ones are called.
    """
    if len(names) > MOST_NAMED + 1:
        shown = [strong(name) for name in names[:MOST_NAMED]]
        last = Markup("{} {}").format(spelled(len(names) - MOST_NAMED), kind)
    else:
        shown, last = [strong(name) for name in names[:-1]], strong(names[-1])
    return Markup("{} and {}").format(Markup(", ").join(shown), last) if shown else last


def sentence(*parts: str) -> Markup:
    """Return the parts with a space between them, without those that are empty; plain text is escaped."""
    return Markup(" ").join(part for part in parts if part)


def odds(probability: float) -> str:
    """Return a probability with two decimals; one that follows from draws is never shown as 0 or 1."""
    if probability < 0.005:
        return "under 0.01"
    return "over 0.99" if probability > 0.995 else f"{probability:.2f}"


def decimals(widths: Iterable[float | None]) -> int | None:
    """Return so many decimals that the narrowest of the widths has two or three digits.

    None if no width tells, or if values are so large or so small that decimals are not the way to write them.
    """
    known = [width for width in widths if width is not None and width > 0 and math.isfinite(width)]
    if not known:
        return None
    places = math.floor(2.5 - math.log10(min(known)))
    return max(places, 0) if places <= 8 else None


def number(value: float | None, places: int | None = None) -> str:
    """Return a value with so many decimals; with four significant digits if that is not known."""
    if value is None:
        return ""
    if places is None or abs(value) >= 1e7:
        return f"{value:.4g}"
    text = f"{value:.{places}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def span(low: float | None, high: float | None, places: int | None = None) -> str:
    """Return an interval as `0.048 to 0.077`, with 0 as it is; empty without ends."""
    if low is None or high is None:
        return ""
    return " to ".join("0" if end == 0 else number(end, places) for end in (low, high))

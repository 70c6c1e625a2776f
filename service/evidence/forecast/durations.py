"""Lengths of time and probabilities, as people say them."""

from __future__ import annotations


def duration_text(seconds: float) -> str:
    """Return a length of time in the unit in which its number is handy: 11 s, 3.2 minutes, 2.5 hours."""
    if seconds < 99.5:
        return f"{seconds:.2g} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.2g} minutes"
    return f"{seconds / 3600:.3g} hours"


def chance_text(probability: float) -> str:
    """Return a probability as a percentage; a share of random draws is never shown as 0% or 100%."""
    if probability < 0.005:
        return "under 1%"
    return "over 99%" if probability > 0.995 else f"{probability:.0%}"

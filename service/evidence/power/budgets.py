"""The smallest budget at which a verdict probably names a leader: a search over simulated jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from whichopt.service.evidence.power.chances import (
    FEW_DRAWS,
    Design,
    config_chances,
    optimizer_chances,
)

LIKELY = 0.8
"""The chance that a budget has to give, and by which a job tells the lead that it could have seen."""

SEEDS = (3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 80, 100)
"""Fresh seeds among which the least is sought."""

STUDIES = tuple(range(2, 11))
"""Studies of each optimizer, of as many trials as the job's."""


def seeds_for(design: Design, leads: tuple[float, ...], most: int) -> list[int | None]:
    """Return the fewest fresh seeds at which the config verdict names a leader with that chance, by lead.

    None if more than `most` would be needed.
    """
    few = replace(design, most_draws=FEW_DRAWS)
    offered = [seeds for seeds in SEEDS if seeds <= most]
    return _least(offered, leads, lambda seeds: config_chances(replace(few, seeds=seeds), leads))


def studies_for(design: Design, leads: tuple[float, ...], most: int) -> list[int | None]:
    """Return the fewest studies at which the optimizer verdict names a leader with that chance, by lead.

    Each study has as many trials as the design's. None if more than `most` would be needed.
    """
    few = replace(design, most_draws=FEW_DRAWS)
    offered = [studies for studies in STUDIES if studies <= most]
    return _least(offered, leads, lambda studies: optimizer_chances(replace(few, replicates=studies), leads))


def _least(
    offered: Sequence[int], leads: Sequence[float], chances: Callable[[int], Sequence[float]]
) -> list[int | None]:
    """Return the least of those that are offered at which the chance is likely, by lead: by bisection, as the
    chance grows with the budget."""
    found: list[int | None] = []
    for place in range(len(leads)):
        low, high = 0, len(offered)
        while low < high:
            middle = (low + high) // 2
            if chances(offered[middle])[place] >= LIKELY:
                high = middle
            else:
                low = middle + 1
        found.append(offered[low] if low < len(offered) else None)
    return found

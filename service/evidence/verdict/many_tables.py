"""Judges many tables of champions at once, for simulations: `winners.config_verdict`, by numpy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from whichopt.service.evidence.statistics.estimates import critical_t
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable
from whichopt.service.spec import Margin

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Draws = NDArray[np.float64]


def names_winner(table: ConfirmTable, losses: Draws, tail: float, margin: Margin | None) -> NDArray[np.bool_]:
    """Tell for each draw if the config verdict by rules 2 would name a winner.

    Args:
        table: a table of champions; who may win, and the pooled errors, are its.
        losses: draws x finite arms x seeds.
        tail: the one-sided level of a test.
        margin: a rival is beaten if it is worse by more than this.
    """
    import numpy as np

    draws, _, seeds = losses.shape
    labels = [table.arms[i].label for i in table.finite]
    able = np.asarray([label not in table.barred for label in labels])
    if not able.any() or len(set(labels)) < 2 or seeds < 2:
        return np.zeros(draws, dtype=bool)
    spreads = np.asarray([[table.finalists.pooled_spreads[a, b] for b in labels] for a in labels])
    means = losses.mean(axis=2)
    best = np.where(able, means, np.inf).argmin(axis=1)
    rows = np.arange(draws)
    bar = _worsened(losses[rows, best], margin)
    differences = losses - bar[:, None]
    errors = differences.std(axis=2, ddof=1) / math.sqrt(seeds)
    errors = np.maximum(errors, spreads[best] / math.sqrt(seeds))
    beaten = differences.mean(axis=2) > critical_t(seeds - 1, tail) * errors
    own = np.asarray([[a == b for b in labels] for a in labels])[best]
    return np.asarray((beaten | own).all(axis=1))


def _worsened(losses: Draws, margin: Margin | None) -> Draws:
    """The losses of each draw's best, made worse by the margin (`margin.worsened`)."""
    import numpy as np

    if margin is None:
        return losses
    if margin.percent is None:
        assert margin.absolute is not None
        return losses + margin.absolute
    sign = np.where(losses.mean(axis=1, keepdims=True) >= 0, 1.0, -1.0)
    return np.asarray(losses * (1 + sign * margin.percent / 100))

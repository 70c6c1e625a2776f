"""Judges many tables at once, for simulations: the verdicts of `winners` by rules 2, by numpy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from whichopt.service.evidence.statistics.estimates import ALPHA, critical_t
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

    labels = [table.arms[i].label for i in table.finite]
    able = np.asarray([label not in table.barred for label in labels])
    if not able.any() or len(set(labels)) < 2 or losses.shape[2] < 2:
        return np.zeros(len(losses), dtype=bool)
    spreads = np.asarray([[table.finalists.pooled_spreads[a, b] for b in labels] for a in labels])
    return config_winners(losses, spreads, labels, tail, margin=margin, able=able)[1]


def config_winners(
    losses: Draws,
    spreads: Draws,
    labels: Sequence[str | int],
    tail: float,
    *,
    margin: Margin | None = None,
    able: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return each draw's best arm, and if the config verdict by rules 2 would name it.

    Args:
        losses: draws x arms x seeds.
        spreads: the least standard deviation of a difference of two arms' runs, arms x arms, or of each draw.
        labels: the label of each arm.
        tail: the one-sided level of a test.
        margin: a rival is beaten if it is worse by more than this.
        able: the arms that may win; all if it is None.
    """
    import numpy as np

    draws, _, seeds = losses.shape
    means = losses.mean(axis=2)
    best = (means if able is None else np.where(able, means, np.inf)).argmin(axis=1)
    rows = np.arange(draws)
    bar = worsened_draws(losses[rows, best], margin)
    differences = losses - bar[:, None]
    errors = differences.std(axis=2, ddof=1) / math.sqrt(seeds)
    least = spreads[best] if spreads.ndim == 2 else spreads[rows, best]
    errors = np.maximum(errors, least / math.sqrt(seeds))
    beaten = differences.mean(axis=2) > critical_t(seeds - 1, tail) * errors
    own = np.asarray([[a == b for b in labels] for a in labels])[best]
    return best, np.asarray((beaten | own).all(axis=1))


def pooled_spreads(losses: Draws) -> Draws:
    """Return `ConfirmTable.pooled_spreads` of each draw: draws x labels x labels.

    The mean over all pairs of arms of the variance of their difference is the mean variance of the one
    label's arms, plus that of the other's, less twice the covariance of the two labels' means.

    Args:
        losses: draws x labels x arms x seeds, of the first stage.
    """
    import numpy as np

    seeds = losses.shape[3]
    variances = losses.var(axis=3, ddof=1).mean(axis=2)
    means = losses.mean(axis=2)
    means = means - means.mean(axis=2, keepdims=True)
    together = means @ np.swapaxes(means, 1, 2) / (seeds - 1)
    pooled = variances[:, :, None] + variances[:, None, :] - 2 * together
    labels = np.arange(losses.shape[1])
    pooled[:, labels, labels] = 0.0
    return np.asarray(np.sqrt(np.maximum(pooled, 0.0)))


def study_winners(losses: Draws) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return each draw's best label, and if the optimizer verdict by rules 2 would name it.

    Args:
        losses: draws x labels x studies x seeds, of the first stage: the arms that the studies chose.
    """
    import numpy as np

    best = losses.mean(axis=(2, 3)).argmin(axis=1)
    means, errors, critical = welch_parts(losses, best)
    beaten = means > critical * errors
    beaten[np.arange(len(losses)), best] = True
    return best, np.asarray(beaten.all(axis=1))


def welch_parts(losses: Draws, best: NDArray[np.intp]) -> tuple[Draws, Draws, Draws]:
    """Return `estimates.welch_difference` of every label and each draw's `best`, with the critical value.

    Means, errors and critical values of a one-sided test at half of ALPHA are draws x labels each.
    """
    import numpy as np
    from scipy.special import stdtrit

    draws, _, studies, seeds = losses.shape
    rows = np.arange(draws)
    by_study = losses.mean(axis=3).var(axis=2, ddof=1) / studies
    columns = losses.mean(axis=2)
    differences = columns - columns[rows, best][:, None]
    a, b = by_study, by_study[rows, best][:, None]
    c = differences.var(axis=2, ddof=1) / seeds
    total = a + b + c
    one = np.where(total > 0, total, 1.0)
    squares = ((a / one) ** 2 + (b / one) ** 2) / (studies - 1) + (c / one) ** 2 / (seeds - 1)
    df = np.maximum(1.0, 1 / np.where(squares > 0, squares, 1.0))
    df = np.where(c > a + b, np.minimum(df, seeds - 1.0), df)
    df = np.where((total <= 0) | (studies == 2), min(studies, seeds) - 1.0, df)
    return np.asarray(differences.mean(axis=2)), np.sqrt(total), np.asarray(-stdtrit(df, ALPHA / 2))


def worsened_draws(losses: Draws, margin: Margin | None) -> Draws:
    """Return the losses of each draw's best, made worse by the margin (`margin.worsened`).

    Args:
        losses: draws x runs.
    """
    import numpy as np

    if margin is None:
        return losses
    if margin.percent is None:
        assert margin.absolute is not None
        return losses + margin.absolute
    sign = np.where(losses.mean(axis=1, keepdims=True) >= 0, 1.0, -1.0)
    return np.asarray(losses * (1 + sign * margin.percent / 100))

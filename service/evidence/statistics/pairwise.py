"""All differences at once: `stats.paired_difference` and `stats.crossed_difference` of every pair, by numpy,
for the procedures that need n (n - 1) / 2 of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from whichopt.service.evidence.statistics.estimates import ROUNDING, unit_of, welch_df

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]


class PairwiseDifferences(NamedTuple):
    """[i, k] has the estimate of mu_i - mu_k and its standard error, on `df` degrees of freedom.

    `df` is one number, or one for each pair.
    """

    means: Matrix
    errors: Matrix
    df: int | Matrix


def all_paired(losses: Sequence[Sequence[float]]) -> PairwiseDifferences:
    """Compare rows of runs that share their seeds, with one column per seed."""
    import numpy as np

    table, unit, least = _scaled(losses)
    means, squares = _moments(table[:, None, :] - table[None, :, :])
    return _differences(means, np.sqrt(squares), len(losses[0]) - 1, unit, least)


def all_crossed(losses: Sequence[Sequence[Sequence[float]]]) -> PairwiseDifferences:
    """Compare tables of runs, with one row per study and one column per seed, both taken as random."""
    import numpy as np

    table, unit, least = _scaled(losses)
    differences = table[:, None] - table[None, :]
    means, over_studies = _moments(differences.mean(axis=3))
    _, over_seeds = _moments(differences.mean(axis=2))
    df = min(table.shape[1], table.shape[2]) - 1
    return _differences(means, np.sqrt(over_studies + over_seeds), df, unit, least)


def all_welch(losses: Sequence[Sequence[Sequence[float]]]) -> PairwiseDifferences:
    """Compare tables of runs by `estimates.welch_difference`: one row a study, one column a seed."""
    import numpy as np

    table, unit, least = _scaled(losses)
    studies, seeds = table.shape[1:]
    centers, over_studies = _moments(table.mean(axis=2))
    by_seed = table.mean(axis=1)
    _, over_seeds = _moments(by_seed[:, None] - by_seed[None, :])
    a, b = over_studies[:, None], over_studies[None, :]
    total = a + b + over_seeds
    df = np.asarray(
        [
            [welch_df(x, y, z, studies, seeds) for y, z in zip(over_studies, row, strict=True)]
            for x, row in zip(over_studies, over_seeds, strict=True)
        ]
    )
    return _differences(centers[:, None] - centers[None, :], np.sqrt(total), df, unit, least)


def _scaled(
    losses: Sequence[Sequence[float]] | Sequence[Sequence[Sequence[float]]],
) -> tuple[Matrix, float, float]:
    """In a unit whose squares do not overflow; that unit; and what counts as the rounding of equal values."""
    import numpy as np

    table = np.asarray(losses, dtype=np.float64)
    largest = float(np.abs(table).max())
    unit = unit_of(largest)
    return table / unit, unit, ROUNDING * largest


def _moments(samples: Matrix) -> tuple[Matrix, Matrix]:
    """The mean over the last axis, and the square of its standard error (0 of one sample)."""
    count = samples.shape[-1]
    means = samples.mean(axis=-1)
    squares = ((samples - means[..., None]) ** 2).sum(axis=-1)
    return means, squares / (max(count - 1, 1) * count)


def _differences(
    means: Matrix, errors: Matrix, df: int | Matrix, unit: float, least: float
) -> PairwiseDifferences:
    import numpy as np

    means, errors = means * unit, errors * unit
    return PairwiseDifferences(
        np.where(np.abs(means) <= least, 0.0, means), np.where(errors <= least, 0.0, errors), df
    )

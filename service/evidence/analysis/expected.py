"""The expected best of k random trials, from n of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from whichopt.service.evidence.analysis.job_data import JobData
from whichopt.service.evidence.analysis.shapes import ExpectedBest, ExpectedBestPoint

METHOD = (
    "The expected best validation value of k trials drawn at random from the space, estimated from the n "
    "random trials of all studies. With v(1), v(2), ... from best to worst: U-statistic, sum of v(i) C(n "
    "- i, k - 1) / C(n, k), the mean over all subsets of size k, unbiased (Tang et al. 2020); "
    "V-statistic, sum of v(i) [((n - i + 1) / n)^k - ((n - i) / n)^k], draws with replacement (Dodge et "
    "al. 2019). Both assume that one of the k is complete; `missing` is the probability that none is. "
    "Bands: a 90% percentile bootstrap over trials. It covers too little as k nears n, so k ends at n / 2. "
    "The default and the sampler's trials are left out: the formulas hold for independent draws only."
)

LEVEL = 0.9
DRAWS = 1000
_STREAM = 20_260_103


def without_replacement(n: int, k: int) -> list[float]:
    """The probability that the i-th best of n is the best of k drawn without replacement, for i from 1."""
    return [math.comb(n - i, k - 1) / math.comb(n, k) for i in range(1, n + 1)]


def with_replacement(n: int, k: int) -> list[float]:
    """The same, drawn with replacement."""
    return [((n - i + 1) / n) ** k - ((n - i) / n) ** k for i in range(1, n + 1)]


def expected(ranks: Sequence[float], weights: Sequence[float]) -> float | None:
    """The mean of the finite ones of `ranks` by their weights; None if these have no weight."""
    finite = [(rank, weight) for rank, weight in zip(ranks, weights, strict=True) if math.isfinite(rank)]
    total = math.fsum(weight for _, weight in finite)
    return math.fsum(rank * (weight / total) for rank, weight in finite) if total > 0 else None


def expected_best(data: JobData, label: str) -> ExpectedBest:
    ranks = sorted(a.rank for study in data.studies[label] for a in study.random)
    n, missing = len(ranks), sum(map(math.isinf, ranks))
    points = []
    for k, (low, high) in enumerate(_bands(ranks, data.spec.seed), start=1):
        shown = data.band(low, high)
        points.append(
            ExpectedBestPoint(
                trials=k,
                unbiased=data.value(expected(ranks, without_replacement(n, k))),
                plug_in=data.value(expected(ranks, with_replacement(n, k))),
                low=shown[0],
                high=shown[1],
                missing=math.comb(missing, k) / math.comb(n, k),
            )
        )
    return ExpectedBest(optimizer=label, random_trials=n, without_value=missing, level=LEVEL, points=points)


def _bands(ranks: Sequence[float], seed: int) -> list[tuple[float | None, float | None]]:
    """For each k up to half of the trials, the band of the U-statistic; none if no trial is complete."""
    import numpy as np

    n = len(ranks)
    if not any(map(math.isfinite, ranks)):
        return [(None, None)] * (n // 2)
    resampled = np.random.default_rng([_STREAM, seed]).integers(n, size=(DRAWS, n))
    samples = np.sort(np.asarray(ranks)[resampled], axis=1)
    complete = np.isfinite(samples)
    losses = np.where(complete, samples, 0.0)
    bands: list[tuple[float | None, float | None]] = []
    for k in range(1, n // 2 + 1):
        weights = complete * np.asarray(without_replacement(n, k))
        totals = weights.sum(axis=1)
        some = totals > 0
        expectations = (losses[some] * (weights[some] / totals[some, None])).sum(axis=1)
        low, high = np.quantile(expectations, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        bands.append((float(low), float(high)))
    return bands

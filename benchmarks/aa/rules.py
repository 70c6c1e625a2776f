"""The rules by which people name the best optimizer, on the same drawn jobs as the product's verdicts.

Each takes the studies by name and replicate, and the drawn fresh seeds, and gives the number of the name that
it calls the winner, or None. An exact tie (two names whose studies both chose the default) names nobody.

*Best trial.* The best validation value among all search trials of all names.

*Mean of 3 seeds.* Each name's best searched config on three fresh seeds; the best mean on the test split.

*t-test.* One study each, its config on all fresh seeds; the best mean wins where a two-sided t-test against
each of the other names has p < .05, uncorrected; Welch's for unequal variances, or paired by seed.

*DeepOBS* (Schneider, Balles and Hennig 2019, ICLR; arXiv 1903.05499). Each optimizer is tuned once, the best
setting is run with ten seeds, and mean and standard deviation are reported. Read as the tables are printed,
the best mean wins; read strictly, it wins where its band of one standard deviation overlaps with no other's.

*AlgoPerf* (Dahl et al. 2023, arXiv 2306.07179; external tuning). Several studies an optimizer; a study's
score is the time until the first of its trials reaches a validation target, an optimizer's the median over
its studies, the shortest wins. Here a study is a replicate, time is counted in examples (one optimizer's
steps all cost the same) at the evaluations, and the target is the median of what the default setting ends at
over all fresh seeds. Their competition has 5 studies of 5 trials.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.aa.pool import Key, Pool, PoolStudy

LEVEL = 0.05
FEW_SEEDS = 3


@dataclass(frozen=True)
class Entrants:
    """A drawn job as the rules see it: `studies` by name and replicate, and the fresh seeds."""

    pool: Pool
    studies: Sequence[Sequence[PoolStudy]]
    seeds: Sequence[int]

    def losses(self, config: Key, seeds: int | None = None) -> list[float]:
        """On the first so many of the fresh seeds."""
        return [self.pool.losses[config][seed] for seed in self.seeds[:seeds]]

    def searched(self, study: PoolStudy) -> float:
        """The loss of its best trial on the validation split."""
        return math.inf if study.searched_value is None else self.pool.sign * study.searched_value


def best_trial(job: Entrants) -> int | None:
    return least([min(job.searched(study) for study in studies) for studies in job.studies])


def mean_of_few(job: Entrants) -> int | None:
    best = [min(studies, key=job.searched) for studies in job.studies]
    return least([statistics.fmean(job.losses(study.key, FEW_SEEDS)) for study in best])


def welch(job: Entrants) -> int | None:
    return _tested(job, _welch)


def paired(job: Entrants) -> int | None:
    return _tested(job, _paired)


def deepobs_mean(job: Entrants) -> int | None:
    return least([statistics.fmean(job.losses(studies[0].key)) for studies in job.studies])


def deepobs_bands(job: Entrants) -> int | None:
    rows = [job.losses(studies[0].key) for studies in job.studies]
    means, reach = [statistics.fmean(row) for row in rows], [statistics.stdev(row) for row in rows]
    best = least(means)
    if best is None:
        return None
    others = [means[i] - reach[i] for i in range(len(rows)) if i != best]
    return best if all(means[best] + reach[best] < low for low in others) else None


def algoperf(job: Entrants) -> int | None:
    target = algoperf_target(job.pool)
    return least(
        [statistics.median(_reached(job, study, target) for study in studies) for studies in job.studies]
    )


RULES: Mapping[str, Callable[[Entrants], int | None]] = {
    "best trial": best_trial,
    "mean of 3 seeds": mean_of_few,
    "t-test, Welch": welch,
    "t-test, paired": paired,
    "DeepOBS, best mean": deepobs_mean,
    "DeepOBS, bands apart": deepobs_bands,
    "AlgoPerf": algoperf,
}


def least(values: Sequence[float]) -> int | None:
    """The number of the least; None where several are, or none is finite."""
    best = min(values)
    return values.index(best) if math.isfinite(best) and values.count(best) == 1 else None


def algoperf_target(pool: Pool) -> float:
    """As a loss."""
    metric = pool.goal.metric
    ends = [run.metrics["validation"][metric] for run in pool.runs[pool.default_key] if run.value is not None]
    return pool.sign * statistics.median(ends) if ends else -math.inf


def _reached(job: Entrants, study: PoolStudy, target: float) -> float:
    """Examples until the first of its trials has reached the target."""
    curves = [
        trial.result.curves.get(job.pool.goal.curve, ()) for trial in study.trials if trial.result is not None
    ]
    times = [p.examples for curve in curves for p in curve if job.pool.sign * p.value <= target]
    return min(times, default=math.inf)


def _tested(job: Entrants, differ: Callable[[Sequence[float], Sequence[float]], bool]) -> int | None:
    rows = [job.losses(studies[0].key) for studies in job.studies]
    best = least([statistics.fmean(row) for row in rows])
    if best is None:
        return None
    return best if all(differ(rows[best], row) for i, row in enumerate(rows) if i != best) else None


def _welch(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    variances = [statistics.variance(row) / len(row) for row in (ours, theirs)]
    error = sum(variances)
    if error == 0:
        return ours[0] != theirs[0]
    df = error**2 / sum(variance**2 / (len(ours) - 1) for variance in variances)
    return _significant(statistics.fmean(ours) - statistics.fmean(theirs), math.sqrt(error), df)


def _paired(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    return _significant(statistics.fmean(differences), error, len(differences) - 1)


def _significant(difference: float, error: float, df: float) -> bool:
    from scipy.special import stdtr

    if error == 0:
        return difference != 0
    return bool(2 * stdtr(df, -abs(difference) / error) < LEVEL)

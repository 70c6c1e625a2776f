"""A job's conclusion from its spec and its trials: pure, so that anyone can recompute it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from service.catalog import optimizers, tasks
from service.evidence.confirmed import Confirmed, read_confirmed
from service.evidence.snippet import snippet
from service.evidence.statements import config_statement, study_statement
from service.evidence.stats import ALPHA, Estimate, mean, mean_estimate, paired_difference, probability_best
from service.evidence.verdicts import StudyVerdict, config_verdict, ranked, study_verdict
from service.evidence.warnings import job_warnings
from service.space import Config
from service.spec import ResolvedSpec
from service.trials import Trial
from service.views import (
    Cost,
    Difference,
    Finalist,
    Interval,
    OptimizerDifference,
    OptimizerVerdict,
    Recommendation,
)


def recommend(
    job_id: str, spec: ResolvedSpec, trials: Sequence[Trial], *, cut_short: bool = False
) -> Recommendation:
    """What to use, how sure that is, and what it cost: `service.evidence.verdicts` has the statistics.

    With one optimizer there is nobody to beat: the verdict is a tie of one, its config is the best of its
    finalists, and the statement says whether that beats its default.

    Intervals of means are simultaneous over all finalists, those of differences over all pairs of finalists
    of different optimizers (Bonferroni), at 95 %: they hold for the ones shown, which the data chose.

    Args:
        trials: those of both phases, in any order.
        cut_short: `max_seconds` ended the search.

    Raises:
        ValueError: there is no fresh seed on which every finalist was confirmed.
    """
    task = tasks.task(spec.workload.task)
    confirmed = read_confirmed(spec, trials)
    verdict = config_verdict(confirmed)
    studies = study_verdict(confirmed, spec.budget.replicates)
    pick = confirmed.arms[verdict.pick]
    ranking = _ranking(spec, trials, confirmed, verdict.best)
    return Recommendation(
        job_id=job_id,
        task=task.name,
        dataset=spec.workload.dataset.name,
        model=spec.workload.model.name,
        verdict=verdict.verdict,
        optimizer=pick.label,
        config=shown(pick.optimizer, pick.config),
        statement=config_statement(confirmed, verdict, task.metric),
        optimizer_verdict=_optimizer_verdict(spec, confirmed, studies, task.metric),
        metric=task.metric,
        direction=task.direction,
        value=_interval(confirmed, verdict.pick),
        probability_best=next(row.probability_best for row in ranking if row.optimizer == pick.label),
        equivalent=list(verdict.equivalent),
        ranking=ranking,
        cost=_cost(trials),
        warnings=job_warnings(spec, trials, confirmed, cut_short=cut_short),
        snippet=snippet(spec, pick.label, pick.config),
    )


def shown(optimizer: str, config: Config) -> dict[str, Any]:
    """The config in torch's own form, as JSON has it: `betas` is a list."""
    arguments = optimizers.optimizer(optimizer).arguments(config)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in arguments.items()}


def _ranking(spec: ResolvedSpec, trials: Sequence[Trial], confirmed: Confirmed, best: int) -> list[Finalist]:
    """One entry a label, by its best arm's mean; differences are to the arm `best`."""
    finite = confirmed.finite
    probability = probability_best(
        [confirmed.losses[i] for i in finite], [confirmed.arms[i].label for i in finite], seed=spec.seed
    )
    ranking = []
    for label in ranked(confirmed):
        arm = confirmed.best(label)
        finalist, validation = confirmed.arms[arm], confirmed.validation[arm]
        cost = _cost(trial for trial in trials if trial.plan.label == label)
        ranking.append(
            Finalist(
                optimizer=label,
                config=shown(finalist.optimizer, finalist.config),
                replicate=finalist.replicate,
                value=_interval(confirmed, arm),
                default_value=_interval(confirmed, confirmed.default(label)),
                searched_value=finalist.searched_value,
                confirmed_validation=None if validation is None else mean(validation),
                probability_best=probability.get(label, 0.0),
                difference=_difference(confirmed, arm, best),
                diverged=sum(confirmed.diverged[i] for i in confirmed.of(label)),
                trials=cost.trials,
                steps=cost.steps,
                examples=cost.examples,
                seconds=cost.seconds,
            )
        )
    return ranking


def _interval(confirmed: Confirmed, arm: int) -> Interval:
    found = mean_estimate(confirmed.values[arm])
    low, high = found.bounds(ALPHA / (2 * len(confirmed.arms)))
    return Interval(mean=found.mean, low=low, high=high, level=1 - ALPHA, seeds=len(confirmed.seeds))


def _difference(confirmed: Confirmed, arm: int, best: int) -> Difference:
    found = paired_difference(confirmed.losses[arm], confirmed.losses[best])
    own = [len(confirmed.of(label)) for label in confirmed.labels]
    pairs = (sum(own) ** 2 - sum(n**2 for n in own)) // 2
    low, high = found.bounds(_pair_tail(pairs))
    return Difference(mean=found.mean, low=low, high=high)


def _pair_tail(pairs: int) -> float:
    return ALPHA / (2 * max(pairs, 1))


def _optimizer_verdict(
    spec: ResolvedSpec, confirmed: Confirmed, found: StudyVerdict | None, metric: str
) -> OptimizerVerdict:
    statement = study_statement(spec, confirmed, found, metric)
    replicates = spec.budget.replicates
    if found is None:
        return OptimizerVerdict(
            verdict=None,
            optimizer=None,
            equivalent=[],
            differences=[],
            replicates=replicates,
            statement=statement,
        )
    tail = _pair_tail(math.comb(len(confirmed.labels), 2))
    return OptimizerVerdict(
        verdict=found.verdict,
        optimizer=found.best if found.verdict == "winner" else None,
        equivalent=list(found.equivalent),
        differences=[_study_difference(label, estimate, tail) for label, estimate in found.differences],
        replicates=replicates,
        statement=statement,
    )


def _study_difference(label: str, estimate: Estimate, tail: float) -> OptimizerDifference:
    low, high = estimate.bounds(tail)
    return OptimizerDifference(optimizer=label, mean=estimate.mean, low=low, high=high)


def _cost(trials: Iterable[Trial]) -> Cost:
    results = [trial.result for trial in trials if trial.result is not None]
    return Cost(
        trials=len(results),
        steps=sum(result.steps for result in results),
        examples=sum(result.examples for result in results),
        seconds=math.fsum(result.seconds for result in results),
    )

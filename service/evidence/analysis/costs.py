"""Costs of the optimizers, per step and in total, and the loss of their best finalists on new data."""

from __future__ import annotations

from statistics import median, quantiles

from whichopt.service.evidence.analysis.job_data import JobData
from whichopt.service.evidence.analysis.shapes import GeneralizationGap, LedgerRow, StepCost
from whichopt.service.evidence.statistics.estimates import ALPHA, mean, paired_difference
from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import TrialResult

STEP_COST = (
    "The median over the optimizer's trials of seconds per step, evaluations included. Trials that train in "
    "one stack are charged equal shares of its time, so this is the cost of a trial in company, and "
    "optimizers that shared stacks look more alike than they are alone. Bytes of state come from the catalog."
)
LEDGER = (
    "All trials as recorded. Equal budgets mean equal numbers of trials and equal limits of examples; pruned "
    "and diverged trials used less."
)
GUEST_LEDGER = (
    "All trials as recorded. Equal budgets mean equal numbers of trials and equal limits of epochs; pruned "
    "and diverged trials used less, and a function may stop early."
)
GENERALIZATION = (
    "The test value minus the training value of the task's metric at the last step, for each optimizer's "
    "best finalist (the one in the ranking) over the fresh seeds: positive if the test split is worse; the "
    "mean with its 95% t interval. Diverged runs have no gap and are left out."
)


def step_cost(data: JobData, label: str) -> StepCost:
    results = [result for result in _results(data, label, None) if result.steps]
    others = {r.seconds for of in data.spec.labels if of != label for r in _results(data, of, None)}
    times = [1000 * (result.seconds / result.steps) for result in results]
    low, high = (times[0], times[0]) if len(times) == 1 else (None, None)
    if len(times) > 1:
        low, _, high = quantiles(times, n=4, method="inclusive")
    return StepCost(
        optimizer=label,
        trials=len(times),
        ms_per_step=median(times) if times else None,
        ms_low=low,
        ms_high=high,
        shared=sum(r.seconds in others for r in results) / len(results) if results else None,
        state_bytes=data.spec.optimizer(label).facts.state_bytes,
    )


def ledger(data: JobData, label: str, phase: Phase) -> LedgerRow:
    trials = [t for t in data.trials if t.plan.label == label and t.plan.phase is phase]
    results = _results(data, label, phase)
    ended = [result.state for result in results]
    return LedgerRow(
        optimizer=label,
        phase=phase,
        trials=len(trials),
        complete=ended.count(TrialState.COMPLETE),
        pruned=ended.count(TrialState.PRUNED),
        diverged=ended.count(TrialState.DIVERGED),
        without_result=sum(not trial.state.has_result for trial in trials),
        steps=sum(result.steps for result in results),
        examples=sum(result.examples for result in results),
        seconds=len(results) * mean([result.seconds for result in results]) if results else 0.0,
    )


def generalization(data: JobData, label: str) -> GeneralizationGap | None:
    """None if no run of the best finalist is complete."""
    losses = [
        (train, test)
        for run in data.best_runs(label)
        if (train := data.loss_on("train", run)) is not None
        and (test := data.loss_on("test", run)) is not None
    ]
    if not losses:
        return None
    trained, tested = [train for train, _ in losses], [test for _, test in losses]
    gap = paired_difference(tested, trained)
    low, high = gap.bounds(ALPHA / 2)
    return GeneralizationGap(
        optimizer=label,
        runs=len(losses),
        train=data.sign * mean(trained),
        test=data.sign * mean(tested),
        gap=gap.mean,
        low=low,
        high=high,
        level=1 - ALPHA,
        spread=gap.error * len(losses) ** 0.5 if gap.df else None,
    )


def _results(data: JobData, label: str, phase: Phase | None) -> list[TrialResult]:
    """Return the results of `phase`, or of both phases."""
    return [
        trial.result
        for trial in data.trials
        if trial.result is not None and trial.plan.label == label and phase in (None, trial.plan.phase)
    ]

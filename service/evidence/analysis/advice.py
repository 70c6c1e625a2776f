"""Advises which optimizer to take for each number of trials, up to the trials that were run."""

from __future__ import annotations

from itertools import groupby

from whichopt.service.evidence.analysis.anytime import thinned
from whichopt.service.evidence.analysis.incumbents import Incumbent, expectation, incumbents, shares_best
from whichopt.service.evidence.analysis.job_data import JobData
from whichopt.service.evidence.analysis.shapes import AdviceRange, AdviceRow, AdviceStep, BudgetAdvice
from whichopt.service.evidence.statistics.estimates import mean

METHOD = (
    "For each number of trials in a study, the advice is the optimizer with the best expected incumbent on "
    "the validation split: the mean over its studies, each averaged over the orders that its random trials "
    "could have had. The probability of being best compares one search of that many trials with each "
    "optimizer. It is the share of replicates and orders in which the optimizer's incumbent is the best, "
    "compared within a replicate, whose trials share their seeds; ties are split. Because there are few "
    "replicates, one more is added and split evenly (Perks 1947): if 2 optimizers are compared, 3 wins of "
    "3 give 0.875, not 1. Values found in search are the luckier ones; the verdict rests on confirmed "
    "values. An optimizer that could be left without a complete trial is not advised."
)

CLOSE = 0.5
"""An optimizer is close to the advised one if it is at least this many times as likely to be best."""

ROUNDING = 1e-12
"""Largest difference of equal means by rounding, relative to the losses."""

STEPS = 60
"""Most numbers of trials for which there is advice; a longer study is thinned evenly."""


def budget_advice(data: JobData) -> BudgetAdvice:
    """Return the advice for each number of trials.

    Labels without an ended trial are left out, and so are replicates that one of the others has not begun.
    """
    labels = [label for label, studies in data.studies.items() if studies]
    begun = [{study.replicate for study in data.studies[label]} for label in labels]
    replicates = sorted(set.intersection(*begun)) if begun else []
    incumbents_of: dict[str, list[list[Incumbent]]] = {
        label: [incumbents(study) for study in data.studies[label] if study.replicate in replicates]
        for label in labels
    }
    last = min((len(study) for studies in incumbents_of.values() for study in studies), default=0)
    steps = [_step(data, incumbents_of, int(trials)) for trials in thinned(range(1, last + 1), STEPS)]
    ranges = _ranges(steps)
    return BudgetAdvice(
        replicates=len(replicates), steps=steps, ranges=ranges, statement=_statement(ranges, last)
    )


def _step(data: JobData, incumbents_of: dict[str, list[list[Incumbent]]], trials: int) -> AdviceStep:
    after = {label: [study[trials - 1] for study in studies] for label, studies in incumbents_of.items()}
    expected = {label: _expected(studies) for label, studies in after.items()}
    shares = [shares_best(replicate) for replicate in zip(*after.values(), strict=True)]
    rows = []
    for i, label in enumerate(after):
        won = sum(share[i] for share in shares) + 1 / len(after)
        rows.append(
            AdviceRow(
                optimizer=label,
                expected=data.value(expected[label]),
                probability_best=won / (len(shares) + 1),
            )
        )
    return AdviceStep(trials=trials, optimizer=_advised(expected), rows=rows)


def _advised(expected: dict[str, float | None]) -> str | None:
    """Return the label with the lowest expected loss; the first one, if several differ by rounding only."""
    known = {label: loss for label, loss in expected.items() if loss is not None}
    if not known:
        return None
    limit = min(known.values()) + ROUNDING * max(map(abs, known.values()))
    return next(label for label, loss in known.items() if loss <= limit)


def _expected(studies: list[Incumbent]) -> float | None:
    losses = [loss for study in studies if (loss := expectation(study)) is not None]
    return mean(losses) if len(losses) == len(studies) else None


def _ranges(steps: list[AdviceStep]) -> list[AdviceRange]:
    ranges = []
    for label, group in groupby(steps, key=lambda step: step.optimizer):
        neighbors = list(group)
        if label is None:
            continue
        chances = [_chance(step, label) for step in neighbors]
        ranges.append(
            AdviceRange(
                first=neighbors[0].trials,
                last=neighbors[-1].trials,
                optimizer=label,
                probability_low=min(chances),
                probability_high=max(chances),
                likelier=_at_least(neighbors, label, 1 + ROUNDING),
                close=_at_least(neighbors, label, CLOSE),
            )
        )
    return ranges


def _at_least(steps: list[AdviceStep], label: str, times: float) -> list[str]:
    """Return the labels that are, in any of `steps`, at least `times` as likely to be best as `label`."""
    return [
        row.optimizer
        for i, row in enumerate(steps[0].rows)
        if row.optimizer != label
        and any(step.rows[i].probability_best >= times * _chance(step, label) for step in steps)
    ]


def _statement(ranges: list[AdviceRange], last: int) -> str:
    if not ranges:
        return "No advice: there is no number of trials after which any optimizer is sure to have a value."
    advice = "; ".join(f"with {_trials(r)}, take {r.optimizer} ({_chances(r)})" for r in ranges)
    return (
        f"{advice[0].upper()}{advice[1:]}. The number in brackets is the probability that a search of "
        f"that many trials ends better with this optimizer than with any other. There is no advice beyond "
        f"{last} trial{'' if last == 1 else 's'}, because no more were run in every study."
    )


def _trials(advised: AdviceRange) -> str:
    if advised.first == advised.last:
        return f"{advised.first} trial{'s' if advised.first > 1 else ''}"
    return f"{advised.first} to {advised.last} trials"


def _chance(step: AdviceStep, label: str) -> float:
    return next(row.probability_best for row in step.rows if row.optimizer == label)


def _chances(advised: AdviceRange) -> str:
    low, high = f"{advised.probability_low:.2f}", f"{advised.probability_high:.2f}"
    chances = [low if low == high else f"{low} to {high}"]
    if advised.likelier:
        chances.append(f"more often the best: {', '.join(advised.likelier)}")
    if close := [label for label in advised.close if label not in advised.likelier]:
        chances.append(f"close: {', '.join(close)}")
    return "; ".join(chances)

"""Repeats a report's comparison on seeds that no job has: arms of its confirm phase, trained side by side.

All arms train on the same new seeds, so their differences are paired. What is recommended, the winner, is
held against each of the others by Student's t interval for the mean of those differences. The intervals hold
together with probability 95%: each has its share of the 5% (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from whichopt.service.configs import arguments
from whichopt.service.errors import InvalidQuery
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.statistics.estimates import ALPHA, mean, paired_difference
from whichopt.service.records import RecordedTrial
from whichopt.service.trials import TrialResult
from whichopt.workers.engine.entries import optimizer
from whichopt.workers.guests.guest import TrainingFunction
from whichopt.workers.reported_arms import TODAY, chosen
from whichopt.workers.retrained import Retrained, new_plan, retrain

LEAST_SEEDS = 2
"""The fewest new seeds that tell a spread."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Arm(_Frozen):
    """One config of the report on the new seeds; a value is null if the run diverged."""

    arm: str = Field(description="winner, runner-up, default or today")
    optimizer: str = Field(description="its label")
    config: dict[str, object] = Field(description="as torch spells it")
    values: list[float | None]
    mean: float | None = Field(description="null if a run diverged")


class Lead(_Frozen):
    """How much better the winner is than another arm, in the metric's units; negative if it is worse."""

    over: str = Field(description="the other arm")
    mean: float | None = Field(description="null if a run of one of the two diverged; so are the bounds")
    low: float | None
    high: float | None

    @property
    def is_positive(self) -> bool:
        return self.low is not None and self.low > 0

    @property
    def is_negative(self) -> bool:
        return self.high is not None and self.high < 0


class Comparison(_Frozen):
    """Arms of a report, compared on new seeds; `holds` unless what is recommended is worse or diverged."""

    job_id: str
    metric: str
    direction: str
    split: str
    seeds: int
    level: float = Field(description="at which the intervals of all leads hold together")
    statement: str
    holds: bool
    arms: list[Arm] = Field(description="the first is the winner, which is recommended")
    leads: list[Lead]
    unlike: list[str] = Field(description="where this machine is not the one that trained the report")
    other_facts: dict[str, list[str]] = Field(
        description="facts that this version's catalog has otherwise than the report, by optimizer"
    )


def compare(
    report: Report,
    arms: Sequence[str],
    *,
    new_seeds: int = 5,
    data: Path | None = None,
    function: TrainingFunction | str | None = None,
    seed: int | None = None,
) -> Comparison:
    """Train arms of the report on the same new seeds, and compare them.

    Args:
        report: the report of a job.
        arms: what is compared with the winner, which is what is recommended: one or more of runner-up (the
            best of another optimizer), default (that of the recommended one) and today (what the job was told
            is used today). The winner may be named among them.
        new_seeds: the number of new seeds, 2 or more.
        data: the file that was sent, if the job was about a person's own data.
        function: the training function, if the job was about one: itself, or its name as in `train.py:fit`.
        seed: the seed that new seeds follow from besides the report's, if whoever asks wants to choose it.

    Raises:
        UnknownName: the report has no such arm; the error names those that it has.
        InvalidQuery: there are fewer than two seeds, or no other arm, or an arm is named twice.
        InvalidReport: the arms cannot be trained here, or the report recommends nothing.
    """
    if new_seeds < LEAST_SEEDS:
        raise InvalidQuery(
            f"--new-seeds is {new_seeds}, but a comparison needs {LEAST_SEEDS} or more to tell a spread",
            field="new_seeds",
            value=new_seeds,
            allowed=f"{LEAST_SEEDS} or more",
        )
    runs = chosen(report, arms)
    numbers = range(new_seeds)
    plans = [new_plan(report, run.plan, number, seed=seed) for run in runs.values() for number in numbers]
    found = retrain(report, plans, data=data, function=function)
    rows = {arm: found.results[place * new_seeds : (place + 1) * new_seeds] for place, arm in enumerate(runs)}
    return _compared(report, runs, rows, found)


# -- compared ------------------------------------------------------------------------------------------


def _compared(
    report: Report,
    runs: Mapping[str, RecordedTrial],
    rows: Mapping[str, Sequence[TrialResult]],
    found: Retrained,
) -> Comparison:
    sign, told = report.spec.goal.sign, report.recommendation
    arms = [_arm(report, name, runs[name], rows[name]) for name in runs]
    first, *others = arms
    tail = ALPHA / (2 * len(others))
    leads = [_lead(sign, first, other, tail) for other in others]
    shown_worse = [lead for lead in leads if lead.is_negative]
    holds = not shown_worse and first.mean is not None
    places = {trial.environment for trial in runs.values() if trial.environment is not None}
    unlike = [line for place in sorted(places) for line in report.environments[place].unlike(found.here)]
    return Comparison(
        job_id=report.job.id,
        metric=told.metric,
        direction=told.direction.value,
        split=told.split,
        seeds=len(first.values),
        level=1 - ALPHA,
        statement=_statement(arms, leads, holds=holds),
        holds=holds,
        arms=arms,
        leads=leads,
        unlike=list(dict.fromkeys([*found.edited, *unlike])),
        other_facts=dict(found.other_facts),
    )


def _arm(report: Report, name: str, run: RecordedTrial, results: Sequence[TrialResult]) -> Arm:
    plan, values = run.plan, [result.value for result in results]
    finite = [value for value in values if value is not None]
    own = next((one.facts for one in report.spec.optimizers if one.name == plan.optimizer), None)
    facts = optimizer(plan.optimizer).facts if own is None else own
    return Arm(
        arm=name,
        optimizer=plan.label,
        config=dict(arguments(plan.config, facts.packed)),
        values=values,
        mean=mean(finite) if len(finite) == len(values) else None,
    )


def _lead(sign: float, first: Arm, other: Arm, tail: float) -> Lead:
    ours = [sign * value for value in first.values if value is not None]
    theirs = [sign * value for value in other.values if value is not None]
    if first.mean is None or other.mean is None:
        return Lead(over=other.arm, mean=None, low=None, high=None)
    difference = paired_difference(theirs, ours)
    low, high = difference.bounds(tail)
    return Lead(over=other.arm, mean=difference.mean, low=low, high=high)


def _statement(arms: Sequence[Arm], leads: Sequence[Lead], *, holds: bool) -> str:
    first, *others = arms
    seeds = len(first.values)
    told = [_told(first, other, lead) for other, lead in zip(others, leads, strict=True)]
    head = "It holds" if holds else "It does not hold"
    together = (
        f", together at {100 * (1 - ALPHA):.0f}%" if len(leads) > 1 else f" at {100 * (1 - ALPHA):.0f}%"
    )
    intervals = f" The intervals are over these seeds, paired{together}." if _has_bounds(leads) else ""
    return f"{head}: on {seeds} new seeds {'; '.join(told)}.{intervals}"


def _has_bounds(leads: Sequence[Lead]) -> bool:
    return any(lead.low is not None for lead in leads)


def _told(first: Arm, other: Arm, lead: Lead) -> str:
    ours, theirs = _name(first), _name(other)
    if first.mean is None or other.mean is None:
        both = [
            f"{_name(arm)} diverged on {arm.values.count(None)}" for arm in (first, other) if arm.mean is None
        ]
        return " and ".join(both)
    assert lead.mean is not None
    if lead.low is None or lead.high is None:
        return f"{ours} and {theirs} differ by {lead.mean:.3g}, and nothing tells how surely"
    if lead.is_positive:
        return f"{ours} is better than {theirs} by {lead.mean:.3g} ({lead.low:.3g} to {lead.high:.3g})"
    if lead.is_negative:
        return f"{ours} is worse than {theirs} by {-lead.mean:.3g} ({-lead.high:.3g} to {-lead.low:.3g})"
    return f"{ours} and {theirs} cannot be told apart (its lead is from {lead.low:.3g} to {lead.high:.3g})"


def _name(arm: Arm) -> str:
    return f"the {arm.arm} {arm.optimizer}" if arm.arm != TODAY else "today's config"


def comparison_table(result: Comparison) -> str:
    """Return the comparison as text: a row a seed, a column an arm, and then each lead."""
    widths = [max(12, len(arm.optimizer), len(arm.arm)) for arm in result.arms]
    heads = [[arm.arm for arm in result.arms], [arm.optimizer for arm in result.arms]]
    rows = [[_number(arm.values[seed]) for arm in result.arms] for seed in range(result.seeds)]
    means = [_number(arm.mean) for arm in result.arms]
    names = ["", "seed", *(f"new {seed}" for seed in range(result.seeds)), "mean"]
    better = "lower" if result.direction == "minimize" else "higher"
    lines = [f"{result.split} {result.metric} on new seeds, {better} is better", ""]
    for name, cells in zip(names, [*heads, *rows, means], strict=True):
        padded = "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        lines.append(f"{name:>8}  {padded}")
    lines += ["", result.statement]
    for name, facts in result.other_facts.items():
        lines.append(f"This version says otherwise of {name}: {', '.join(facts)}.")
    if result.unlike:
        lines.append("What trains here is not what trained the report:")
        lines += [f"  {difference}" for difference in result.unlike]
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "diverged" if value is None else f"{value:.6g}"

"""What time buys for a person's own function: from its rehearsal, without a probe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from whichopt.service.errors import BudgetTooShort
from whichopt.service.guests import Rehearsed
from whichopt.service.planning.minutes import FEWEST_SEEDS, FEWEST_TRIALS, least_minutes, plan_minutes
from whichopt.service.spec import ResolvedSpec

OFFERED = (10.0, 60.0, 240.0)
"""Minutes of which a person who named none is told what they buy."""


@dataclass(frozen=True)
class Bought:
    """What a budget of so many minutes buys: search trials of each label, studies, fresh seeds at most."""

    minutes: float
    trials: dict[str, int]
    replicates: int
    confirm_seeds: int

    @property
    def verdicts(self) -> str:
        """The verdicts that it leads to, in words."""
        return "on configs alone" if self.replicates == 1 else "on configs and on optimizers"


def trial_seconds(spec: ResolvedSpec, rehearsed: Rehearsed) -> dict[str, float]:
    """Return the estimated seconds of a whole trial, by label."""
    return {
        label: rehearsed.epoch_seconds[label] * spec.budget.epochs + rehearsed.fixed_seconds[label]
        for label in spec.labels
    }


def plan_guest_minutes(spec: ResolvedSpec, *, processes: int) -> ResolvedSpec:
    """Return `spec` with the plan for its minutes, by what its function's rehearsal took.

    Raises:
        BudgetTooShort: for the fewest trials and seeds.
        ValueError: the function was not rehearsed.
    """
    known = _rehearsed(spec)
    return plan_minutes(
        spec,
        step_seconds={label: known.epoch_seconds[label] for label in spec.labels},
        trial_seconds=trial_seconds(spec, known),
        processes=processes,
    )


def bought(spec: ResolvedSpec, minutes: float, *, processes: int) -> Bought | None:
    """Return what so many minutes buy; None if they are too few for a verdict.

    If they are too few for the studies that the budget asks for, it is told for fewer of them.
    """
    for replicates in range(spec.budget.replicates, 0, -1):
        try:
            planned = plan_guest_minutes(_asking(spec, minutes, replicates), processes=processes)
        except BudgetTooShort:
            continue
        assert planned.budget.settled is not None
        trials = {label: planned.trials_of(label) for label in spec.labels}
        return Bought(minutes, trials, replicates, planned.budget.confirm_seeds)
    return None


def least(spec: ResolvedSpec, *, replicates: int, processes: int) -> Bought:
    """Return the least that is a verdict with so many studies of each optimizer, and the minutes it takes."""
    seconds = trial_seconds(spec, _rehearsed(spec))
    minutes = least_minutes(_asking(spec, 1.0, replicates), seconds, processes=processes)
    trials = dict.fromkeys(spec.labels, FEWEST_TRIALS * replicates)
    return Bought(minutes, trials, replicates, FEWEST_SEEDS)


def budget_lines(spec: ResolvedSpec, *, processes: int, minutes: Sequence[float] = OFFERED) -> list[str]:
    """Return lines that say what some budgets would buy, and the least that is a verdict."""
    seconds = trial_seconds(spec, _rehearsed(spec))
    slowest = max(seconds, key=lambda label: seconds[label])
    lines = [
        f"A trial of {spec.budget.epochs} epochs takes up to {_duration(seconds[slowest])} ({slowest}), on "
        f"{processes} process{'es' if processes > 1 else ''}. What a budget would buy:"
    ]
    for offered in minutes:
        found = bought(spec, offered, processes=processes)
        said = "too little for a verdict" if found is None else _said(found)
        lines.append(f"  minutes={offered:g}: {said}")
    one = least(spec, replicates=1, processes=processes)
    lines.append(f"The least that is a verdict on configs is about minutes={_up(one.minutes)}: {_said(one)}.")
    if len(spec.labels) > 1:
        two = least(spec, replicates=2, processes=processes)
        lines.append(f"The least for one on optimizers is about minutes={_up(two.minutes)}: {_said(two)}.")
    return lines


def _asking(spec: ResolvedSpec, minutes: float, replicates: int) -> ResolvedSpec:
    changes = {"minutes": minutes, "trials": None, "settled": None, "replicates": replicates}
    budget = spec.budget.model_copy(update={**changes, "max_seconds": None})
    return spec.model_copy(update={"budget": budget})


def _rehearsed(spec: ResolvedSpec) -> Rehearsed:
    if spec.guest is None or spec.guest.rehearsed is None:
        raise ValueError("the job is not about a function that was rehearsed")
    return spec.guest.rehearsed


def _said(found: Bought) -> str:
    fewest, most = min(found.trials.values()), max(found.trials.values())
    trials = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    studies = f"{found.replicates} stud{'ies' if found.replicates > 1 else 'y'}"
    return (
        f"{trials} trials of each optimizer in {studies}, up to {found.confirm_seeds} fresh seeds, a verdict "
        f"{found.verdicts}"
    )


def _up(minutes: float) -> str:
    """Return minutes rounded up to two digits, as less would be too little."""
    rounded = float(f"{minutes:.2g}")
    return f"{rounded if rounded >= minutes else float(f'{minutes * 1.05:.2g}'):g}"


def _duration(seconds: float) -> str:
    if seconds >= 120:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"

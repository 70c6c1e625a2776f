"""The plan of a job before it is submitted: its time, its cost, and what its verdicts could name."""

from __future__ import annotations

import math
from dataclasses import dataclass

from whichopt.service.errors import BudgetTooShort
from whichopt.service.evidence.power.budgets import seeds_for, studies_for
from whichopt.service.evidence.power.chances import Design, config_chances, optimizer_chances
from whichopt.service.past import PastJobs
from whichopt.service.planning.looks import most_runs, planned_looks
from whichopt.service.planning.minutes import plan_minutes, search_share
from whichopt.service.spec import ResolvedSpec
from whichopt.service.spec.budget import MAX_TRIALS, MOST_TRIALS, TRIALS
from whichopt.service.views import BudgetFor, JobPlan, LeadChance, PlannedCost, Power

LEADS = (0.25, 0.5, 1.0, 2.0)
"""Leads of which chances are told, in standard deviations of a run over seeds."""

MOST_OPTIMIZERS = 24
"""Optimizers with which jobs are simulated."""

MOST_SEEDS, MOST_STUDIES = 100, 10
"""The most that a spec may ask for."""


@dataclass(frozen=True)
class _Rates:
    """Training seconds of a whole trial by label, how much faster and slower the extreme past jobs were, and
    the seconds by the clock that a training second takes."""

    trial_seconds: dict[str, float]
    low: float
    high: float
    clock: float


def plan_of(spec: ResolvedSpec, past: PastJobs, *, processes: int) -> JobPlan:
    """Return the plan of a job; a pure function of its arguments, as the draws are seeded.

    Args:
        spec: the job.
        past: what past jobs with the same workload tell.
        processes: the live training processes of its kind; 0 if there are none.
    """
    basis: list[str] = []
    rates = _rates(spec, past, processes, basis)
    spec, is_counted = _counted(spec, rates, basis)
    cost = _cost(spec) if is_counted else None
    seconds = _seconds(spec, rates, cost)
    deviation = None if past.spread is None else past.spread.deviation
    basis.append(_leads(spec, past))
    power, budgets = _power(spec, deviation, is_counted=is_counted, basis=basis)
    if spec.today is not None:
        basis.append(
            "Today's config has a run for each fresh seed, which time and cost include. The chances are "
            "those of the two verdicts; keep or switch is not among them."
        )
    return JobPlan(
        seconds=seconds[1],
        seconds_low=seconds[0],
        seconds_high=seconds[2],
        cost=cost,
        power=power,
        budget_for=budgets,
        metric=spec.goal.metric,
        direction=spec.goal.direction,
        deviation=deviation,
        unit=spec.workload.length_unit,
        basis=basis,
    )


# -- time and cost -------------------------------------------------------------------------------------


def _rates(spec: ResolvedSpec, past: PastJobs, processes: int, basis: list[str]) -> _Rates | None:
    """What trials take, by past jobs that have results, or else by their probes; None if nothing tells."""
    trained = [one for one in past.jobs if not one.is_probe]
    jobs = trained or [one for one in past.jobs if one.is_probe][:1]
    if not jobs:
        how = (
            "Nothing tells how long it takes: no job with this workload and batch size was trained here"
            if spec.guest is None
            else "Nothing tells how long it takes: this function was not trained here yet"
        )
        if not spec.budget.timed:
            basis.append(f"{how}, and nothing is trained for a plan. A small job with it would tell.")
        return None
    seconds, lengths = dict[str, float](), dict[str, float]()
    for one in jobs:
        for name, used in one.seconds.items():
            seconds[name] = seconds.get(name, 0.0) + used
            lengths[name] = lengths.get(name, 0.0) + one.lengths[name]
    usual = math.fsum(seconds.values()) / math.fsum(lengths.values())
    length = spec.length
    trial_seconds = {
        chosen.label: length
        * (seconds[chosen.name] / lengths[chosen.name] if chosen.name in seconds else usual)
        for chosen in spec.optimizers
    }
    means = [math.fsum(one.seconds.values()) / math.fsum(one.lengths.values()) for one in jobs]
    clocks = sorted(one.clock for one in jobs if one.clock is not None)
    clock = clocks[len(clocks) // 2] if clocks else 1 / max(1, processes)
    new = [chosen.label for chosen in spec.optimizers if chosen.name not in seconds]
    basis.append(_time(jobs[0].uid, len(jobs), by_probe=not trained, by_clock=bool(clocks), new=new))
    return _Rates(trial_seconds, min(means) / usual, max(means) / usual, clock)


def _time(uid: str, count: int, *, by_probe: bool, by_clock: bool, new: list[str]) -> str:
    """Say what the time rests on."""
    if by_probe:
        said = f"The time is estimated from a few steps timed before job {uid}; evaluations are not in it"
    elif count == 1:
        said = f"The time is estimated from job {uid}, which had the same workload and batch size"
    else:
        said = (
            f"The time is estimated from {count} jobs with the same workload and batch size, {uid} the last"
        )
    if by_clock:
        said += ", by as many workers as trained then"
    if new:
        said += f". Not in there, and taken to be as fast as the others are on average: {', '.join(new)}"
    return f"{said}."


def _counted(spec: ResolvedSpec, rates: _Rates | None, basis: list[str]) -> tuple[ResolvedSpec, bool]:
    """Return the spec, for minutes with the trials that they come to, and if these are known."""
    if not spec.budget.timed or spec.budget.settled is not None:
        return spec, True
    if rates is not None:
        try:
            return (
                plan_minutes(
                    spec,
                    step_seconds=rates.trial_seconds,
                    trial_seconds=rates.trial_seconds,
                    processes=max(1, round(1 / rates.clock)),
                ),
                True,
            )
        except BudgetTooShort as error:
            basis.append(f"By what past jobs took, the job would fail: {error.detail}.")
            return spec, False
    basis.append(
        f"How many trials {spec.budget.minutes:g} minutes are is only known once a worker has timed a few "
        f"steps. The chances are those of {TRIALS} trials of each optimizer."
    )
    return spec, False


def _cost(spec: ResolvedSpec) -> PlannedCost:
    finalists = len(spec.labels) * (spec.budget.replicates + 1)
    search, confirm = spec.asked_trials, most_runs(spec, finalists)
    steps = {label: spec.steps_of(label) for label in spec.labels}
    searching = sum(spec.trials_of(label) * steps[label] for label in spec.labels)
    return PlannedCost(
        trials=search + confirm,
        search=search,
        confirm=confirm,
        confirm_least=_least_runs(spec, finalists),
        steps=searching + round(confirm * sum(steps.values()) / len(steps)),
        examples=(search + confirm) * spec.length,
    )


def _least_runs(spec: ResolvedSpec, finalists: int) -> int:
    """The runs of confirm if it is settled at the first look of the champions."""
    planned = planned_looks(spec, finalists)
    end = planned[1] if len(planned) > 1 else planned[0]
    most, seeds = most_runs(spec, finalists), planned[-1]
    todays = 0 if spec.today is None else 1
    champions = (most - todays * seeds - finalists * planned[0]) // max(1, seeds - planned[0])
    return finalists * planned[0] + champions * (end - planned[0]) + todays * end


def _seconds(
    spec: ResolvedSpec, rates: _Rates | None, cost: PlannedCost | None
) -> tuple[float | None, float | None, float | None]:
    """The least, the expected and the most seconds by the clock."""
    if spec.budget.minutes is not None:
        return (None, 60 * spec.budget.minutes, None)
    if rates is None or cost is None:
        return (None, None, None)
    usual = math.fsum(rates.trial_seconds.values()) / len(rates.trial_seconds)
    search = math.fsum(spec.trials_of(label) * rates.trial_seconds[label] for label in spec.labels)
    share = search_share(spec.pruning)
    low = (share * search + cost.confirm_least * usual) * rates.low
    expected = share * search + cost.confirm * usual
    high = (search + cost.confirm * usual) * rates.high
    return (low * rates.clock, expected * rates.clock, high * rates.clock)


# -- chances -------------------------------------------------------------------------------------------


def _leads(spec: ResolvedSpec, past: PastJobs) -> str:
    """Say what a lead is counted in."""
    beyond = "" if spec.margin is None else f", and are counted beyond the margin of {spec.margin}"
    unit = f"Leads are in standard deviations of one config's value over fresh seeds{beyond}"
    if past.spread is None:
        return (
            f"{unit}. How large that is here, no past job with this workload, metric and number of epochs "
            "tells."
        )
    return f"{unit}. In job {past.spread.uid} that was {past.spread.deviation:.3g} {spec.goal.metric}."


def _power(
    spec: ResolvedSpec, deviation: float | None, *, is_counted: bool, basis: list[str]
) -> tuple[Power, list[BudgetFor]]:
    labels, budget = len(spec.labels), spec.budget
    if labels < 2:
        basis.append("With one optimizer there is nobody to beat, so no verdict names a winner.")
        return Power(config=[], optimizer=[]), []
    if labels > MOST_OPTIMIZERS or spec.rules < 2:
        why = (
            f"jobs are simulated with at most {MOST_OPTIMIZERS} optimizers, and this one has {labels}"
            if labels > MOST_OPTIMIZERS
            else "only jobs by rules 2 are simulated"
        )
        basis.append(f"There are no chances: {why}.")
        return Power(config=[], optimizer=[]), []
    trials = budget.study_trials if is_counted else max(1, TRIALS // budget.replicates)
    design = Design(labels, budget.replicates, budget.confirm_seeds, trials)
    basis.append(_of_draws(design, labels))
    if budget.replicates < 2:
        basis.append("With one study of each optimizer there is no verdict on optimizers.")
    return _chances(design, deviation), _budgets(design, deviation, basis)


def _of_draws(design: Design, labels: int) -> str:
    studies = "one study" if design.replicates == 1 else f"{design.replicates} studies"
    return (
        f"The chances are shares of {design.draws:,} simulated jobs with {labels} optimizers, {studies} of "
        f"{design.study_trials} trials each and {design.seeds} fresh seeds, judged as this job will be. One "
        "optimizer leads all others by as much, and its runs with a seed are strongly paired with theirs, or "
        "weakly. The config verdict counts as right if the config that it names is truly the best, whichever "
        "optimizer has it: with small leads that is often another, whose search was luckier."
    )


def _chances(design: Design, deviation: float | None) -> Power:
    weak = Design(design.optimizers, design.replicates, design.seeds, design.study_trials, strong=False)

    def rows(strongly: tuple[float, ...], weakly: tuple[float, ...]) -> list[LeadChance]:
        return [
            LeadChance(lead=lead, value=_value(lead, deviation), chance=chance, weak=low)
            for lead, chance, low in zip(LEADS, strongly, weakly, strict=True)
        ]

    return Power(
        config=rows(config_chances(design, LEADS), config_chances(weak, LEADS)),
        optimizer=[]
        if design.replicates < 2
        else rows(optimizer_chances(design, LEADS), optimizer_chances(weak, LEADS)),
    )


def _budgets(design: Design, deviation: float | None, basis: list[str]) -> list[BudgetFor]:
    """The budgets by lead, within what a job may have."""
    searched = design.replicates * design.study_trials
    seeds = (MAX_TRIALS // design.optimizers - searched) // (design.replicates + 1)
    study = design.study_trials + design.seeds
    studies = min(
        (MAX_TRIALS // design.optimizers - design.seeds) // study, MOST_TRIALS // design.study_trials
    )
    found = zip(
        LEADS,
        seeds_for(design, LEADS, min(MOST_SEEDS, seeds)),
        studies_for(design, LEADS, min(MOST_STUDIES, studies)),
        strict=True,
    )
    budgets = [
        BudgetFor(
            lead=lead,
            value=_value(lead, deviation),
            seeds=fewest,
            replicates=least,
            trials=None if least is None else least * design.study_trials,
        )
        for lead, fewest, least in found
    ]
    paired = "The least budgets are for runs that are strongly paired."
    if any(None in (row.seeds, row.replicates) for row in budgets):
        paired += (
            f" Too many means more than {min(MOST_SEEDS, seeds)} fresh seeds, or more than "
            f"{min(MOST_STUDIES, studies)} studies, which no job may have."
        )
    basis.append(paired)
    return budgets


def _value(lead: float, deviation: float | None) -> float | None:
    return None if deviation is None else lead * deviation

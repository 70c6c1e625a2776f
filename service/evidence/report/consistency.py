"""Checks the raw results of a report against its spec and each other; names each contradiction.

A trial's plan follows from the spec (seeds, training, budget) and its result says several things twice
(the value and the metrics, the metrics and the ends of the curves), so that a number that was changed, or a
trial that was left out or added, shows before any conclusion is drawn.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from whichopt.service.batches import NOISE_CURVE
from whichopt.service.configs import room
from whichopt.service.evidence.report.examples import contradictions_by_example
from whichopt.service.evidence.report.samples import contradictions_of_sample
from whichopt.service.evidence.report.todays_consistency import todays_contradictions
from whichopt.service.evidence.verdict.confirm_table import arms_at
from whichopt.service.evidence.verdict.todays_runs import own_trials
from whichopt.service.planning.finalists import finalists
from whichopt.service.planning.looks import planned_looks
from whichopt.service.seeds import trial_seeds
from whichopt.service.space import Categorical, Float, Int
from whichopt.service.spec import TODAY, ResolvedSpec
from whichopt.service.states import Origin, Phase, TrialState
from whichopt.service.trial_set import TrialSet, counted
from whichopt.service.trials import Point, Trial, TrialPlan, TrialResult


def inconsistencies(
    spec: ResolvedSpec, trials: Sequence[Trial], *, cut_short: bool, concluded_seeds: int | None = None
) -> list[str]:
    """Return the contradictions in the trials, in the order of the phases; none for a job as recorded.

    Of a job that was concluded by request, runs on later fresh seeds may have been cancelled.
    """
    known = [trial for trial in trials if trial.plan.label in spec.trained_labels]
    own, that_count = own_trials(spec, known), counted(known, concluded_seeds)
    left = {id(trial) for trial in known if trial.result is None} - set(map(id, that_count))
    return [
        *_places(spec),
        *(
            f"{named(trial.plan)}: no optimizer of the spec has that label"
            for trial in trials
            if trial.plan.label not in spec.trained_labels
        ),
        *(
            f"{named(trial.plan)}: {contradiction}"
            for trial in known
            for contradiction in _plan(spec, trial.plan)
        ),
        *(
            f"{named(trial.plan)}: {contradiction}"
            for trial in known
            if id(trial) not in left
            for contradiction in _result(spec, trial, cut_short=cut_short)
        ),
        *(
            f"{named(trial.plan)}: {contradiction}"
            for trial in known
            for contradiction in (*contradictions_by_example(spec, trial), *contradictions_of_sample(trial))
        ),
        *_search(spec, own, cut_short=cut_short),
        *_confirm(spec, own_trials(spec, that_count)),
        *([] if cut_short else _concluded(spec, own, concluded_seeds)),
        *todays_contradictions(spec, that_count),
    ]


def named(plan: TrialPlan) -> str:
    """Name the trial in words."""
    if plan.phase is Phase.SEARCH:
        return f"search trial {plan.number} of {plan.label}, study {plan.replicate}"
    if plan.label == TODAY and plan.origin is Origin.USER:
        return f"confirm run of today's config on fresh seed {plan.number}"
    which = "its default" if plan.replicate is None else f"the config of study {plan.replicate}"
    return f"confirm run of {plan.label} ({which}) on fresh seed {plan.number}"


def _places(spec: ResolvedSpec) -> Iterator[str]:
    """Check that each optimizer has one place in the catalog, and has it alone."""
    places = {(chosen.name, chosen.place) for chosen in spec.optimizers}
    for name, count in Counter(name for name, _ in places).items():
        if count > 1:
            yield f"the optimizer {name} has {count} places in the catalog"
    for place, count in Counter(place for _, place in places).items():
        if count > 1:
            yield f"{count} optimizers have the place {place} in the catalog"


# -- plans ---------------------------------------------------------------------------------------------


def _plan(spec: ResolvedSpec, plan: TrialPlan) -> Iterator[str]:
    chosen = spec.optimizer(plan.label)
    if plan.optimizer != chosen.name:
        yield f"it trained {plan.optimizer}, but the spec says {chosen.name}"
    if plan.training != spec.training_of(plan.label, plan.config):
        yield "batch size, schedule or clipping are not the spec's"
    length = spec.budget.epochs * spec.sizes.train
    if plan.length != length or plan.evaluations[-1] != length:
        yield f"it was planned for {plan.length} {spec.unit}, but the spec's budget is {length}"
    number = plan.replicate if plan.phase is Phase.SEARCH else plan.number
    if plan.seeds != trial_seeds(spec.seed, plan.phase, number or 0):
        yield f"its seeds do not follow from the spec's seed {spec.seed}"
    if plan.config == chosen.default:
        return
    if unknown := sorted(plan.config.keys() - chosen.space.keys()):
        yield f"its config has {', '.join(map(repr, unknown))}, which the spec's space lacks"
    for name, allowed in chosen.space.items():
        value = plan.config.get(name)
        if value is None:
            yield f"its config has no {name}"
        elif isinstance(allowed, Float | Int | Categorical):
            if not allowed.contains(value):
                yield f"its {name} {value} is outside the searched space, {allowed.allowed()}"
        elif value != chosen.default[name]:
            yield f"its {name} is {value}, but the spec fixes it at {chosen.default[name]}"


# -- results -------------------------------------------------------------------------------------------


def _result(spec: ResolvedSpec, trial: Trial, *, cut_short: bool) -> Iterator[str]:
    plan, result = trial.plan, trial.result
    by_time = cut_short and plan.phase is Phase.SEARCH and trial.state is TrialState.CANCELLED
    if result is None and by_time:
        return
    if result is None or (trial.state is TrialState.CANCELLED and not by_time):
        yield f"it has no result ({trial.state})"
        return
    if result.state is not trial.state:
        yield f"it is {trial.state}, but its result says {result.state}"
    metric = spec.goal.metric
    split = "validation" if plan.phase is Phase.SEARCH else spec.workload.judged_split
    if result.state is TrialState.COMPLETE:
        scored = result.metrics.get(split, {}).get(metric)
        if result.value is None or scored is None:
            yield f"it is complete, but has no {split} {metric}"
        elif result.value != scored:
            yield f"its value is {result.value}, but its {split} {metric} is {scored}"
        if not _complete(spec, plan, result):
            yield f"it is complete after {result.examples} of {plan.length} {spec.unit}"
    elif result.value is not None:
        yield f"it is {result.state}, but has a value"
    diverged = result.state is TrialState.DIVERGED and plan.phase is Phase.CONFIRM
    if diverged and spec.guest is None and result.reference is None:
        yield "it diverged, but the score of a constant predictor is missing"
    numbers = [*(v for scores in result.metrics.values() for v in scores.values()), result.seconds]
    if not all(map(math.isfinite, numbers)) or result.seconds < 0:
        yield "a metric or its time is not a finite number"
    yield from _start(spec, result)
    yield from _curves(spec, result)
    yield from _pruning(plan, result, spec)


def _complete(spec: ResolvedSpec, plan: TrialPlan, result: TrialResult) -> bool:
    """Tell if a complete trial has the length of one; a function may stop earlier by itself."""
    if spec.guest is not None:
        return 1 <= result.examples <= plan.length
    return result.examples == plan.length


def _start(spec: ResolvedSpec, result: TrialResult) -> Iterator[str]:
    """Check what a trial of a function started from, which no other trial has."""
    if spec.guest is None:
        if result.start is not None:
            yield "it has the start of a function, but the workload is of the catalog"
        return
    if result.state is TrialState.COMPLETE and result.start is None:
        yield "it is complete, but nothing says what it started from"
    known = spec.guest.rehearsed
    if result.start is not None and known is not None and result.start.count != known.params:
        yield f"it trained {result.start.count} params, but the rehearsal says {known.params}"


def _curves(spec: ResolvedSpec, result: TrialResult) -> Iterator[str]:
    ends = result.metrics.get("validation", {})
    for name, curve in result.curves.items():
        split, _, metric = name.partition(".")
        if any(b.examples <= a.examples for a, b in pairwise(curve)):
            yield f"its curve {name} does not go forward"
        if not curve or result.state is TrialState.DIVERGED or name == NOISE_CURVE:
            continue  # the noise of a gradient of 0 is no number, and has no point
        last = curve[-1]
        # A function may step after its last report, and say by `run.result` which of its models counts.
        after = spec.guest is not None and last.step < result.steps and last.examples == result.examples
        if (last.step, last.examples) != (result.steps, result.examples) and not after:
            yield (
                f"its curve {name} ends at step {last.step} ({last.examples} {spec.unit}), but the trial at "
                f"step {result.steps} ({result.examples})"
            )
        if spec.guest is not None:
            continue
        if split == "validation" and metric in ends and ends[metric] != last.value:
            yield f"its curve {name} ends at {last.value}, but its validation {metric} is {ends[metric]}"


def _pruning(plan: TrialPlan, result: TrialResult, spec: ResolvedSpec) -> Iterator[str]:
    """Check that a trial is pruned at the first evaluation past a rung that it misses, and nowhere else."""
    goal = spec.goal
    points = result.curves.get(goal.curve, [])
    judged = points[:-1] if result.state is TrialState.COMPLETE else points
    missed = [i for i, point in enumerate(judged) if _misses(plan, points, i, point, goal.sign)]
    if result.state is TrialState.PRUNED and missed != [len(points) - 1]:
        yield "it is pruned, but its curve misses no rung at its end"
    if result.state is not TrialState.PRUNED and missed:
        yield f"it is {result.state}, but its curve misses a rung at {points[missed[0]].examples} {spec.unit}"


def _misses(plan: TrialPlan, points: Sequence[Point], at: int, point: Point, sign: float) -> bool:
    before = points[at - 1].examples if at else 0
    return any(
        before < rung.examples <= point.examples and sign * point.value > sign * rung.threshold
        for rung in plan.rungs
    )


# -- the design ----------------------------------------------------------------------------------------


def _search(spec: ResolvedSpec, trials: Sequence[Trial], *, cut_short: bool) -> Iterator[str]:
    """Check that every study has the trials of its budget, once each, the default first."""
    most = 0 if spec.budget.timed else spec.budget.study_trials
    studies = TrialSet(spec, trials).by_study
    ran = {
        label: max((len(study) for (whose, _), study in studies.items() if whose == label), default=0)
        for label in spec.labels
    }
    wanted = {(label, replicate) for label in spec.labels for replicate in range(spec.budget.replicates)}
    for label, replicate in sorted(studies.keys() - wanted, key=str):
        yield f"there is a study {replicate} of {label}, but the spec has {spec.budget.replicates} of each"
    for label, replicate in sorted(wanted):
        study = studies.get((label, replicate), ())
        counts = Counter(trial.plan.number for trial in study)
        # Equal seconds are other numbers of trials for each, and time that ran out ends all at one round.
        asked = ran[label] if spec.budget.timed else max(ran.values()) if cut_short else most
        whose = f"study {replicate} of {label}"
        chosen = spec.optimizer(label)
        least = min(asked, room(chosen.searched, chosen.default))  # earlier versions trained a config twice
        if missing := sorted(set(range(least)) - set(counts)):
            yield f"{whose}: of {least} search trials {_numbers(missing)} missing"
        if over := sorted(number for number, count in counts.items() if count > 1 or number >= asked):
            yield f"{whose}: search trials {_numbers(over)} more than its budget gives it"
        first = next((trial for trial in study if trial.plan.number == 0), None)
        if first is not None and first.plan.config != spec.optimizer(label).default:
            yield f"{whose}: its first trial is not the default setting"


def _confirm(spec: ResolvedSpec, trials: Sequence[Trial]) -> Iterator[str]:
    """Check that every finalist ran once on each of the fresh seeds, and nothing else did."""
    arms = {arm.key: arm for arm in finalists(spec, trials)}
    confirm = TrialSet(spec, trials).by_finalist
    runs = {key: Counter(trial.plan.number for trial in confirm.get(key, ())) for key in arms}
    strange: Counter[str] = Counter()
    for key, stray in confirm.items():
        if key not in arms:
            strange[key[0]] += len(stray)
    for label, count in strange.items():
        yield (
            f"{count} confirm runs of {label} are of a config that no study chose and that is not its "
            "default: by the search trials, another config is a finalist"
        )
    seeds = set().union(*(set(runs[key]) for key in arms))
    most = planned_looks(spec, len(arms))[-1]
    if beyond := sorted(number for number in seeds if number >= most):
        yield f"fresh seeds {_numbers(beyond)} beyond the {most} that the spec allows"
    first = planned_looks(spec, len(arms))[0]
    later = set(arms)
    # Of finalists that have no runs, as the search says now, there is no champion to be told.
    if all(runs.values()) and any(seed >= first for seed in seeds):
        later = {arm.key for arm in arms_at(spec, trials, first)}
    for key, arm in arms.items():
        which = "default" if arm.replicate is None else f"config of study {arm.replicate}"
        whose = f"{arm.label}, {which}"
        if missing := sorted(seed for seed in seeds - set(runs[key]) if seed < first or key in later):
            yield f"{whose}: its confirm runs on fresh seeds {_numbers(missing)} missing"
        if extra := sorted(seed for seed in runs[key] if seed >= first and key not in later):
            yield (
                f"{whose}: its confirm runs on fresh seeds {_numbers(extra)} there, but by the first "
                f"stage another config is the champion of {arm.label}"
            )
        if twice := sorted(number for number, count in runs[key].items() if count > 1):
            yield f"{whose}: its confirm runs on fresh seeds {_numbers(twice)} there more than once"


def _concluded(spec: ResolvedSpec, trials: Sequence[Trial], seeds: int | None) -> Iterator[str]:
    """Check that a job that was concluded by request has ended at a look."""
    if seeds is None:
        return
    if seeds not in (looks := planned_looks(spec, len(finalists(spec, trials)))):
        yield (
            f"the job was concluded by request after {seeds} fresh seeds, but by its spec there are looks "
            f"after {', '.join(map(str, looks))}"
        )
    for trial in trials:
        is_later = trial.plan.phase is Phase.CONFIRM and trial.plan.number >= seeds
        if is_later and trial.result is None and trial.state is not TrialState.CANCELLED:
            yield f"{named(trial.plan)}: it has no result ({trial.state})"


def _numbers(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:5]))
    return f"{shown}{' and more' if len(numbers) > 5 else ''} {'is' if len(numbers) == 1 else 'are'}"

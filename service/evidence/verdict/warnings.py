"""Warns the reader of a recommendation; each JobWarning has a stable code.

search_cut_short    max_seconds ended the search          search_diverged   more than a quarter of the trials
confirm_cut_short   time ended confirm while it was open
few_seeds           less than 5 fresh seeds               few_replicates    less than 3 studies each of two
untrained           every finalist of it diverged
finalist_diverged   its optimizer cannot win              default_diverged  scored as a constant predictor
study_empty         the default stood in                  default_best      tuning found nothing better
edge                a study's best lies at a range's end  winners_curse     searched value was the luckier
unequal_spaces      open to one and fixed for another     fixed_test_split  always
under_tuned         lost to a special case of its own     inclusion_excluded  so, but a range keeps it out
mixed_environments  trained where results may differ in the last digits
few_configs         its space had no more to try          mixed_executors    some solo, some stacked
skewed              runs have a long tail to one side     last_bits          they depend on the company
no_test_split       of a function: nobody holds one back  unpaired           trials of a seed began otherwise
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from whichopt.service.batches import grows
from whichopt.service.environment import Environment
from whichopt.service.evidence.statistics.estimates import ALPHA, mean_estimate
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable
from whichopt.service.evidence.verdict.divergence import what_to_change
from whichopt.service.evidence.verdict.exhausted import exhausted
from whichopt.service.evidence.verdict.guest_warnings import guest_warnings, stand_in
from whichopt.service.evidence.verdict.skewness import skewness_of
from whichopt.service.evidence.verdict.special_cases import inclusion_warnings
from whichopt.service.planning.finalists import judged, study_bests
from whichopt.service.planning.looks import planned_looks
from whichopt.service.space import Categorical
from whichopt.service.spec import ResolvedOptimizer, ResolvedSpec
from whichopt.service.states import Phase, TrialState
from whichopt.service.trial_set import TrialSet
from whichopt.service.trials import Trial
from whichopt.service.views import JobWarning

FEW_SEEDS, FEW_REPLICATES = 5, 3
DIVERGED_SHARE = 0.25

FAMILIES = {
    "eps": ("eps",),
    "weight decay": ("weight_decay",),
    "momentum": ("momentum", "beta1"),
}
"""Hyperparameters that are searched for all optimizers that have them, or for none; with each one's names."""

OF_TRAINING = {"batch size": "batch_size", "schedule": "schedule", "warm-up": "warmup"}
"""Parts of the training of which the same holds, though no optimizer has them."""


def job_warnings(
    spec: ResolvedSpec,
    trials: Sequence[Trial],
    table: ConfirmTable,
    *,
    cut_short: bool,
    environments: Sequence[Environment] = (),
    level: float = ALPHA,
) -> list[JobWarning]:
    """Return all warnings of a job, in the order in which they are shown."""
    searched = TrialSet(spec, trials).searched
    return [
        *_budget(spec, trials, table, cut_short),
        *_agreement(spec),
        *_executors(spec),
        *_environments(environments),
        *_diverged(spec, table),
        *_untrained(spec, trials, table),
        *_skewed(table),
        *_searches(spec, trials, searched),
        *_exhausted(spec, searched),
        *_edges(spec, trials),
        *_tuning(spec, searched, table),
        *unequal_spaces(spec),
        *([] if table.has_nothing else inclusion_warnings(spec, table.finalists, level=level)),
        *([] if spec.guest is None else guest_warnings(spec.guest, trials)),
        *_test_split(spec),
    ]


def _test_split(spec: ResolvedSpec) -> Iterator[JobWarning]:
    if spec.workload.judged_split == "validation":
        return  # another warning says that there is none
    rows, other = f"{spec.sizes.test} test examples", "choosing a different test split"
    if spec.guest is not None:
        rows = "test part"
    elif spec.cataloged.shape.tokens is not None:
        rows, other = f"{spec.sizes.test} windows of one text", "another text"
    yield JobWarning(
        code="fixed_test_split",
        detail=f"All runs were scored on the same {rows}, so the intervals over "
        f"seeds do not cover the effect of {other}.",
    )


def _budget(
    spec: ResolvedSpec, trials: Sequence[Trial], table: ConfirmTable, cut_short: bool
) -> Iterator[JobWarning]:
    seeds, replicates = len(table.seeds), spec.budget.replicates
    ended = len(TrialSet(spec, trials).searched)
    if cut_short and ended < spec.asked_trials:
        limit = "twice its minutes" if spec.budget.timed else "max_seconds"
        yield JobWarning(
            code="search_cut_short",
            detail=f"The search ended after {ended} of {spec.asked_trials} trials, because {limit} was over."
            f"{_stopped(spec, trials, ended)} Confirm ran with {seeds} seed{'s' if seeds > 1 else ''}.",
        )
    elif cut_short:
        yield JobWarning(
            code="confirm_cut_short",
            detail=f"Time ran out after {table.all_seeds} of at most {_most(spec, table)} fresh seeds, while "
            "the outcome was still open.",
        )
    if seeds < FEW_SEEDS:
        yield JobWarning(
            code="few_seeds",
            detail=f"With {seeds} fresh seed{'s' if seeds > 1 else ''}, only large differences between "
            "configs show.",
        )
    if replicates < FEW_REPLICATES and len(spec.labels) > 1:  # with one there is no verdict on optimizers
        yield JobWarning(
            code="few_replicates",
            detail="With 1 study each, there is no verdict on optimizers."
            if replicates == 1
            else f"With {replicates} studies each, the verdict on optimizers has little power.",
        )


def _most(spec: ResolvedSpec, table: ConfirmTable) -> int:
    return planned_looks(spec, len(table.finalists.arms))[-1]


def _stopped(spec: ResolvedSpec, trials: Sequence[Trial], ended: int) -> str:
    """Say what became of the trials that had no time to reach their end."""
    stopped = sum(trial.plan.phase is Phase.SEARCH and not trial.state.has_result for trial in trials)
    unused = ended - len(judged(spec, trials))
    text = ""
    if stopped:
        text = f" {stopped} more had started or were waiting, and {_have(stopped)} no value."
    if unused:
        text += f" {unused} of those that ended came after one that did not, and {_do(unused)} not count"
        text += ", so that all optimizers have equally many." if len(spec.labels) > 1 else "."
    return text


def _have(number: int) -> str:
    return "has" if number == 1 else "have"


def _do(number: int) -> str:
    return "does" if number == 1 else "do"


def _agreement(spec: ResolvedSpec) -> Iterator[JobWarning]:
    if spec.agreement == "close":
        yield JobWarning(
            code="last_bits",
            detail="On this job's workers, the last bits of a result depend on which trials train beside it, "
            "so values may differ slightly if the job is run again. To avoid this on x86 CPUs, start the "
            "workers with MKL_CBWR unset or set to AUTO.",
        )


def _executors(spec: ResolvedSpec) -> Iterator[JobWarning]:
    if spec.trained_by == "mixed":
        solo, stacked = (
            ", ".join(label for label in spec.trained_labels if spec.executor_of(label) == executor)
            for executor in ("solo", "stacked")
        )
        yield JobWarning(
            code="mixed_executors",
            detail=f"Trials of {solo} were trained solo and those of {stacked} in stacks. The two round "
            "differently, so they agree only within a tolerance, and a small difference between these "
            "optimizers may come from that. To rule it out, send the job again with executor solo.",
        )


def _environments(environments: Sequence[Environment]) -> Iterator[JobWarning]:
    first, *others = environments or (None,)
    differences = [one for other in others if first is not None for one in first.differences(other)]
    if differences:
        shown = "; ".join(dict.fromkeys(f"{name} {mine} and {theirs}" for name, mine, theirs in differences))
        yield JobWarning(
            code="mixed_environments",
            detail=f"Trials were trained in {len(environments)} environments that may round differently "
            f"({shown}). Between them, runs of the same config and seed agree only within a tolerance. To "
            "rule that out, train a job on workers that are alike.",
        )


def _diverged(spec: ResolvedSpec, table: ConfirmTable) -> Iterator[JobWarning]:
    scores = "what a constant predictor scores" if spec.guest is None else stand_in(spec.guest)
    for label in table.labels:
        with_default = table.with_default(label)
        default = with_default.default(label)
        if label in table.barred:
            count = table.diverged_runs(label)
            yield JobWarning(
                code="finalist_diverged",
                detail=f"{_runs(count)} of its finalists diverged (a diverged run scores {scores})"
                f"{', so it cannot win' if len(table.labels) > 1 else ''}.",
                optimizer=label,
            )
        elif broken := with_default.diverged[default]:
            yield JobWarning(
                code="default_diverged",
                detail=f"{_runs(broken)} of its default diverged (a diverged run scores "
                f"{scores}). Its tuned configs did not diverge.",
                optimizer=label,
            )


def _runs(number: int) -> str:
    return f"{number} confirm run{'' if number == 1 else 's'}"


def _untrained(spec: ResolvedSpec, trials: Sequence[Trial], table: ConfirmTable) -> Iterator[JobWarning]:
    for label in table.labels:
        if table.shows_stand_ins or not table.diverged[table.best(label)]:
            continue
        yield JobWarning(
            code="untrained",
            detail="None of its finalists trained on every fresh seed, so it has no config to deploy. "
            f"What to change: {what_to_change(spec, trials, [label])}.",
            optimizer=label,
        )


def looks_skewed(table: ConfirmTable) -> bool:
    """Tell if the finalists' runs, taken together, have a long tail to one side."""
    return skewness_of(table).kappa != 0


def _skewed(table: ConfirmTable) -> Iterator[JobWarning]:
    if looks_skewed(table):
        kappa = skewness_of(table).kappa
        side = "worse" if kappa > 0 else "better"
        yield JobWarning(
            code="skewed",
            detail=f"A few runs are much {side} than the others (the skewness of the loss is {kappa:.2g}), "
            "so intervals may cover the truth less often than they claim. The tests for a winner allow for "
            "this.",
        )


def _searches(spec: ResolvedSpec, trials: Sequence[Trial], searched: Sequence[Trial]) -> Iterator[JobWarning]:
    best = study_bests(spec, trials)
    for label in spec.labels:
        theirs = [trial for trial in searched if trial.plan.label == label]
        diverged = sum(trial.state is TrialState.DIVERGED for trial in theirs)
        if theirs and diverged / len(theirs) > DIVERGED_SHARE:
            yield JobWarning(
                code="search_diverged",
                detail=f"{diverged} of its {len(theirs)} search trials diverged.",
                optimizer=label,
            )
        empty = sum((label, r) not in best for r in range(spec.budget.replicates))
        if empty:
            yield JobWarning(
                code="study_empty",
                detail=f"{empty} of its {spec.budget.replicates} studies {_have(empty)} no complete trial; "
                f"the default stands in for {'it' if empty == 1 else 'them'}.",
                optimizer=label,
            )


def _exhausted(spec: ResolvedSpec, searched: Sequence[Trial]) -> Iterator[JobWarning]:
    for label, configs in exhausted(spec, searched).items():
        yield JobWarning(
            code="few_configs",
            detail=f"Its space has only {configs} config{'s' if configs > 1 else ''}. Each of its "
            f"{spec.budget.replicates} studies trained {'all of them' if configs > 1 else 'it'} once, and "
            "the rest of its budget was not spent.",
            optimizer=label,
        )


def _edges(spec: ResolvedSpec, trials: Sequence[Trial]) -> Iterator[JobWarning]:
    best = study_bests(spec, trials)
    for optimizer in spec.optimizers:
        configs = [
            trial.plan.config for (label, _), trial in sorted(best.items()) if label == optimizer.label
        ]
        for name in optimizer.facts.edges:
            dimension = optimizer.searched.get(name)
            if dimension is None or isinstance(dimension, Categorical):
                continue
            at_edge = [
                (value, end)
                for value in (config[name] for config in configs)
                # A default may lie outside its range, where it has no position on the range's scale.
                if dimension.contains(value)
                and not isinstance(value, str)
                and (end := dimension.edge(value)) is not None
            ]
            if at_edge:
                values = ", ".join(f"{value:.3g} ({end})" for value, end in at_edge)
                yield JobWarning(
                    code="edge",
                    detail=f"In {len(at_edge)} of its {spec.budget.replicates} studies, the best {name} lies "
                    f"at an end of its range ({dimension.allowed()}): {values}. A wider range may do better.",
                    optimizer=optimizer.label,
                )


def _tuning(spec: ResolvedSpec, searched: Sequence[Trial], table: ConfirmTable) -> Iterator[JobWarning]:
    fixed = {label for label, configs in exhausted(spec, searched).items() if configs == 1}
    for label in table.labels:
        best, every = table.best(label), table.finalists
        arm, validation = table.arms[best], table.validation[best]
        tuned = [i for i in every.of(label) if not every.arms[i].is_default]
        default = every.default(label)
        if spec.budget.study_trials == 1 or label in fixed:
            continue  # nothing was tuned
        compared = all(every.shown(i) for i in (default, *tuned))
        if compared and all(every.means[default] < every.means[i] for i in tuned):
            yield JobWarning(
                code="default_best",
                detail="Its default has a better mean than every config that its studies found."
                if tuned
                else "None of its studies found a config that is better than the default.",
                optimizer=label,
            )
        if arm.searched_value is None or validation is None:
            continue
        confirm = mean_estimate([table.sign * value for value in validation])
        low, high = confirm.bounds(ALPHA / 2)
        if low is not None and high is not None and table.sign * arm.searched_value < low:
            ends = sorted((table.sign * low, table.sign * high))
            yield JobWarning(
                code="winners_curse",
                detail=f"The validation value of its best config was {arm.searched_value:.4g} in search and "
                f"{table.sign * confirm.mean:.4g} on fresh seeds (95% interval {ends[0]:.4g} to "
                f"{ends[1]:.4g}), because search picks the luckier runs.",
                optimizer=label,
            )


def unequal_spaces(spec: ResolvedSpec) -> Iterator[JobWarning]:
    """Warn of families of hyperparameters that are searched for some optimizers and fixed for others."""
    for family, names in FAMILIES.items():
        has = {
            optimizer.label: any(name in optimizer.searched for name in names)
            for optimizer in spec.optimizers
            if any(name in optimizer.space for name in names)
        }
        yield from _unequal(family, has)
    for family, name in OF_TRAINING.items():
        yield from _unequal(
            family,
            {
                optimizer.label: _opens(optimizer, name)
                for optimizer in spec.optimizers
                if not (optimizer.facts.own_schedule and name != "batch_size")
            },
            opened_by="is searched or grows" if name == "batch_size" else "is searched",
        )


def _opens(optimizer: ResolvedOptimizer, name: str) -> bool:
    """Tell if the optimizer's trials differ in that part of their training, or their batches grow."""
    if name == "batch_size" and grows(optimizer.facts.of_training(optimizer.default)):
        return True
    return name in optimizer.facts.of_training(optimizer.searched)


def _unequal(family: str, has: Mapping[str, bool], *, opened_by: str = "is searched") -> Iterator[JobWarning]:
    opened = [label for label, is_open in has.items() if is_open]
    fixed = [label for label, is_open in has.items() if not is_open]
    if opened and fixed:
        yield JobWarning(
            code="unequal_spaces",
            detail=f"The comparison favors the optimizers with more to tune: {family} {opened_by} for "
            f"{', '.join(opened)} but fixed for {', '.join(fixed)}.",
        )

"""What a reader of a recommendation has to know besides: one JobWarning each, with a stable code.

search_cut_short    max_seconds ended the search          search_diverged   more than a quarter of the trials
confirm_cut_short   time ended confirm while it was open
few_seeds           less than 5 fresh seeds               few_replicates    less than 3 studies each of two
untrained           every finalist of it diverged
finalist_diverged   its optimizer cannot win              default_diverged  scored as a constant predictor
study_empty         the default stood in                  default_best      tuning found nothing better
edge                a study's best lies at a range's end  winners_curse     searched value was the luckier
unequal_spaces      open to one and fixed for another     fixed_test_split  always
under_tuned         lost to a special case of its own     inclusion_excluded  so, but a range keeps it out
few_configs         its space had no more to try
skewed              runs have a long tail to one side     last_bits          they depend on the company
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from service.catalog import optimizers
from service.evidence.audit import inclusion_warnings
from service.evidence.confirmed import Confirmed
from service.evidence.divergence import what_to_change
from service.evidence.exhausted import exhausted
from service.evidence.finalists import judged, study_bests
from service.evidence.skew import shape_of
from service.evidence.stats import ALPHA, mean_estimate
from service.space import Categorical
from service.spec import ResolvedSpec
from service.states import Phase, TrialState
from service.trials import Trial
from service.views import JobWarning

FEW_SEEDS, FEW_REPLICATES = 5, 3
DIVERGED_SHARE = 0.25

FAMILIES = {
    "eps": ("eps",),
    "weight decay": ("weight_decay",),
    "momentum": ("momentum", "beta1"),
}
"""Hyperparameters that are open to all optimizers that have them, or to none; by what each calls them."""


def job_warnings(
    spec: ResolvedSpec,
    trials: Sequence[Trial],
    confirmed: Confirmed,
    *,
    cut_short: bool,
    level: float = ALPHA,
) -> list[JobWarning]:
    searched = [trial for trial in trials if trial.plan.phase is Phase.SEARCH and trial.state.has_result]
    return [
        *_budget(spec, trials, confirmed, cut_short),
        *_agreement(spec),
        *_diverged(confirmed),
        *_untrained(spec, trials, confirmed),
        *_shape(confirmed),
        *_searches(spec, trials, searched),
        *_exhausted(spec, searched),
        *_edges(spec, trials),
        *_tuning(spec, searched, confirmed),
        *unequal_spaces(spec),
        *([] if confirmed.has_nothing else inclusion_warnings(spec, confirmed, level=level)),
        JobWarning(
            code="fixed_test_split",
            detail=f"every run was scored on the same {spec.sizes.test} test examples; what another "
            "test split would change is in none of the intervals",
        ),
    ]


def _budget(
    spec: ResolvedSpec, trials: Sequence[Trial], confirmed: Confirmed, cut_short: bool
) -> Iterator[JobWarning]:
    seeds, replicates = len(confirmed.seeds), spec.budget.replicates
    ended = sum(trial.plan.phase is Phase.SEARCH and trial.state.has_result for trial in trials)
    if cut_short and ended < spec.asked_trials:
        limit = "twice its minutes" if spec.budget.timed else "max_seconds"
        yield JobWarning(
            code="search_cut_short",
            detail=f"{limit} ended the search after {ended} of {spec.asked_trials} trials;"
            f"{_stopped(spec, trials, ended)} confirm ran with {seeds} seeds",
        )
    elif cut_short:
        yield JobWarning(
            code="confirm_cut_short",
            detail=f"the time was over after {seeds} of at most {spec.budget.confirm_seeds} fresh seeds, and "
            "the outcome was still open",
        )
    if seeds < FEW_SEEDS:
        yield JobWarning(
            code="few_seeds", detail=f"with {seeds} fresh seeds only large differences between configs show"
        )
    if replicates < FEW_REPLICATES and len(spec.labels) > 1:  # with one there is no verdict on optimizers
        yield JobWarning(
            code="few_replicates",
            detail="with 1 study each there is no verdict on optimizers"
            if replicates == 1
            else f"with {replicates} studies each the verdict on optimizers has little power",
        )


def _stopped(spec: ResolvedSpec, trials: Sequence[Trial], ended: int) -> str:
    """What became of the trials that time did not leave to their end."""
    stopped = sum(trial.plan.phase is Phase.SEARCH and not trial.state.has_result for trial in trials)
    unused = ended - len(judged(spec, trials))
    said = f" {stopped} more were begun or waited, and have no value;" if stopped else ""
    if unused:
        said += f" {unused} of those that ended came after one that did not, and do not count"
        said += ", so that all optimizers have as many;" if len(spec.labels) > 1 else ";"
    return said


def _agreement(spec: ResolvedSpec) -> Iterator[JobWarning]:
    if spec.agreement == "close":
        yield JobWarning(
            code="last_bits",
            detail="on the workers of this job the last bits of a result depend on which trials are trained "
            "beside it; trained again, values may differ a little. On x86 CPUs, workers that are started "
            "without MKL_CBWR set, or with MKL_CBWR=AUTO, do not have this",
        )


def _diverged(confirmed: Confirmed) -> Iterator[JobWarning]:
    for label in confirmed.labels:
        own, default = confirmed.of(label), confirmed.default(label)
        if label in confirmed.barred:
            count = sum(confirmed.diverged[i] for i in own)
            yield JobWarning(
                code="finalist_diverged",
                detail=f"confirm runs of its finalists that diverged: {count} (each scores what a constant "
                f"predictor scores){'; it cannot win' if len(confirmed.labels) > 1 else ''}",
                optimizer=label,
            )
        elif confirmed.diverged[default]:
            yield JobWarning(
                code="default_diverged",
                detail=f"confirm runs of its default that diverged: {confirmed.diverged[default]} (each "
                "scores what a constant predictor scores); its tuned configs did not diverge",
                optimizer=label,
            )


def _untrained(spec: ResolvedSpec, trials: Sequence[Trial], confirmed: Confirmed) -> Iterator[JobWarning]:
    for label in confirmed.labels:
        if confirmed.shows_stand_ins or not confirmed.diverged[confirmed.best(label)]:
            continue
        yield JobWarning(
            code="untrained",
            detail="none of its finalists trained on every fresh seed, so there is none of it to deploy; "
            + what_to_change(spec, trials, [label]),
            optimizer=label,
        )


def looks_skewed(confirmed: Confirmed) -> bool:
    """Whether the finalists' runs, taken together, have a long tail to one side."""
    return shape_of(confirmed).kappa != 0


def _shape(confirmed: Confirmed) -> Iterator[JobWarning]:
    if looks_skewed(confirmed):
        kappa = shape_of(confirmed).kappa
        side = "worse" if kappa > 0 else "better"
        yield JobWarning(
            code="skewed",
            detail=f"now and then a run is much {side} than the others (skewness of the loss {kappa:.2g}): "
            "intervals may cover the truth less often than they say; the tests for a winner allow for it",
        )


def _searches(spec: ResolvedSpec, trials: Sequence[Trial], searched: Sequence[Trial]) -> Iterator[JobWarning]:
    best = study_bests(spec, trials)
    for label in spec.labels:
        own = [trial for trial in searched if trial.plan.label == label]
        diverged = sum(trial.state is TrialState.DIVERGED for trial in own)
        if own and diverged / len(own) > DIVERGED_SHARE:
            yield JobWarning(
                code="search_diverged",
                detail=f"{diverged} of its {len(own)} search trials diverged",
                optimizer=label,
            )
        empty = sum((label, r) not in best for r in range(spec.budget.replicates))
        if empty:
            yield JobWarning(
                code="study_empty",
                detail=f"{empty} of its {spec.budget.replicates} studies have no complete trial; the default "
                "stands in for them",
                optimizer=label,
            )


def _exhausted(spec: ResolvedSpec, searched: Sequence[Trial]) -> Iterator[JobWarning]:
    for label, configs in exhausted(spec, searched).items():
        yield JobWarning(
            code="few_configs",
            detail=f"its space has {configs} config{'s' if configs > 1 else ''}: each of its "
            f"{spec.budget.replicates} studies trained {'all of them' if configs > 1 else 'it'} once, and "
            "the rest of its budget was not spent",
            optimizer=label,
        )


def _edges(spec: ResolvedSpec, trials: Sequence[Trial]) -> Iterator[JobWarning]:
    best = study_bests(spec, trials)
    for optimizer in spec.optimizers:
        own = [trial.plan.config for (label, _), trial in sorted(best.items()) if label == optimizer.label]
        for name in optimizers.optimizer(optimizer.name).edges:
            dimension = optimizer.searched.get(name)
            if dimension is None or isinstance(dimension, Categorical):
                continue
            found = [
                (value, end)
                for value in (config[name] for config in own)
                # A default may lie outside its range, where it has no position on the range's scale.
                if dimension.contains(value)
                and not isinstance(value, str)
                and (end := dimension.edge(value)) is not None
            ]
            if found:
                values = ", ".join(f"{value:.3g} ({end})" for value, end in found)
                yield JobWarning(
                    code="edge",
                    detail=f"the best {name} of {len(found)} of its {spec.budget.replicates} studies lies at "
                    f"an end of the range {dimension.allowed()}: {values}; a wider range may do better",
                    optimizer=optimizer.label,
                )


def _tuning(spec: ResolvedSpec, searched: Sequence[Trial], confirmed: Confirmed) -> Iterator[JobWarning]:
    fixed = {label for label, configs in exhausted(spec, searched).items() if configs == 1}
    for label in confirmed.labels:
        best = confirmed.best(label)
        arm, validation = confirmed.arms[best], confirmed.validation[best]
        tuned = [i for i in confirmed.of(label) if not confirmed.arms[i].is_default]
        default = confirmed.default(label)
        if spec.budget.study_trials == 1 or label in fixed:
            continue  # nothing was tuned
        compared = all(confirmed.shown(i) for i in (default, *tuned))
        if compared and all(confirmed.means[default] < confirmed.means[i] for i in tuned):
            yield JobWarning(
                code="default_best",
                detail="its default has a better mean than every config that its studies found"
                if tuned
                else "none of its studies found a config better than the default",
                optimizer=label,
            )
        if arm.searched_value is None or validation is None:
            continue
        confirm = mean_estimate([confirmed.sign * value for value in validation])
        low, high = confirm.bounds(ALPHA / 2)
        if low is not None and high is not None and confirmed.sign * arm.searched_value < low:
            ends = sorted((confirmed.sign * low, confirmed.sign * high))
            yield JobWarning(
                code="winners_curse",
                detail=f"its best config had a validation value of {arm.searched_value:.4g} in search, and "
                f"of {confirmed.sign * confirm.mean:.4g} on fresh seeds (95 % interval {ends[0]:.4g} to "
                f"{ends[1]:.4g}): search picks the luckier runs",
                optimizer=label,
            )


def unequal_spaces(spec: ResolvedSpec) -> Iterator[JobWarning]:
    """Families of hyperparameters that are open to some of the optimizers that have them, not to all."""
    for family, names in FAMILIES.items():
        has = {
            optimizer.label: any(name in optimizer.searched for name in names)
            for optimizer in spec.optimizers
            if any(name in optimizer.space for name in names)
        }
        opened = [label for label, is_open in has.items() if is_open]
        fixed = [label for label, is_open in has.items() if not is_open]
        if opened and fixed:
            yield JobWarning(
                code="unequal_spaces",
                detail=f"{family} is searched for {', '.join(opened)} and fixed for {', '.join(fixed)}: "
                "the comparison favors who has more to tune",
            )

"""The estimators against counting every case; what must not change an analysis: order, units, direction."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from itertools import combinations, pairwise, permutations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders.trials import confirm, flat, mirrored, search, spec_of
from whichopt.service.evidence.analysis import analyze
from whichopt.service.evidence.analysis.expected import expected, with_replacement, without_replacement
from whichopt.service.evidence.analysis.incumbents import expectation, incumbents, shares_best
from whichopt.service.evidence.analysis.job_data import Attempt, Study
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Direction, Origin, Phase, TrialState
from whichopt.service.trials import Point, Trial

eighths = st.integers(0, 80).map(lambda n: n / 8)
"""Exact under the changes of units below."""

ranks = st.lists(st.one_of(eighths, st.just(math.inf)), min_size=1, max_size=6)


def mean_of(values: list[float]) -> float | None:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else None


@given(ranks)
def test_expected_best_is_the_mean_over_all_subsets(values: list[float]) -> None:
    n, ordered = len(values), sorted(values)
    for k in range(1, n + 1):
        counted = mean_of([min(subset) for subset in combinations(values, k)])
        assert expected(ordered, without_replacement(n, k)) == pytest.approx(counted)


@given(ranks.filter(lambda values: len(values) <= 4))
def test_the_plug_in_is_the_mean_over_all_draws(values: list[float]) -> None:
    n, ordered = len(values), sorted(values)
    for k in range(1, 5):
        counted = mean_of([min(drawn) for drawn in product(values, repeat=k)])
        assert expected(ordered, with_replacement(n, k)) == pytest.approx(counted)


@given(st.lists(eighths, min_size=2, max_size=12))
def test_more_trials_never_hurt_and_the_plug_in_is_the_pessimist(values: list[float]) -> None:
    n, ordered = len(values), sorted(values)
    found = [expected(ordered, without_replacement(n, k)) or 0.0 for k in range(1, n + 1)]
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(found))
    assert found[-1] == ordered[0]
    for k, unbiased in enumerate(found, start=1):
        assert (expected(ordered, with_replacement(n, k)) or 0.0) >= unbiased - 1e-12


def attempt(rank: float, origin: Origin) -> Attempt:
    loss = None if math.isinf(rank) else rank
    state = TrialState.DIVERGED if loss is None else TrialState.COMPLETE
    return Attempt(origin=origin, ending=state, loss=loss, lr=None, seconds=1.0)


@given(
    st.lists(eighths, min_size=1, max_size=1),
    st.lists(st.one_of(eighths, st.just(math.inf)), max_size=4),
    st.lists(eighths, max_size=2),
)
def test_the_incumbent_is_the_mean_over_all_orders(
    first: list[float], drawn: list[float], later: list[float]
) -> None:
    origins = [Origin.DEFAULT, *[Origin.RANDOM] * len(drawn), *[Origin.TPE] * len(later)]
    attempts = [attempt(r, o) for r, o in zip([*first, *drawn, *later], origins, strict=True)]
    found = [expectation(i) for i in incumbents(Study("adam", 0, tuple(attempts)))]
    for k in range(1, len(attempts) + 1):
        counted = mean_of([min([*first, *order, *later][:k]) for order in permutations(drawn)])
        assert found[k - 1] == pytest.approx(counted)


chances = st.dictionaries(
    st.one_of(st.integers(0, 3).map(float), st.just(math.inf)), st.integers(1, 4), min_size=1, max_size=3
)


@given(st.lists(chances, min_size=1, max_size=4))
def test_the_share_of_being_best_counts_every_case_and_splits_ties(drawn: list[dict[float, int]]) -> None:
    found = [{v: n / sum(own.values()) for v, n in own.items()} for own in drawn]
    counted = [0.0] * len(found)
    for case in product(*(own.items() for own in found)):
        losses = [loss for loss, _ in case]
        winners = [i for i, loss in enumerate(losses) if loss == min(losses)]
        for i in winners:
            counted[i] += math.prod(chance for _, chance in case) / len(winners)
    assert shares_best(found) == pytest.approx(counted)
    assert sum(shares_best(found)) == pytest.approx(1)


# -- the whole ---------------------------------------------------------------------------------------------

LABELS = ("adam", "sgd")
SPEC = spec_of(*LABELS, trials=6, replicates=2, seeds=3)

Job = dict[tuple[str, int], list[tuple[float | None, bool]]]
"""Of each study's trials: the value, None where it diverged, and whether it was pruned."""

jobs: st.SearchStrategy[Job] = st.fixed_dictionaries(
    {
        (label, replicate): st.lists(
            st.tuples(st.one_of(st.none(), eighths), st.booleans()), min_size=1, max_size=3
        )
        for label in LABELS
        for replicate in (0, 1)
    }
)


def trials_of(
    job: Job, change: Callable[[float], float] = lambda value: value, spec: ResolvedSpec = SPEC
) -> list[Trial]:
    values = {
        label: [[None if v is None else change(v) for v, _ in job[label, r]] for r in (0, 1)]
        for label in LABELS
    }
    searched = search(spec, values)
    cut = [pruned for label in LABELS for r in (0, 1) for _, pruned in job[label, r]]
    searched = [pruned(t) if is_cut else t for t, is_cut in zip(searched, cut, strict=True)]
    table = [(v, n) for own in job.values() for n, (v, _) in enumerate(own)]

    def value(arm: Any, seed: int) -> float | None:
        at = table[(seed + 3 * len(arm.label) + 5 * (arm.replicate or 0)) % len(table)][0]
        return None if at is None else change(at)

    return [curved(t, change) for t in confirm(spec, searched, value)]


def pruned(trial: Trial) -> Trial:
    assert trial.result is not None
    if trial.result.value is None:
        return trial
    result = trial.result.model_copy(update={"state": TrialState.PRUNED, "value": None})
    return trial.model_copy(update={"state": TrialState.PRUNED, "result": result})


def curved(trial: Trial, change: Callable[[float], float]) -> Trial:
    """A confirm run with every metric, and a reference, in the units that `change` makes of them."""
    result = trial.result
    if trial.plan.phase is Phase.SEARCH or result is None:
        return trial
    value = result.value
    metrics = {} if value is None else {split: {"nll": value} for split in ("train", "validation", "test")}
    curve = [] if value is None else [Point(5, 50, change(9.0)), Point(10, 100, value)]
    update = {
        "metrics": metrics,
        "curves": {"validation.nll": curve},
        "reference": {"nll": change(8.0)},
    }
    return trial.model_copy(update={"result": result.model_copy(update=update)})


@given(jobs, st.randoms(use_true_random=False), st.integers(0, 40))
@settings(max_examples=25, deadline=None)
def test_neither_order_nor_loss_of_trials_breaks_it(job: Job, shuffler: random.Random, kept: int) -> None:
    trials = trials_of(job)
    found = analyze(SPEC, trials)
    shuffler.shuffle(trials)
    assert analyze(SPEC, trials) == found
    for some in (trials, trials[:kept]):
        part = analyze(SPEC, some)
        json.dumps(part.model_dump(mode="json"), allow_nan=False)
        for step in part.advice.steps:
            assert sum(row.probability_best for row in step.rows) == pytest.approx(1)
    # Cancelled search trials are those that time has stopped: what came after them does not count.
    cancelled = [Trial(plan=trial.plan, state=TrialState.CANCELLED) for trial in trials[kept:]]
    json.dumps(analyze(SPEC, [*trials[:kept], *cancelled]).model_dump(mode="json"), allow_nan=False)
    cancelled = [trial for trial in cancelled if trial.plan.phase is Phase.CONFIRM]
    assert without_counts(analyze(SPEC, [*trials[:kept], *cancelled])) == without_counts(
        analyze(SPEC, trials[:kept])
    )


def without_counts(found: Any) -> Any:
    return found.model_dump(exclude={"ledger"})


UNITS = {
    "anytime": ("value", "low", "high", "values"),
    "expected_best": ("unbiased", "plug_in", "low", "high"),
    "tunability": ("area_uniform", "area_early", "default_value", "tuned_value"),
    "time_to_target": ("target",),
    "generalization": ("train", "test"),
}
"""What is in the metric's units, by part."""


def in_units(found: Any) -> list[float | None]:
    """Every number that moves with the units, in order of appearance."""
    numbers: list[float | None] = []

    def walk(value: Any, names: tuple[str, ...]) -> None:
        if isinstance(value, list):
            for item in value:
                walk(item, names)
        elif isinstance(value, dict):
            for name, item in value.items():
                if name in names:
                    numbers.extend(item if isinstance(item, list) else [item])
                elif name != "gain":
                    walk(item, names)

    plain = found.model_dump()
    for part, names in UNITS.items():
        walk(plain[part], names)
    return numbers


@given(jobs, st.sampled_from([(0.25, 0.0), (1024.0, -16.0), (1.0, 64.0)]))
@settings(max_examples=25, deadline=None)
def test_units_change_the_numbers_and_no_conclusion(job: Job, units: tuple[float, float]) -> None:
    scale, shift = units
    found = analyze(SPEC, trials_of(job))
    changed = analyze(SPEC, trials_of(job, lambda value: scale * value + shift))
    for before, after in zip(in_units(found), in_units(changed), strict=True):
        assert (before is None) == (after is None)
        if before is not None:
            assert after == pytest.approx(scale * before + shift, abs=1e-9 * (scale + abs(shift)))
    assert changed.advice.model_dump(include={"ranges", "statement"}) == found.advice.model_dump(
        include={"ranges", "statement"}
    )
    assert times(changed) == times(found)
    for old, new in zip(found.tunability, changed.tunability, strict=True):
        assert (old.gain is None) == (new.gain is None)
        if old.gain is not None and new.gain is not None:
            assert new.gain.mean == pytest.approx(scale * old.gain.mean, abs=1e-9 * (scale + abs(shift)))


def times(found: Any) -> Any:
    return found.time_to_target and [row.steps for row in found.time_to_target.rows]


@given(jobs)
@settings(max_examples=25, deadline=None)
def test_a_metric_that_is_maximized_is_the_mirror_image(job: Job) -> None:
    found = analyze(SPEC, trials_of(job))
    maximized = mirrored(SPEC)
    turned = analyze(maximized, trials_of(job, lambda value: -value, maximized))
    assert turned.direction is Direction.MAXIMIZE
    assert times(turned) == times(found)
    assert turned.advice.ranges == found.advice.ranges
    for name in ("sensitivity", "tunability"):
        for ours, theirs in zip(getattr(found, name), getattr(turned, name), strict=True):
            for field in ("near", "share_near", "lr_decades", "gain", "search_optimism"):
                assert getattr(ours, field, None) == getattr(theirs, field, None)
    for ours, theirs in zip(found.anytime, turned.anytime, strict=True):
        for a, b in zip(ours.by_trials, theirs.by_trials, strict=True):
            assert (negated(a.value), negated(a.low), negated(a.high)) == (b.value, b.high, b.low)


def negated(value: float | None) -> float | None:
    return None if value is None else -value


def test_the_seed_of_a_job_settles_its_draws() -> None:
    spec: ResolvedSpec = spec_of("adam", trials=30, replicates=5, seeds=3)
    assert analyze(spec, flat(spec)) == analyze(spec, flat(spec))

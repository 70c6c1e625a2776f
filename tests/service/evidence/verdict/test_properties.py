"""What must not change a verdict: order, names, units."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders.present import present
from tests.builders.trials import Outcome, confirm, flat, spec_of
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.planning.finalists import Finalist
from whichopt.service.spec import ResolvedSpec
from whichopt.service.trials import Trial
from whichopt.service.views import Recommendation

LABELS = ("adam", "adabelief", "sgd")
SPEC = spec_of(*LABELS, trials=4, replicates=2, seeds=4)

Table = dict[tuple[str, int | None], list[Outcome]]
"""Values of each arm on the fresh seeds, in multiples of 1/8: exact under the changes of units below."""

rows = st.lists(st.integers(0, 80).map(lambda n: n / 8), min_size=4, max_size=4)
diverging = st.lists(st.one_of(st.none(), st.integers(0, 80).map(lambda n: n / 8)), min_size=4, max_size=4)


def tables(row: st.SearchStrategy[Any]) -> st.SearchStrategy[Table]:
    return st.fixed_dictionaries({(label, study): row for label in LABELS for study in (None, 0, 1)})


def trials_of(
    spec: ResolvedSpec, table: Table, change: Callable[[float], float] = lambda value: value
) -> list[Trial]:
    def value(arm: Finalist, seed: int) -> Outcome:
        found = table[arm.label, arm.replicate][seed]
        return None if found is None else change(found)

    return confirm(spec, flat(spec), value)


def verdicts(found: Recommendation) -> tuple[Any, ...]:
    studies = found.optimizer_verdict
    return (
        found.verdict,
        found.optimizer,
        found.config,
        found.equivalent,
        [row.optimizer for row in found.ranking],
        (studies.verdict, studies.optimizer, studies.equivalent),
    )


@given(tables(diverging), st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_the_order_of_the_trials_changes_nothing(table: Table, shuffler: random.Random) -> None:
    trials = trials_of(SPEC, table)
    found = recommend("job", SPEC, trials)
    shuffler.shuffle(trials)
    assert recommend("job", SPEC, trials) == found


@given(tables(rows), st.sampled_from([0.25, 2.0, 1024.0]), st.sampled_from([-16.0, 0.0, 64.0]))
@settings(max_examples=25, deadline=None)
def test_units_change_no_verdict(table: Table, scale: float, shift: float) -> None:
    found = recommend("job", SPEC, trials_of(SPEC, table))
    changed = recommend("job", SPEC, trials_of(SPEC, table, lambda value: scale * value + shift))
    assert verdicts(changed) == verdicts(found)
    assert abs(present(changed.value).mean - (scale * present(found.value).mean + shift)) < 1e-9 * (
        scale + abs(shift)
    )


@given(tables(rows))
@settings(max_examples=25, deadline=None)
def test_names_change_no_verdict(table: Table) -> None:
    renamed = spec_of(
        *({"name": label, "label": f"x{label}"} for label in LABELS), trials=4, replicates=2, seeds=4
    )
    found = recommend("job", SPEC, trials_of(SPEC, table))
    other: Table = {(f"x{label}", study): row for (label, study), row in table.items()}
    again = recommend("job", renamed, trials_of(renamed, other))
    assert [row.probability_best for row in again.ranking] == [row.probability_best for row in found.ranking]
    plain = json.loads(json.dumps(verdicts(again)).replace('"xa', '"a').replace('"xs', '"s'))
    assert plain == json.loads(json.dumps(verdicts(found)))


@given(st.integers(0, 2**32 - 1), st.permutations(LABELS), st.sampled_from([None, 1.5]))
@settings(max_examples=15, deadline=None)
def test_the_order_of_the_optimizers_changes_no_conclusion(
    seed: int, order: list[str], margin: float | None
) -> None:
    random = np.random.default_rng(seed)
    table: Table = {
        (label, study): list(random.normal(lead, 0.4, size=4))
        for label, lead in zip(LABELS, 5 + 2 * random.random(3), strict=True)
        for study in (None, 0, 1)
    }
    rest: dict[str, Any] = {} if margin is None else {"margin": {"absolute": margin}}
    specs = [spec_of(*names, trials=4, replicates=2, seeds=4, **rest) for names in (LABELS, order)]
    found, other = (recommend("job", spec, trials_of(spec, table)) for spec in specs)
    assert (other.verdict, other.optimizer, other.config) == (found.verdict, found.optimizer, found.config)
    assert other.equivalent == found.equivalent
    assert set(other.practically_equivalent or ()) == set(found.practically_equivalent or ())
    assert [row.optimizer for row in other.ranking] == [row.optimizer for row in found.ranking]
    for ours, theirs in zip(found.ranking, other.ranking, strict=True):
        assert theirs.value == ours.value
        for mine, yours in zip(present(ours.difference), present(theirs.difference), strict=True):
            assert yours[1] is mine[1] is None or yours[1] == pytest.approx(mine[1], rel=1e-9)
        # The same draws for other arms: 2^14 of them.
        assert theirs.probability_best == pytest.approx(ours.probability_best, abs=0.02)
    assert other.optimizer_verdict.verdict == found.optimizer_verdict.verdict
    assert other.optimizer_verdict.equivalent == found.optimizer_verdict.equivalent


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_swapping_two_labels_swaps_the_conclusions(seed: int) -> None:
    random = np.random.default_rng(seed)
    table: Table = {
        (label, study): list(random.normal(5, 1, 4)) for label in LABELS for study in (None, 0, 1)
    }
    swap = {"adam": "adabelief", "adabelief": "adam", "sgd": "sgd"}
    found = recommend("job", SPEC, trials_of(SPEC, table))
    other = recommend(
        "job", SPEC, trials_of(SPEC, {(swap[label], s): row for (label, s), row in table.items()})
    )
    assert [swap[row.optimizer] for row in other.ranking] == [row.optimizer for row in found.ranking]
    assert [swap[label] for label in other.equivalent] == found.equivalent
    studies, others = found.optimizer_verdict, other.optimizer_verdict
    assert [swap[label] for label in others.equivalent] == studies.equivalent
    assert studies.probability_best is not None
    assert others.probability_best is not None
    for label, probability in others.probability_best.items():
        assert studies.probability_best[swap[label]] == pytest.approx(probability, abs=0.02)


@given(tables(diverging))
@settings(max_examples=40, deadline=None)
def test_what_always_holds(table: Table) -> None:
    found = recommend("job", SPEC, trials_of(SPEC, table))
    json.dumps(found.model_dump(mode="json"), allow_nan=False)
    if found.verdict == "nothing":
        assert all(None in row for row in table.values())
        assert (found.optimizer, found.config, found.value, found.snippet) == (None,) * 4
        assert found.equivalent == []
    else:
        assert abs(sum(row.probability_best or 0 for row in found.ranking) - 1) < 1e-9
        assert found.optimizer in found.equivalent
        chosen = next(row for row in found.ranking if row.optimizer == found.optimizer)
        assert (chosen.config, chosen.value, chosen.diverged_seeds) == (found.config, found.value, 0)
    assert (found.verdict == "winner") <= (len(found.equivalent) == 1)
    for row in found.ranking:
        assert (row.value is None) == (row.difference is None) == bool(row.diverged_seeds)
        assert (row.default_value is None) == bool(row.default_diverged_seeds)
        for interval in filter(None, (row.value, row.default_value)):
            assert present(interval.low) <= interval.mean <= present(interval.high)
        if row.difference is not None:
            assert present(row.difference.low) <= present(row.difference.high)
            assert row.difference.mean <= present(row.difference.high)
    barred = {
        label
        for label in LABELS
        if any(None in row for (own, study), row in table.items() if own == label and study is not None)
    }
    if barred:
        assert found.optimizer_verdict.optimizer not in barred
        assert not (found.verdict == "winner" and found.optimizer in barred)
    if len(barred) < len(LABELS):
        assert found.optimizer not in barred

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.builders.trials import Confirm, confirm, flat, mirrored, plan_of, search, spec_of, trial_of
from whichopt.service.environment import here
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.planning.finalists import Finalist
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase
from whichopt.service.trials import Trial
from whichopt.service.views import JobWarning


def steady(arm: Finalist, seed: int) -> float:
    return 0.6 + 0.2 * arm.is_default + 0.01 * (seed - 2)


def warnings_of(
    spec: ResolvedSpec,
    searched: Sequence[Trial] | None = None,
    value: Confirm = steady,
    *,
    validation: Confirm | None = None,
    seeds: int | None = None,
) -> dict[str, list[JobWarning]]:
    trials = confirm(
        spec, flat(spec) if searched is None else searched, value, validation=validation, seeds=seeds
    )
    found: dict[str, list[JobWarning]] = {}
    for warning in recommend("job", spec, trials).warnings:
        found.setdefault(warning.code, []).append(warning)
    return found


def test_an_ordinary_job_is_told_only_about_its_test_split() -> None:
    found = warnings_of(spec_of("adam", "sgd"))
    assert set(found) == {"fixed_test_split"}
    assert "359 test examples" in found["fixed_test_split"][0].detail


def test_the_test_split_of_a_text_is_windows_of_it() -> None:
    spec = spec_of("adam", "sgd")
    shape = replace(spec.cataloged.shape, tokens=96)
    text = spec.model_copy(update={"workload": spec.workload.model_copy(update={"shape": shape})})
    (warning,) = warnings_of(text)["fixed_test_split"]
    assert "the same 359 windows of one text" in warning.detail
    assert "the effect of another text" in warning.detail


def test_a_count_that_is_the_same_in_all_runs_is_a_tie() -> None:
    """As of modes that every generator finds: no run differs, so there is no spread to judge by."""
    spec = mirrored(spec_of("adam", "sgd", rules=2))
    trials = confirm(spec, flat(spec, 8.0), lambda *_: 8.0)
    found = recommend("job", spec, trials)
    assert found.verdict == "tie"
    assert set(found.equivalent) == {"adam", "sgd"}
    assert found.value is not None
    assert (found.value.mean, found.value.low, found.value.high) == (8.0, 8.0, 8.0)


def test_environments_that_round_differently_are_said_and_others_are_not() -> None:
    spec = spec_of("adam", "sgd")
    trials = confirm(spec, flat(spec), steady)
    one = here(instructions="AVX2", mkl_cbwr="AUTO")
    fewer_cores = one.model_copy(update={"cores": one.cores + 1})
    other = one.model_copy(update={"instructions": "AVX512", "mkl_cbwr": "COMPATIBLE"})
    alike = recommend("job", spec, trials, environments=[one, fewer_cores]).warnings
    assert "mixed_environments" not in {warning.code for warning in alike}
    (warning,) = (
        warning
        for warning in recommend("job", spec, trials, environments=[one, fewer_cores, other]).warnings
        if warning.code == "mixed_environments"
    )
    assert "(instructions AVX2 and AVX512; mkl_cbwr AUTO and COMPATIBLE)" in warning.detail


def test_few_seeds_and_few_studies() -> None:
    assert "few_seeds" in warnings_of(spec_of("adam", seeds=4))
    assert "few_seeds" in warnings_of(spec_of("adam", seeds=9), seeds=3)
    both = ("adam", "sgd")
    assert "little power" in warnings_of(spec_of(*both, replicates=2))["few_replicates"][0].detail
    assert "no verdict" in warnings_of(spec_of(*both, replicates=1))["few_replicates"][0].detail


@pytest.mark.parametrize("replicates", [1, 2, 3])
def test_nothing_is_said_of_comparing_optimizers_where_there_is_one(replicates: int) -> None:
    spec = spec_of("adam", replicates=replicates)
    assert set(warnings_of(spec)) == {"fixed_test_split"}
    diverged = warnings_of(spec, value=lambda arm, seed: None if arm.replicate == 0 else steady(arm, seed))
    assert "finalist_diverged" in diverged
    told = " ".join(one.detail for found in diverged.values() for one in found)
    assert not re.search("win|optimizers|verdict", told)


@pytest.mark.parametrize(
    ("lr", "end"), [(1.2e-5, "low"), (0.08, "high"), (2e-5, None), (0.05, None), (1e-5, "low")]
)
def test_the_edge_alarm_is_on_the_ranges_own_scale(lr: float, end: str | None) -> None:
    """adam's lr ranges over four decades, 5% of which is a factor of 1.58."""
    spec = spec_of("adam", "adamw", trials=2, replicates=1)
    config = {**spec.optimizer("adamw").default, "lr": lr}
    searched = [
        *search(spec, {"adam": [[0.5, 0.4]]}),
        trial_of(spec, plan_of(spec, "adamw", config, Phase.SEARCH, 0, 1), 0.3),
    ]
    found = warnings_of(spec, searched).get("edge", [])
    assert [warning.optimizer for warning in found] == (["adamw"] if end else [])
    assert all(f"({end})" in warning.detail for warning in found)


def test_the_edge_alarm_uses_the_range_that_was_searched() -> None:
    narrow = {"name": "adam", "space": {"lr": {"type": "float", "low": 1.9e-3, "high": 0.1, "log": True}}}
    found = warnings_of(spec_of(narrow))["edge"][0]
    assert "3 of its 3 studies" in found.detail
    fixed: dict[str, Any] = {"name": "adam", "space": {"lr": 0.1}}
    assert "edge" not in warnings_of(spec_of(fixed))


def test_a_lucky_search_value_is_told() -> None:
    spec = spec_of("adam")

    def unlucky(arm: Finalist, seed: int) -> float:  # noqa: ARG001
        return 0.9 + 0.01 * seed

    found = warnings_of(spec, validation=unlucky)["winners_curse"][0]
    assert "0.6 in search" in found.detail
    assert "0.92 on fresh seeds" in found.detail
    assert "winners_curse" not in warnings_of(spec, validation=lambda *_: 0.2)


def test_searches_that_went_wrong() -> None:
    spec = spec_of("adam", "sgd", trials=8, replicates=2)
    found = warnings_of(
        spec, search(spec, {"adam": [[0.5, 0.4, 0.4, None]] * 2, "sgd": [[0.5, 0.4, 0.4, None], [None] * 4]})
    )
    assert [(w.optimizer, w.detail) for w in found["search_diverged"]] == [
        ("sgd", "5 of its 8 search trials diverged.")
    ]
    assert [w.optimizer for w in found["study_empty"]] == ["sgd"]
    assert "1 of its 2 studies" in found["study_empty"][0].detail


def test_a_default_that_tuning_does_not_beat() -> None:
    spec = spec_of("adam")
    found = warnings_of(spec, value=lambda arm, seed: 0.6 - 0.2 * arm.is_default + 0.01 * seed)
    assert "better mean than every config" in found["default_best"][0].detail
    found = warnings_of(spec, search(spec, {"adam": [[0.4, 0.5]] * 3}))
    assert "None of its studies" in found["default_best"][0].detail
    assert "default_best" not in warnings_of(spec_of("adam", trials=3))  # nothing was tuned


@pytest.mark.parametrize(
    ("space", "family"),
    [({"eps": 1e-8}, "eps"), ({"weight_decay": 0.0}, "weight decay"), ({"beta1": 0.9}, "momentum")],
)
def test_more_to_tune_for_one_than_for_another(space: dict[str, float], family: str) -> None:
    found = warnings_of(spec_of({"name": "adam", "space": space}, "adabelief", "sgd"))["unequal_spaces"]
    assert len(found) == 1
    assert f": {family} is searched for adabelief" in found[0].detail
    assert "fixed for adam" in found[0].detail


def test_fixed_for_all_is_equal() -> None:
    spaces = [{"name": name, "space": {"eps": 1e-8}} for name in ("adam", "adabelief")]
    assert "unequal_spaces" not in warnings_of(spec_of(*spaces, "sgd"))

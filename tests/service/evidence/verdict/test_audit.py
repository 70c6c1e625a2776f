from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.builders.trials import Outcome, confirm, flat, spec_of
from whichopt.service.evidence.statistics.estimates import ALPHA
from whichopt.service.evidence.verdict.confirm_table import read_confirm_table
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.evidence.verdict.special_cases import inclusion_warnings, inclusions
from whichopt.service.planning.finalists import Finalist
from whichopt.service.views import JobWarning


def audit(*optimizers: str | dict[str, Any], best: str, values: dict[str, float] | None = None) -> Any:
    """The warnings of a job in which the label `best` is better than all by 0.2, with noise of 0.01."""
    spec = spec_of(*optimizers)
    given = values or {}

    def value(arm: Finalist, seed: int) -> Outcome:
        base = given.get(arm.label, 0.4 if arm.label == best else 0.6)
        return base + 0.01 * ((seed * 7 + len(arm.label)) % 5)

    found = recommend("job", spec, confirm(spec, flat(spec), value)).warnings
    return [one for one in found if one.code in ("under_tuned", "inclusion_excluded")]


def test_a_general_method_below_its_special_case_is_under_tuned() -> None:
    (found,) = audit("adam", "adamw", best="adam")
    assert (found.code, found.optimizer) == ("under_tuned", "adamw")
    assert "a setting of adam by at least 0.1" in found.detail
    assert "exact: the same bits" in found.detail
    (found,) = audit("adam", "qhadam", best="adam")
    assert (found.code, found.optimizer) == ("under_tuned", "qhadam")
    assert "nu1=1" in found.detail


def test_a_large_eps_makes_sgd_a_special_case() -> None:
    found = audit("sgd", "adam", "adabelief", "adagrad", best="sgd")
    assert {(one.code, one.optimizer) for one in found} == {
        ("under_tuned", "adam"),
        ("under_tuned", "adabelief"),
    }


@pytest.mark.parametrize(
    ("space", "name"),
    [
        ({"eps": 1e-8}, "eps"),
        ({"beta1": {"type": "float", "low": 0.5, "high": 0.8, "scale": "log1m"}}, "beta1"),
        ({"lr": {"type": "float", "low": 1e-5, "high": 1e-4, "log": True}}, "lr"),
    ],
)
def test_a_range_that_keeps_the_special_case_out_is_named(space: dict[str, Any], name: str) -> None:
    special: dict[str, Any] = {"name": "adam", "label": "special", "space": {"eps": 1e-6}}
    (found,) = audit(special, {"name": "adam", "label": "narrow", "space": space}, best="special")
    assert (found.code, found.optimizer) == ("inclusion_excluded", "narrow")
    assert f"Its space has no such {name}." in found.detail


MENU = {"type": "categorical", "choices": [16, 64]}
SCHEDULES = {"type": "categorical", "choices": ["cosine", "linear"]}


@pytest.mark.parametrize(
    ("special", "general", "name"),
    [
        ({"batch_size": 16}, {}, "batch_size"),
        ({"batch_size": 16}, {"batch_size": {"type": "categorical", "choices": [32, 64]}}, "batch_size"),
        ({"schedule": "linear"}, {}, "schedule"),
        ({"warmup": 0.2}, {"warmup": {"type": "float", "low": 0.0, "high": 0.1}}, "warmup"),
    ],
)
def test_batches_and_schedules_that_a_method_cannot_have_keep_a_case_out(
    special: dict[str, Any], general: dict[str, Any], name: str
) -> None:
    adam: dict[str, Any] = {"name": "adam", "label": "special", "space": special}
    (found,) = audit(adam, {"name": "adamw", "space": general}, best="special")
    assert (found.code, found.optimizer) == ("inclusion_excluded", "adamw")
    assert f"Its space has no such {name}." in found.detail


def test_a_case_within_reach_says_how_it_was_trained() -> None:
    adam = {"name": "adam", "label": "special", "space": {"batch_size": 16, "schedule": "linear"}}
    wide = {"name": "adamw", "space": {"batch_size": MENU, "schedule": SCHEDULES}}
    (found,) = audit(adam, wide, best="special")
    assert found.code == "under_tuned"
    assert "batch_size=16" in found.detail
    assert "schedule=linear" in found.detail


def test_a_batch_that_grows_is_a_case_of_one_that_may_grow_so_alone() -> None:
    grows = {"batch_size": {"adaptive": "norm", "eta": 0.3}}
    adam: dict[str, Any] = {"name": "adam", "label": "special", "space": grows}
    assert audit(adam, "adamw", best="special") == []
    assert audit("adam", {"name": "adamw", "space": grows}, best="adam") == []
    (found,) = audit(adam, {"name": "adamw", "space": grows}, best="special")
    assert (found.code, found.optimizer) == ("under_tuned", "adamw")
    other = {"batch_size": {"adaptive": "norm", "eta": 0.4}}
    (found,) = audit(adam, {"name": "adamw", "space": other}, best="special")
    assert "Its space has no such batch_eta." in found.detail


def test_what_is_no_special_case_is_not_flagged() -> None:
    assert audit("radam", "adam", best="radam") == []
    assert audit("adagrad", "adam", best="adagrad") == []
    decayed: dict[str, Any] = {"name": "adamw", "space": {"weight_decay": 0.1}}
    assert audit("adam", decayed, best="adamw") == [], "Adam has no decoupled decay"
    assert audit("adam", "adamw", best="adamw", values={"adam": 0.4}) == [], "a tie"


def test_a_job_of_equals_is_seldom_flagged() -> None:
    """Two labels of one optimizer, whose configs all have one mean: each flag is a false one."""
    spec = spec_of("adam", {"name": "adam", "label": "twin"}, seeds=6)
    made = read_confirm_table(spec, confirm(spec, flat(spec), lambda *_: 0.5))
    assert len(inclusions(spec, made)) == len(made.arms)
    random, flagged, jobs = np.random.default_rng(0), 0, 300
    for _ in range(jobs):
        noise = random.standard_normal((len(made.arms), len(made.seeds)))
        drawn = replace(made, values=tuple(tuple(map(float, row)) for row in noise))
        flagged += bool(inclusion_warnings(spec, drawn))
    assert flagged / jobs <= ALPHA + 3 * (ALPHA * (1 - ALPHA) / jobs) ** 0.5


def test_a_setting_that_diverged_is_nobodys_special_case() -> None:
    spec = spec_of("adam", "adamw")

    def value(arm: Finalist, seed: int) -> Outcome:
        if arm.label == "adam":
            return None if seed == 1 else 0.1
        return 0.6

    found: list[JobWarning] = recommend("job", spec, confirm(spec, flat(spec), value)).warnings
    assert "under_tuned" not in {one.code for one in found}

"""How many configs a space has, which they are, and what follows for budgets, lint and refusals."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders.jobs import add_job, make_spec
from whichopt.service.configs import config_key, nth_config, points, room
from whichopt.service.db import Store
from whichopt.service.errors import InvalidSpec
from whichopt.service.lint import lint_job
from whichopt.service.space import Categorical, Dimension, Float, Int, Space
from whichopt.service.spec import JobSpec, resolve

SWITCH = {"type": "categorical", "choices": [True, False]}
FIXED = {"lr": 0.1, "weight_decay": 0.0, "momentum": 0.9}


def spec(space: dict[str, Any], **budget: Any) -> JobSpec:
    return JobSpec.model_validate(
        {
            "workload": {"dataset": "wine", "model": "linear"},
            "optimizers": [{"name": "sgd", "space": space}, "adamw"],
            "budget": {"trials": 24, "replicates": 2, "epochs": 20, "confirm_seeds": 5, **budget},
        }
    )


DIMENSIONS = st.one_of(
    st.builds(lambda n: Categorical(choices=tuple(range(n))), st.integers(2, 4)),
    st.builds(
        lambda low, n, scale: Int(low=low, high=low + n, scale=scale),
        st.integers(1, 9),
        st.integers(1, 4),
        st.sampled_from(["linear", "log"]),
    ),
    st.builds(
        lambda low, ulps, scale: Float(low=low, high=low + ulps * math.ulp(low), scale=scale),
        st.floats(0.1, 0.9),
        st.integers(1, 4),
        st.sampled_from(["linear", "log"]),
    ),
)


@given(dimensions=st.lists(DIMENSIONS, max_size=4))
def test_the_configs_of_a_space_differ_and_lie_in_it(dimensions: list[Dimension]) -> None:
    space: Space = {f"h{i}": dimension for i, dimension in enumerate(dimensions)}
    configs = [nth_config(space, at) for at in range(points(space))]
    assert len({config_key(config) for config in configs}) == points(space)
    for config in configs:
        assert all(space[name].contains(value) for name, value in config.items())


@pytest.mark.parametrize(
    ("space", "default", "count"),
    [
        ({}, {}, 1),
        ({"n": Categorical(choices=(True, False))}, {"n": False}, 2),
        ({"m": Categorical(choices=(0, 0.9))}, {"m": 0.0}, 2),
        ({"m": Categorical(choices=(0.5, 0.9))}, {"m": 0.0}, 3),
        ({"k": Int(low=2, high=5), "n": Categorical(choices=("a", "b"))}, {"k": 3, "n": "b"}, 8),
        ({"k": Int(low=2, high=5)}, {"k": 1}, 5),
        ({"x": Float(low=1.0, high=1.0 + 2**-52)}, {"x": 1.0}, 2),
    ],
)
def test_a_study_has_room_for_its_space_and_a_default_outside(
    space: Space, default: dict[str, Any], count: int
) -> None:
    assert room(space, default) == count


def test_a_range_of_numbers_has_room_for_every_budget() -> None:
    for chosen in resolve(spec({})).optimizers:
        assert room(chosen.searched, chosen.default) >= 2**20


@pytest.mark.parametrize(
    ("space", "trials"),
    [({**FIXED, "nesterov": False}, 1), ({**FIXED, "nesterov": SWITCH}, 2), ({}, 12)],
)
def test_a_job_asks_for_no_more_trials_than_there_are_configs(
    store: Store, space: dict[str, Any], trials: int
) -> None:
    resolved = resolve(spec(space))
    assert (resolved.study_trials_of("sgd"), resolved.study_trials_of("adamw")) == (trials, 12)
    assert resolved.asked_trials == 2 * (trials + 12)
    _, uid = add_job(store, resolved)
    with store.read() as tx:
        view = tx.views.job(uid, alive_s=10)
    assert view is not None
    assert view.progress.trials_total == resolved.asked_trials
    assert {row.optimizer: row.trials_total for row in view.ledger} == {"sgd": 2 * trials, "adamw": 24}


@pytest.mark.parametrize(
    ("space", "budget", "code"),
    [
        ({**FIXED, "nesterov": False}, {}, "nothing_to_search"),
        ({**FIXED, "nesterov": False}, {"trials": None, "minutes": 5}, "nothing_to_search"),
        ({**FIXED, "nesterov": SWITCH}, {}, "few_configs"),
        ({**FIXED, "nesterov": SWITCH}, {"trials": 4}, None),
        ({**FIXED, "nesterov": False}, {"trials": 2}, None),
        ({}, {}, None),
    ],
)
def test_lint_says_that_there_is_little_to_search(
    space: dict[str, Any], budget: dict[str, Any], code: str | None
) -> None:
    found = {one.code: one for one in lint_job(spec(space, **budget))}
    assert found.keys() & {"nothing_to_search", "few_configs"} == ({code} if code else set())
    if code:
        assert found[code].field == "optimizers.0.space"
        assert "is not spent" in found[code].what
        assert "giving the rest to another optimizer" in found[code].why
        alone = spec(space, **budget)
        alone = alone.model_copy(update={"optimizers": alone.optimizers[:1]})
        (why,) = [one.why for one in lint_job(alone) if one.code == code]
        assert "another optimizer" not in why, "there is none"


def test_a_limit_that_no_trial_can_keep_is_told_before() -> None:
    assert "time_too_short" in {one.code for one in lint_job(spec({}, max_seconds=0.01))}
    assert "time_too_short" not in {one.code for one in lint_job(spec({}, max_seconds=60))}


@pytest.mark.parametrize(
    ("name", "choices", "named"),
    [
        ("lr", [1, 1.0], ("1 and 1.0", "both 1.0")),
        ("lr", [0.01, 0.1, 1e-2], ("0.01 twice",)),
        ("weight_decay", [0.0, -0.0], ("0.0 and -0.0",)),
        ("lr", [True, 1], ("cannot be True",)),
        ("nesterov", [True, 1], ("cannot be 1",)),
    ],
)
def test_choices_that_are_one_value_are_refused_and_named(
    name: str, choices: list[Any], named: tuple[str, ...]
) -> None:
    with pytest.raises((InvalidSpec, ValueError)) as refused:
        resolve(spec({name: {"type": "categorical", "choices": choices}}))
    assert all(text in str(refused.value) for text in named), str(refused.value)


def test_a_job_whose_choices_an_earlier_version_took_can_still_be_read() -> None:
    kept = make_spec().model_dump(mode="json")
    kept["optimizers"][1]["space"]["lr"] = {"type": "categorical", "choices": [1, 1.0]}
    assert type(make_spec()).model_validate(kept).optimizers[1].searched["lr"].contains(1.0)

"""Rules on the sizes of batches, which each optimizer may have its own of."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from whichopt.service.catalog.built_in import built_in
from whichopt.service.catalog.optimizers import optimizer
from whichopt.service.lint import lint, lint_job
from whichopt.service.spec import JobSpec, resolve

MENU = {"type": "categorical", "choices": [16, 64]}


def found(*optimizers: Any, **rest: Any) -> dict[tuple[str, str | None], str]:
    job = {"workload": {"dataset": "wine", "model": "mlp"}, "optimizers": list(optimizers), **rest}
    return {(one.code, one.field): one.what for one in lint_job(JobSpec.model_validate(job))}


def growing(**rest: Any) -> dict[str, Any]:
    return {"name": "sgd", "space": {"batch_size": {"adaptive": "norm", **rest}}}


def test_what_one_may_open_all_should() -> None:
    opened = {"name": "sgd", "space": {"batch_size": MENU}}
    told = found(opened, "adam")
    assert (
        "batch size is searched or grows for sgd but fixed for adam" in told["unequal_spaces", "optimizers"]
    )
    assert not found(opened, {"name": "adam", "space": {"batch_size": MENU}})
    assert (
        "batch size is searched or grows for adadagrad"
        in found("adadagrad", "adam")["unequal_spaces", "optimizers"]
    )
    assert not found("adadagrad", opened)


@pytest.mark.parametrize(
    ("name", "opens", "family"),
    [
        ("schedule", {"type": "categorical", "choices": ["cosine", "linear"]}, "schedule"),
        ("warmup", {"type": "float", "low": 0.0, "high": 0.2}, "warm-up"),
    ],
)
def test_schedules_count_as_well_but_not_of_those_that_bring_one(name: str, opens: Any, family: str) -> None:
    opened = {"name": "sgd", "space": {name: opens}}
    assert (
        f"{family} is searched for sgd but fixed for adam"
        in found(opened, "adam")["unequal_spaces", "optimizers"]
    )
    entry = dataclasses.replace(optimizer("adam"), name="free", own_schedule=True)
    catalog = dataclasses.replace(built_in(), optimizers=(*built_in().optimizers, entry))
    job = {"workload": {"dataset": "wine", "model": "mlp"}, "optimizers": [opened, "free"]}
    assert not lint(resolve(JobSpec.model_validate(job), catalog))


def test_steps_are_counted_at_the_largest_batch_of_each() -> None:
    budget = {"trials": 6, "replicates": 3, "epochs": 8, "confirm_seeds": 5}
    wide = {"type": "categorical", "choices": [16, 32, 64]}
    told = found({"name": "sgd", "space": {"batch_size": wide}}, budget=budget, batch_size=16)
    assert "in batches of up to 64" in told["few_steps", "optimizers.0.space.batch_size"]
    assert ("few_steps", "batch_size") not in told  # nothing is trained with that size
    told = found(growing(start=48), budget=budget)
    assert "in batches of up to 48" in told["few_steps", "optimizers.0.space.batch_start"]
    assert ("few_steps", "batch_size") in found("sgd", "adam", budget=budget)


def test_a_range_of_every_size_keeps_trials_apart() -> None:
    every = {"type": "int", "low": 16, "high": 64}
    told = found({"name": "sgd", "space": {"batch_size": every}})
    assert "any of the 49 numbers" in told["every_batch_size", "optimizers.0.space.batch_size"]
    assert not found({"name": "sgd", "space": {"batch_size": {"type": "int", "low": 32, "high": 36}}})


def test_a_batch_needs_room_to_grow() -> None:
    told = found(growing(start=32, max=64))
    assert (
        "starts with 32 examples and may have 64" in told["no_room_to_grow", "optimizers.0.space.batch_max"]
    )
    assert not found(growing(start=24, max=96, micro=4))
    assert not found("adadagrad")  # half of the little that wine has is all there is


def test_lanes_and_batch_norm_see_the_sizes_of_each() -> None:
    text = {"dataset": "unicode_names", "model": "lstm"}
    wide = {"name": "sgd", "space": {"batch_size": {"type": "categorical", "choices": [16, 256]}}}
    told = found(wide, workload=text)
    assert "read in 256 lanes" in told["short_lanes", "optimizers.0.space.batch_size"]
    layers = [{"type": "linear", "out": 8}, "batch_norm", "relu", {"type": "linear", "out": "outputs"}]
    normed = {"dataset": "wine", "model": {"name": "layers", "layers": layers}}
    told = found(growing(start=16, micro=4), workload=normed)
    assert "a batch has 4 examples" in told["few_rows_for_batch_norm", "optimizers.0.space.batch_micro"]

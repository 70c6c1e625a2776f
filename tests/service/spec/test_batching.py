"""What a label's space says of batches and the schedule: completed, checked, and resolved to itself."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from whichopt.service.batches import GrowingBatch
from whichopt.service.catalog.built_in import Catalog, built_in
from whichopt.service.catalog.optimizers import optimizer
from whichopt.service.errors import InvalidSpec
from whichopt.service.limits import Limits
from whichopt.service.space import Categorical, Float, Int
from whichopt.service.spec import TODAY, JobSpec, ResolvedSpec, resolve
from whichopt.service.spec.recorded import resolved_again
from whichopt.service.trials import Schedule

GROWN = {"adaptive": "norm"}


def job(*optimizers: Any, **rest: Any) -> JobSpec:
    workload = {"dataset": "digits", "model": "mlp"}
    return JobSpec.model_validate({"workload": workload, "optimizers": list(optimizers), **rest})


def sgd(**space: Any) -> dict[str, Any]:
    return {"name": "sgd", "space": space}


def refused(
    *optimizers: Any, catalog: Catalog | None = None, limits: Limits | None = None, **rest: Any
) -> InvalidSpec:
    with pytest.raises(InvalidSpec) as info:
        resolve(job(*optimizers, **rest), catalog, limits)
    return info.value


def again(spec: ResolvedSpec, catalog: Catalog | None = None) -> ResolvedSpec:
    """The spec as JSON, and resolved once more; by what it records alone it comes to the same."""
    assert resolved_again(spec) == spec
    return resolve(JobSpec.model_validate(spec.model_dump(mode="json")), catalog)


MENU = {"type": "categorical", "choices": [16, 64, 256]}


def test_ranges_take_the_jobs_value_as_their_default_or_the_nearest() -> None:
    wide = {"type": "int", "low": 8, "high": 32}
    schedules = {"type": "categorical", "choices": ["linear", "constant"]}
    warmups = {"type": "float", "low": 0.1, "high": 0.3}
    spec = resolve(job(sgd(batch_size=wide, schedule=schedules, warmup=warmups), sgd_as("plain")))
    chosen, plain = spec.optimizers
    assert (chosen.space["batch_size"], chosen.space["warmup"]) == (Int(**wide), Float(**warmups))
    assert chosen.searched.keys() >= {"batch_size", "schedule", "warmup", "lr"}
    assert (chosen.default["batch_size"], chosen.default["warmup"]) == (32, 0.1)
    assert chosen.default["schedule"] in ("linear", "constant")  # cosine, the job's, is none of them
    assert not {"batch_size", "schedule", "warmup"} & plain.space.keys()
    assert again(spec) == spec


def sgd_as(label: str) -> dict[str, Any]:
    return {"name": "sgd", "label": label}


def test_a_default_may_be_given_and_a_value_fixed() -> None:
    asked = {
        "name": "adam",
        "space": {"batch_size": MENU, "schedule": "step"},
        "default": {"batch_size": 256},
    }
    (chosen,) = resolve(job(asked)).optimizers
    assert (chosen.default["batch_size"], chosen.space["schedule"]) == (256, "step")
    assert isinstance(chosen.searched["batch_size"], Categorical)
    assert "schedule" not in chosen.searched


@pytest.mark.parametrize(
    ("name", "default"),
    [("sgd", {"batch_size": 32}), ("sgd", {"batch_eta": 0.3}), ("adadagrad", {"warmup": 0.1})],
)
def test_a_default_of_what_the_space_does_not_open_is_refused(name: str, default: dict[str, Any]) -> None:
    error = refused({"name": name, "default": default})
    ((of, value),) = default.items()
    assert (error.field, error.value) == (f"optimizers.0.default.{of}", value)
    assert "does not open" in error.detail


def test_a_growing_batch_is_completed() -> None:
    spec = resolve(
        job(sgd(batch_size={**GROWN, "eta": {"type": "float", "low": 0.1, "high": 0.9}, "start": 40}))
    )
    (chosen,) = spec.optimizers
    half = spec.sizes.train // 2
    wanted = {"batch_start": 40, "batch_growth": 2.0, "batch_max": half, "batch_micro": 8}
    assert {name: chosen.space[name] for name in wanted} == wanted
    assert chosen.default == {**chosen.default, **wanted, "batch_eta": 0.5}
    training = spec.training_of("sgd", chosen.default)
    assert training.batch_size == 8
    assert training.growing == GrowingBatch(eta=0.5, start=40, growth=2.0, most=half)
    assert spec.steps_of("sgd") == -(-spec.length // 40)
    assert again(spec) == spec


def test_flat_names_say_the_same_and_no_class_has_them() -> None:
    nested = resolve(job(sgd(batch_size={**GROWN, "eta": 0.3, "micro": 4})))
    flat = resolve(job(sgd(batch_eta=0.3, batch_micro=4)))
    assert flat == nested
    facts = flat.optimizer("sgd").facts
    assert not {"batch_eta", "batch_micro"} & facts.own(flat.optimizer("sgd").default).keys()


def test_an_optimizer_whose_batch_always_grows_needs_nothing_said() -> None:
    spec = resolve(job("adadagrad", {"name": "adadagradnorm", "space": {"batch_max": 128}}))
    first, second = spec.optimizers
    assert first.space.keys() >= {"batch_eta", "batch_start", "batch_growth", "batch_max", "batch_micro"}
    assert second.space["batch_max"] == 128
    assert again(spec) == spec


def test_a_step_schedule_of_its_own_keeps_the_jobs_milestones() -> None:
    asked = {"name": "step", "milestones": [0.3, 0.6], "factor": 0.5}
    spec = resolve(job(sgd(warmup={"type": "float", "low": 0.0, "high": 0.2}), schedule=asked))
    found = spec.training_of("sgd", {**spec.optimizer("sgd").default, "warmup": 0.1}).schedule
    assert found == Schedule(name="step", warmup=0.1, milestones=(0.3, 0.6), factor=0.5)
    other = spec.training_of("sgd", {**spec.optimizer("sgd").default, "schedule": "linear"}).schedule
    assert (other.name, other.milestones) == ("linear", None)


@pytest.mark.parametrize(
    ("space", "field", "value", "allowed"),
    [
        ({"batch_size": 0}, "batch_size", 0, "1 to 65536"),
        ({"batch_size": 64.5}, "batch_size", 64.5, "whole"),
        ({"batch_size": {"type": "categorical", "choices": [16, 5000]}}, "batch_size", 5000, "1 to 1078"),
        ({"schedule": "cosinus"}, "schedule", "cosinus", "cosine"),
        ({"warmup": 0.6}, "warmup", 0.6, "0 to 0.5"),
        ({"batch_size": {**GROWN, "eta": 1.0}}, "batch_eta", 1.0, "0.001 to 0.999"),
        ({"batch_size": {**GROWN, "growth": 1.0}}, "batch_growth", 1.0, "1.25 to"),
        ({"batch_size": {**GROWN, "start": 16, "micro": 8}}, "batch_start", 16, "32 or more"),
        ({"batch_size": {**GROWN, "start": 64, "max": 60}}, "batch_start", 64, "at most 56"),
        ({"batch_size": {**GROWN, "start": 2000, "max": 4000}}, "batch_start", 2000, "at most 1072"),
        ({"batch_size": {**GROWN, "max": 16}}, "batch_max", 16, "32 or more"),
        ({"batch_size": {**GROWN, "start": 1200, "micro": 300}}, "batch_micro", 300, "at most 269"),
        ({"batch_size": {**GROWN, "start": 33, "max": 37}}, "batch_start", 33, "at most 32"),
        ({"batch_eta": 0.5, "batch_size": 64}, "batch_size", None, "one of the two"),
        ({"schedule": "step", "warmup": 0.5}, "warmup", 0.5, "less than 0.5"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_by_field_value_and_what_is_allowed(
    space: Any, field: str, value: Any, allowed: str
) -> None:
    error = refused(sgd(**space))
    assert error.field == f"optimizers.0.space.{field}"
    if value is not None:
        assert error.value == value
    assert allowed in str(error.allowed)


def test_whole_numbers_may_be_written_with_a_point_and_no_others_are_searched() -> None:
    sizes = {"type": "categorical", "choices": [16.0, 64]}
    spec = resolve(job({**sgd(batch_size=sizes), "default": {"batch_size": 16.0}}, sgd_as("b")))
    chosen = spec.optimizer("sgd")
    assert (chosen.space["batch_size"], chosen.default["batch_size"]) == (Categorical(choices=(16, 64)), 16)
    assert again(spec) == spec
    assert type(resolve(job(sgd(batch_size=64.0))).optimizer("sgd").space["batch_size"]) is int
    error = refused(sgd(batch_size={"type": "float", "low": 8.0, "high": 64.0}))
    assert (error.field, error.value) == ("optimizers.0.space.batch_size.type", "float")


def test_a_micro_batch_is_one_number() -> None:
    error = refused(sgd(batch_size={**GROWN, "micro": {"type": "categorical", "choices": [4, 8]}}))
    assert error.field == "optimizers.0.space.batch_micro"
    assert "side by side" in error.detail
    assert error.allowed == "a whole number"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"adaptive": "variance"}, "batch_size.adaptive is 'variance'; allowed: 'norm'"),
        (
            {**GROWN, "theta": 0.9},
            "batch_size has no 'theta'; an adaptive one has eta, start, growth, max, micro",
        ),
        ({"eta": 0.5}, "no range, as it has no 'type', and no batch that grows; allowed: a number"),
        ({"low": 8, "high": 64}, "no range, as it has no 'type', and no batch that grows; allowed: a number"),
    ],
)
def test_what_is_not_the_norm_test_is_refused(asked: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        job(sgd(batch_size=asked))


def test_a_size_said_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size says eta, and so does batch_eta; leave one out"):
        job(sgd(batch_size={**GROWN, "eta": 0.3}, batch_eta=0.2))


def test_a_flat_name_holds_beside_what_the_other_leaves_out() -> None:
    spec = resolve(job(sgd(batch_size=GROWN, batch_eta=0.2)))
    assert spec.optimizer("sgd").space["batch_eta"] == 0.2


def test_a_default_says_either_name_as_well() -> None:
    starts = {"type": "categorical", "choices": [32, 64]}
    space = {"batch_size": {**GROWN, "eta": {"type": "float", "low": 0.1, "high": 0.3}, "start": starts}}
    spec = resolve(job({**sgd(**space), "default": {"batch_size": {**GROWN, "start": 64}}}))
    first = spec.optimizer("sgd").default
    assert (first["batch_start"], first["batch_eta"]) == (64, 0.3)
    error = refused({**sgd(), "default": {"batch_size": {**GROWN, "start": 64}}})
    assert error.field == "optimizers.0.default.batch_start"


def test_todays_batches_may_grow_by_either_name() -> None:
    by_one, by_other = (
        resolve(job("sgd", today={"name": "sgd", "config": {"lr": 0.1, **batch}}))
        for batch in ({"batch_size": {**GROWN, "eta": 0.2, "max": 200}}, {"batch_eta": 0.2, "batch_max": 200})
    )
    assert by_one == by_other == again(by_one)


def test_an_optimizer_whose_batch_always_grows_takes_no_fixed_size() -> None:
    error = refused({"name": "adadagrad", "space": {"batch_size": 64}})
    assert (error.field, error.allowed) == ("optimizers.0.space.batch_size", "one of the two")


def test_two_players_have_no_growing_batch_but_sizes_of_their_own() -> None:
    gan = {"dataset": "ring", "model": "gan", "task": "generation"}
    for asked in ("adadagrad", sgd(batch_size=GROWN)):
        error = refused(asked, workload=gan)
        assert (error.field, error.allowed) == ("optimizers.0.space", "a fixed batch_size")
    spec = resolve(job(sgd(batch_size=MENU), workload=gan))
    assert spec.optimizer("sgd").default["batch_size"] == 64


def test_a_function_of_ones_own_makes_its_own_batches() -> None:
    own, budget = {"function": "ourlab.train:fit", "minimize": "loss"}, {"trials": 6}
    for name, value in (("batch_size", 32), ("schedule", "linear"), ("warmup", 0.1), ("batch_eta", 0.3)):
        error = refused(sgd(**{name: value}), workload=own, budget=budget)
        assert error.field == f"optimizers.0.space.{name}"
        assert error.allowed == "nothing"
    error = refused("adadagrad", workload=own, budget=budget)
    assert "makes its own batches" in error.detail


def _free() -> Catalog:
    """The catalog with an optimizer that brings a schedule."""
    entry = dataclasses.replace(optimizer("adam"), name="free", own_schedule=True)
    return dataclasses.replace(built_in(), optimizers=(*built_in().optimizers, entry))


def test_an_optimizer_that_brings_a_schedule_is_left_to_it() -> None:
    spec = resolve(job("free", "sgd", schedule={"name": "cosine", "warmup": 0.1}), _free())
    free = spec.optimizer("free")
    assert (free.space["schedule"], free.space["warmup"]) == ("constant", 0.0)
    assert spec.training_of("free", free.default).schedule.name == "constant"
    assert spec.training_of("sgd", spec.optimizer("sgd").default).schedule.name == "cosine"
    assert again(spec, _free()) == spec
    constant = resolve(job("free", schedule={"name": "constant"}), _free())
    assert "schedule" not in constant.optimizer("free").space


WARMUPS = {"type": "float", "low": 0.0, "high": 0.1, "scale": "linear"}


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [("schedule", "linear", "constant"), ("warmup", 0.1, 0.0), ("warmup", WARMUPS, 0.0)],
)
def test_a_schedule_is_refused_to_one_that_brings_its_own(name: str, value: Any, allowed: Any) -> None:
    error = refused("sgd", {"name": "free", "space": {name: value}}, catalog=_free())
    assert (error.field, error.value, error.allowed) == (f"optimizers.1.space.{name}", value, allowed)
    assert "free brings its own schedule of the learning rate" in error.detail
    assert f"leave {name} out" in error.detail


def test_a_schedule_is_refused_to_what_is_used_today_if_that_brings_its_own() -> None:
    today = {"name": "free", "config": {"schedule": "linear"}}
    error = refused("sgd", today=today, catalog=_free())
    assert (error.field, error.value, error.allowed) == ("today.config.schedule", "linear", "constant")
    assert error.detail.startswith("free brings")


def test_todays_batches_may_grow_as_those_of_a_space() -> None:
    asked = {"lr": 0.1, "batch_size": {"adaptive": "norm", "eta": 0.3}}
    spec = resolve(job("sgd", today={"name": "sgd", "config": asked}))
    spread = resolve(job("sgd", today={"name": "sgd", "config": {"lr": 0.1, "batch_eta": 0.3}}))
    assert spec.today is not None
    assert spec.today == spread.today
    assert spec.today.config["batch_eta"] == 0.3
    assert again(spec) == spec


def test_a_range_of_sizes_is_refused_by_its_end() -> None:
    error = refused(sgd(batch_size={"type": "int", "low": 16, "high": 2000}))
    assert (error.field, error.value) == ("optimizers.0.space.batch_size", 2000)


def test_todays_config_may_set_its_batches_and_schedule() -> None:
    today = {"name": "sgd", "config": {"lr": 0.1, "batch_size": 32, "schedule": "linear"}}
    spec = resolve(job("sgd", today=today))
    assert spec.today is not None
    training = spec.training_of(TODAY, spec.today.config)
    assert (training.batch_size, training.schedule.name) == (32, "linear")
    assert again(spec) == spec
    too_large = {"name": "sgd", "config": {"lr": 0.1, "batch_size": 4096}}
    error = refused("sgd", today=too_large)
    assert (error.field, error.value, error.allowed) == ("today.config.batch_size", 4096, "1 to 1078")


def test_batch_norm_is_checked_at_each_size() -> None:
    layers = [{"type": "linear", "out": 8}, "batch_norm", "relu", {"type": "linear", "out": "outputs"}]
    workload = {"dataset": "wine", "model": {"name": "layers", "layers": layers}}
    budget = {"trials": 6, "replicates": 3, "epochs": 1, "confirm_seeds": 5}  # 106 examples
    sizes = {"type": "categorical", "choices": [16, 35, 53]}  # 106 = 3 * 35 + 1
    error = refused("adam", sgd(batch_size=sizes), workload=workload, budget=budget, batch_size=53)
    assert error.field == "optimizers.1.space.batch_size"
    assert error.value == 35
    assert "such as 34" in str(error.allowed)
    growing = sgd(batch_size={**GROWN, "start": 28, "micro": 7})  # 106 = 15 * 7 + 1
    error = refused(growing, workload=workload, budget=budget)
    assert (error.field, error.value) == ("optimizers.0.space.batch_micro", 7)
    assert "set batch_micro to 6" in error.detail


def test_activations_are_limited_by_the_largest_size() -> None:
    layers = [{"type": "linear", "out": 64}, "relu", {"type": "linear", "out": "outputs"}]
    workload = {"dataset": "digits", "model": {"name": "layers", "layers": layers}}
    few = Limits(activation_bytes=2**17)
    resolve(job(sgd(batch_size=64), workload=workload, batch_size=1024), limits=few)
    error = refused(sgd(batch_size=MENU), workload=workload, limits=few, batch_size=16)
    assert error.allowed == 2**17
    assert "a batch of 256 examples" in error.detail
    grown = sgd(batch_size={**GROWN, "max": 1000})  # of which only a part goes through the network at once
    resolve(job(grown, workload=workload), limits=few)

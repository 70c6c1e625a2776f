"""The forms of a recommended config: each is read by what it is for, and says what was recommended."""

from __future__ import annotations

import ast
import json
from functools import cache
from typing import Any

import pytest
import yaml

from tests.builders.guests import guest_spec, rehearsed, whole_job
from tests.builders.trials import confirm, flat, spec_of
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.forms import FORMS, written
from whichopt.service.spec import ResolvedSpec
from whichopt.service.views import Recommendation

Job = tuple[ResolvedSpec, Recommendation]


@cache
def built_in(schedule: str = "cosine", **rest: Any) -> Job:
    asked = {"name": schedule, "warmup": 0.1}
    spec = spec_of("adabelief", "adamw", schedule=asked, **rest)
    trials = confirm(spec, flat(spec), lambda arm, seed: 0.1 * (arm.label == "adamw") + 0.01 * (seed % 3))
    return spec, recommend("job", spec, trials)


@cache
def own_batches(**space: Any) -> Job:
    """A job whose only optimizer searches nothing but its learning rate, and sets its own training."""
    asked = {"name": "adam", "space": {name: _thawed(value) for name, value in space.items()}}
    spec = spec_of(asked, schedule={"name": "cosine", "warmup": 0.1})
    return spec, recommend("job", spec, confirm(spec, flat(spec), lambda _, seed: 0.01 * (seed % 3)))


def _thawed(value: Any) -> Any:
    return dict(value) if isinstance(value, tuple) else value


@cache
def guest(scheduled: bool = False) -> Job:
    spec = guest_spec()
    assert spec.guest is not None
    known = spec.guest.with_rehearsal(rehearsed(spec, scheduled=scheduled))
    spec = spec.model_copy(update={"workload": known})
    return spec, recommend("job", spec, whole_job(spec))


def call(text: str, name: str) -> dict[str, Any]:
    """The keyword arguments of the call of that name that are literals."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == name:
            found = {}
            for keyword in node.keywords:
                try:
                    found[str(keyword.arg)] = ast.literal_eval(keyword.value)
                except ValueError:
                    found[str(keyword.arg)] = ast.unparse(keyword.value)
            return found
    raise AssertionError(f"no call of {name}")


def as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("job", [built_in, guest], ids=["built in", "guest"])
def test_each_form_has_the_class_and_every_argument(job: Any) -> None:
    spec, recommendation = job()
    label = recommendation.optimizer
    facts = spec.optimizer(label).facts
    wanted = as_json({**recommendation.config, **facts.build.fixed})
    said = json.loads(written("json", spec, recommendation))
    assert (said["class"], said["arguments"]) == (facts.build.target, wanted)
    config = yaml.safe_load(written("lightning", spec, recommendation))
    assert config["optimizer"] == {"class_path": facts.build.target, "init_args": wanted}
    name = (
        facts.build.target if facts.build.target.startswith("torch.") else facts.build.target.split(".")[-1]
    )
    for form in ("hf", "torch"):
        assert as_json(call(written(form, spec, recommendation), name)) == wanted


def test_a_catalog_job_brings_its_length_its_clipping_and_its_schedule() -> None:
    spec, recommendation = built_in(clip_norm=0.5)
    config = yaml.safe_load(written("lightning", spec, recommendation))
    assert config["trainer"] == {"max_epochs": 2, "gradient_clip_val": 0.5}
    text = written("hf", spec, recommendation)
    assert call(text, "TrainingArguments") == {
        "output_dir": "out",
        "num_train_epochs": 2,
        "per_device_train_batch_size": 64,
        "max_grad_norm": 0.5,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.1,
    }
    assert call(text, "Trainer")["optimizers"] == "(optimizer, None)"


@pytest.mark.parametrize(
    ("schedule", "name"),
    [
        ("constant", "constant_with_warmup"),
        ("linear", "linear"),
        ("trapezoid", "warmup_stable_decay"),
    ],
)
def test_schedules_have_transformers_names(schedule: str, name: str) -> None:
    spec, recommendation = built_in(schedule)
    found = call(written("hf", spec, recommendation), "TrainingArguments")
    assert found["lr_scheduler_type"] == name


def test_a_schedule_that_transformers_lacks_is_handed_to_the_trainer() -> None:
    spec, recommendation = built_in("step")
    text = written("hf", spec, recommendation)
    assert "lr_scheduler_type" not in call(text, "TrainingArguments")
    assert call(text, "Trainer")["optimizers"] == "(optimizer, scheduler)"
    assert "0.1 ** sum(done >= milestone for milestone in [0.5, 0.75])" in text
    assert "import torch\n" in text


def test_a_functions_own_schedule_and_length_stay_its_own() -> None:
    spec, recommendation = guest()
    assert call(written("hf", spec, recommendation), "TrainingArguments") == {"output_dir": "out"}
    assert set(yaml.safe_load(written("lightning", spec, recommendation))) == {"optimizer"}
    assert json.loads(written("json", spec, recommendation))["schedule"] is None
    spec, recommendation = guest(scheduled=True)
    assert "lr_scheduler_type" in call(written("hf", spec, recommendation), "TrainingArguments")
    assert "The schedule was cosine" in written("lightning", spec, recommendation)


def test_a_batch_size_and_a_schedule_of_its_own_are_no_arguments() -> None:
    spec, recommendation = own_batches(batch_size=48, schedule="linear", warmup=0.2)
    said = json.loads(written("json", spec, recommendation))
    assert (said["batch_size"], said["schedule"]["name"], said["schedule"]["warmup"]) == (48, "linear", 0.2)
    text, yaml_text = (written(form, spec, recommendation) for form in ("hf", "lightning"))
    arguments = call(text, "TrainingArguments")
    assert arguments["per_device_train_batch_size"] == 48
    assert (arguments["lr_scheduler_type"], arguments["warmup_steps"]) == ("linear", 0.2)
    assert "The batches had 48 examples" in yaml_text
    assert "The schedule was linear with a warm-up of 20%" in yaml_text
    for found in (
        said["arguments"],
        call(text, "torch.optim.Adam"),
        yaml.safe_load(yaml_text)["optimizer"]["init_args"],
    ):
        assert found.keys() == {"lr", "betas", "eps", "weight_decay"}


def test_modes_are_told_where_nobody_sets_them() -> None:
    spec = spec_of({"name": "schedulefree_sgd", "space": {"lr": 0.5}})
    found = recommend("job", spec, confirm(spec, flat(spec), lambda _, seed: 0.01 * (seed % 3)))
    assert "Call its eval()" in written("lightning", spec, found)
    assert "eval()" not in written("lightning", *own_batches())


def test_a_growing_batch_is_told_where_a_form_has_none() -> None:
    grown = {"adaptive": "norm", "eta": 0.25, "start": 42, "growth": 4.0, "max": 165, "micro": 10}
    spec, recommendation = own_batches(batch_size=tuple(grown.items()))
    said = json.loads(written("json", spec, recommendation))
    assert said["batch_size"] == grown  # as a job takes it
    assert said["arguments"].keys() == {"lr", "betas", "eps", "weight_decay"}
    for form in ("hf", "lightning"):
        comment = [line for line in written(form, spec, recommendation).splitlines() if line.startswith("#")]
        # In whole micro-batches of 10.
        assert any("grew from 50 to at most 160 examples" in line for line in comment), form
    arguments = call(written("hf", spec, recommendation), "TrainingArguments")
    assert arguments["per_device_train_batch_size"] == 50


def test_small_numbers_stay_numbers_in_yaml() -> None:
    spec, recommendation = built_in()
    config = {"lr": 1e-05, "betas": [0.9, 0.999], "eps": 1e-16, "amsgrad": False, "weight_decay": 5}
    tiny = recommendation.model_copy(update={"config": config})
    read = yaml.safe_load(written("lightning", spec, tiny))["optimizer"]["init_args"]
    assert read == {**config, "decoupled_weight_decay": True}


def test_nothing_recommended_has_no_form() -> None:
    spec, recommendation = built_in()
    nothing = recommendation.model_copy(update={"config": None})
    for form in FORMS:
        with pytest.raises(ValueError, match="recommends no config"):
            written(form, spec, nothing)

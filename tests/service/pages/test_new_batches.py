"""The group "Batches and schedule" of the form of a new job: what is typed, what is asked for, and back."""

from __future__ import annotations

from typing import Any

import pytest

from whichopt.service.catalog.built_in import built_in
from whichopt.service.errors import InvalidSpec
from whichopt.service.pages.new.batches import settings_of
from whichopt.service.pages.new.fill import as_sent, filled, form_of
from whichopt.service.pages.new.form import Asked, Form, asked
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve

CATALOG = built_in()
DIGITS: dict[str, Any] = {"dataset": "digits", "model": "linear"}
SIZES = {"type": "int", "low": 16, "high": 512, "scale": "log"}


def resolved(spec: dict[str, Any]) -> ResolvedSpec:
    return resolve(JobSpec.model_validate(spec))


def form(optimizer: str, **fields: str) -> Form:
    """The form with one optimizer and texts in fields of its space."""
    blank = form_of(resolved({"workload": DIGITS, "optimizers": [optimizer]}), CATALOG)
    return blank.with_values(**{f"space.{optimizer}.{name}": text for name, text in fields.items()})


def given(optimizer: str, **fields: str) -> Any:
    return asked(form(optimizer, **fields), CATALOG).spec["optimizers"][0]


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("128", 128),
        ("16, 32,64", {"type": "categorical", "choices": [16, 32, 64]}),
        ("16 to 512", SIZES),
        ("16 to 512 linear", {**SIZES, "scale": "linear"}),
    ],
)
def test_a_text_is_a_size_or_choices_or_a_range(text: str, allowed: Any) -> None:
    assert given("sgd", batch_size=text) == {"name": "sgd", "space": {"batch_size": allowed}}


def test_what_is_empty_is_the_jobs() -> None:
    assert given("sgd") == "sgd"
    assert given("adadagrad") == "adadagrad"
    assert given("sgd", batch_eta="0.3", batch_start="64") == "sgd"  # it was not chosen that batches grow


def test_batches_that_grow_are_asked_for_as_one_object() -> None:
    grow = {"batches": "grow", "batch_eta": "0.1 to 0.9", "batch_start": "32, 64", "batch_size": "16"}
    eta = {"type": "float", "low": 0.1, "high": 0.9, "scale": "log"}
    starts = {"type": "categorical", "choices": [32, 64]}
    wanted = {"adaptive": "norm", "eta": eta, "start": starts}
    assert given("adam", **grow) == {"name": "adam", "space": {"batch_size": wanted}}
    assert given("adam", batches="grow")["space"] == {"batch_size": {"adaptive": "norm"}}
    assert given("adadagrad", batch_max="256")["space"] == {"batch_max": 256}


def test_the_first_trial_can_have_another_value() -> None:
    spec = given("sgd", batch_size="16 to 512", **{"batch_size.first": "32"})
    assert spec["default"] == {"batch_size": 32}
    assert resolved({"workload": DIGITS, "optimizers": [spec]}).optimizer("sgd").default["batch_size"] == 32


def test_an_optimizer_has_a_row_for_what_its_own_space_lacks() -> None:
    rows = {name: [row.name for row in settings_of(CATALOG.optimizer(name))] for name in ("sgd", "adadagrad")}
    training = ["schedule", "warmup"]
    growing = ["batch_eta", "batch_start", "batch_growth", "batch_max", "batch_micro"]
    assert rows == {
        "sgd": ["batch_size", *growing, *training],
        "adadagrad": ["batch_max", "batch_micro", *training],
    }


SHOWN: list[dict[str, Any]] = [
    {"name": "sgd", "space": {"batch_size": 16}},
    {"name": "sgd", "space": {"batch_size": 64}},  # what the job has as well, but fixed
    {"name": "sgd", "space": {"batch_size": SIZES}, "default": {"batch_size": 100}},
    {"name": "sgd", "space": {"batch_size": {"type": "categorical", "choices": [256, 64]}, "lr": 0.1}},
    {"name": "sgd", "space": {"schedule": {"type": "categorical", "choices": ["cosine", "constant"]}}},
    {"name": "sgd", "space": {"warmup": {"type": "float", "low": 0.0, "high": 0.3}, "schedule": "linear"}},
    {"name": "adam", "space": {"batch_size": {"adaptive": "norm"}}},
    {
        "name": "adam",
        "space": {"batch_size": {"adaptive": "norm", "eta": 0.3, "start": 64, "max": 128, "micro": 16}},
    },
    {
        "name": "adam",
        "space": {"batch_size": {"adaptive": "norm", "growth": {"type": "float", "low": 2.0, "high": 8.0}}},
        "default": {"batch_growth": 3.0},
    },
    {"name": "adadagrad", "space": {"batch_start": 64, "batch_max": 200, "warmup": 0.0}},
    {"name": "adadagrad", "space": {"batch_growth": {"type": "categorical", "choices": [4, 2]}}},
]


@pytest.mark.parametrize("optimizer", SHOWN, ids=range(len(SHOWN)))
def test_a_spec_fills_the_form_and_comes_back(optimizer: dict[str, Any]) -> None:
    one = resolved({"workload": DIGITS, "optimizers": [optimizer, "adamw"]})
    found = filled(one, CATALOG, resolve)
    assert found.lost == ()
    assert resolved(asked(found.form, CATALOG).spec) == one
    assert resolved(as_sent(one, CATALOG)) == one


def test_a_spec_is_sent_again_as_short_as_it_was() -> None:
    job = {"workload": DIGITS, "optimizers": ["adadagrad", {"name": "adam", "space": {"batch_size": 32}}]}
    assert as_sent(resolved(job), CATALOG)["optimizers"] == job["optimizers"]


def test_todays_config_may_have_its_own_batch_size() -> None:
    today = {"name": "sgd", "config": {"lr": 0.1, "batch_size": 128, "schedule": "constant"}}
    one = resolved({"workload": DIGITS, "optimizers": ["adam"], "today": today})
    found = filled(one, CATALOG, resolve)
    assert found.lost == ()
    assert resolved(asked(found.form, CATALOG).spec) == one


WRONG = [
    ("sgd", {"batch_size": "0"}, "space.sgd.batch_size"),
    ("sgd", {"batch_size": "16, 100000"}, "space.sgd.batch_size"),
    ("sgd", {"batch_size": "2000"}, "space.sgd.batch_size"),  # more than the training split has
    ("sgd", {"schedule": "sometimes"}, "space.sgd.schedule"),
    ("sgd", {"warmup": "0 to 0.9"}, "space.sgd.warmup"),
    ("adam", {"batches": "grow", "batch_eta": "1"}, "space.adam.batch_eta"),
    ("adam", {"batches": "grow", "batch_start": "8"}, "space.adam.batch_start"),
    ("adadagrad", {"batch_micro": "8, 16"}, "space.adadagrad.batch_micro"),
    ("adam", {"batch_size": "16 to 64", "batch_size.first": "70000"}, "space.adam.batch_size"),
]


@pytest.mark.parametrize(("optimizer", "fields", "place"), WRONG, ids=[str(one[1]) for one in WRONG])
def test_what_is_wrong_stands_at_its_field(optimizer: str, fields: dict[str, str], place: str) -> None:
    made: Asked = asked(form(optimizer, **fields), CATALOG)
    with pytest.raises(InvalidSpec) as refused:
        resolved(made.spec)
    assert made.place(refused.value.field) == place


def test_a_function_opens_none_of_it() -> None:
    function = resolved(
        {"workload": {"function": "ourlab.train:fit", "minimize": "loss"}, "budget": {"trials": 3}}
    )
    shown = form_of(function, CATALOG).with_values(**{"space.adam.batch_size": "16"})
    assert asked(Form(shown.values, ("adam",)), CATALOG).spec["optimizers"] == ["adam"]

"""The form of a new job: a spec fills it, and it gives the same spec back; what it cannot show is named."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.builders.optimizers import scheduled
from whichopt.service.catalog.built_in import built_in
from whichopt.service.catalog.founding_optimizers import FOUNDING
from whichopt.service.catalog.optimizers import OPTIMIZERS
from whichopt.service.errors import WhichoptError
from whichopt.service.pages.new.fill import as_sent, filled, form_of, undecided
from whichopt.service.pages.new.form import Form, asked
from whichopt.service.pages.new.options import option_fields
from whichopt.service.pages.new.presets import PRESETS, chosen, with_chosen
from whichopt.service.pages.new.values import number, value, values, written
from whichopt.service.pages.new.view import options_of, rows_of
from whichopt.service.space import Categorical, Float
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve

CATALOG = built_in()
WINE: dict[str, Any] = {"dataset": "wine", "model": "linear"}
LAYERS = {
    "name": "layers",
    "layers": [{"type": "linear", "out": 8}, "relu", {"type": "linear", "out": "outputs"}],
}


def resolved(spec: dict[str, Any]) -> ResolvedSpec:
    return resolve(JobSpec.model_validate(spec))


def blank(**texts: str) -> Form:
    return form_of(resolved({"workload": WINE}), CATALOG).with_values(**texts)


SHOWN: list[dict[str, Any]] = [
    {"workload": WINE},
    {"workload": {**WINE, "metric": "accuracy"}, "name": "<script>alert(1)</script>", "seed": 2**53 - 1},
    {"workload": {**WINE, "task": {"name": "classification", "class_weight": "balanced"}}},
    {"workload": {"dataset": {"name": "friedman1", "examples": 200, "noise": 0.5}, "model": "mlp"}},
    {"workload": {"dataset": "digits", "model": {"name": "cnn", "channels": [4], "activation": "gelu"}}},
    {"workload": {"dataset": "digits", "model": LAYERS}},
    {"workload": {"dataset": "digits", "model": "cnn", "augment": ["crop", "flip"]}},
    {"workload": {"dataset": "digits", "model": "cnn", "augment": [{"name": "crop", "padding": 3}]}},
    {"workload": WINE, "budget": {"minutes": 2.5, "risk": 0.05}, "schedule": "constant", "device": "cpu"},
    {"workload": WINE, "budget": {"trials": 6, "max_seconds": 30}, "margin": {"percent": 2}, "clip_norm": 1},
    {
        "workload": WINE,
        "schedule": {"name": "trapezoid", "warmup": 0, "decay": 0.5},
        "pruning": {"rungs": []},
    },
    {"workload": WINE, "schedule": "step"},
    {"workload": WINE, "schedule": {"name": "step", "milestones": [0.6, 0.8, 0.95], "factor": 0.2}},
    {"workload": WINE, "today": {"name": "sgd", "config": {"momentum": 0.9, "nesterov": True}}},
    {
        "workload": WINE,
        "optimizers": [
            "sgd",
            {"name": "adamw", "space": {"betas": [{"type": "float", "low": 0.5, "high": 0.7}, 0.99]}},
            {"name": "adabelief", "space": {"rectify": True}, "default": {"lr": 0.05}},
        ],
    },
    {
        "workload": {"function": "ourlab.train:fit", "maximize": "acc", "baseline": 0.1, "version": "3"},
        "budget": {"trials": 6},
    },
]


@pytest.mark.parametrize("spec", SHOWN, ids=range(len(SHOWN)))
def test_a_spec_fills_the_form_and_comes_back(spec: dict[str, Any]) -> None:
    one = resolved(spec)
    found = filled(one, CATALOG, resolve)
    assert found.lost == ()
    assert resolved(asked(found.form, CATALOG).spec) == one
    assert resolved(as_sent(one, CATALOG)) == one


LOST = [
    ({"workload": WINE, "optimizers": [{"name": "adamw", "label": "mine"}]}, "optimizers.0.label"),
    (
        {"workload": WINE, "optimizers": ["adamw", {"name": "adamw", "label": "other"}]},
        "optimizers.1.label",
    ),
    (
        {
            "workload": WINE,
            "optimizers": [{"name": "sgd", "space": {"lr": {"type": "categorical", "choices": [0.1, 0.2]}}}],
        },
        "optimizers.0.space.lr.type",
    ),
    (
        {
            "workload": {"function": {"name": "a.b:c", "options": {"width": 3}}, "minimize": "x"},
            "budget": {"trials": 3},
        },
        "workload.function.options.width",
    ),
]


@pytest.mark.parametrize(("spec", "path"), LOST, ids=[path for _, path in LOST])
def test_what_the_form_cannot_show_is_named(spec: dict[str, Any], path: str) -> None:
    one = resolved(spec)
    assert path in filled(one, CATALOG, resolve).lost
    assert resolved(as_sent(one, CATALOG)) == one


PRINTABLE = st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f")


@st.composite
def spaces(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """An optimizer with some hyperparameters in other ranges, and some fixed."""
    entry = next(one for one in OPTIMIZERS if one.name == name)
    space: dict[str, Any] = {}
    for key, usual in entry.space.items():
        what = draw(st.sampled_from(["usual", "narrow", "fixed"]))
        # A switch and what it needs are bound to each other, which `resolve` tells.
        if what == "fixed" and key not in entry.needs and key not in entry.needs.values():
            space[key] = entry.default[key]
        elif what == "narrow" and isinstance(usual, Float):
            middle = draw(st.floats(0.1, 0.9)) * (usual.high - usual.low) + usual.low
            space[key] = {"type": "float", "low": usual.low, "high": middle, "scale": usual.scale}
        elif what == "narrow" and isinstance(usual, Categorical):
            space[key] = {"type": "categorical", "choices": list(reversed(usual.choices))}
    return {"name": name, "space": space}


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(
        st.lists(st.sampled_from([one.name for one in OPTIMIZERS]), min_size=1, unique=True, max_size=4)
    )
    studies = draw(st.integers(1, 5))
    return {
        "workload": {
            "dataset": draw(st.sampled_from(["wine", "digits"])),
            "model": {"name": "mlp", "hidden": draw(st.lists(st.integers(1, 64), min_size=1, max_size=3))},
        },
        "name": draw(st.none() | st.text(PRINTABLE, min_size=1)),
        "optimizers": [draw(spaces(name)) for name in names],
        "budget": {
            "trials": studies * draw(st.integers(1, 9)),
            "replicates": studies,
            "confirm_seeds": draw(st.integers(3, 100)),
        },
        "batch_size": draw(st.integers(1, 64)),
        "schedule": scheduled(*names).get("schedule", {"name": "cosine", "warmup": draw(st.floats(0, 0.5))}),
        "clip_norm": draw(st.none() | st.floats(1e-6, 1e6)),
    }


@settings(max_examples=30, deadline=None)
@given(specs())
def test_many_specs_fill_the_form_and_come_back(spec: dict[str, Any]) -> None:
    one = resolved(spec)
    found = filled(one, CATALOG, resolve)
    # Spaces around a name, and a line's end in it, are not kept by a field.
    assert set(found.lost) <= {"name"}
    assert resolved(as_sent(one, CATALOG)) == one


def test_the_later_optimizers_stand_behind_a_click_unless_they_are_chosen() -> None:
    def folded(form: Form) -> list[str]:
        return [row.name for row in rows_of(form, CATALOG) if row.folded]

    later = [one.name for one in OPTIMIZERS[len(FOUNDING) :]]
    assert folded(blank()) == later
    with_lion = form_of(resolved({"workload": WINE, "optimizers": ["sgd", "lion"]}), CATALOG)
    assert folded(with_lion) == [name for name in later if name != "lion"]


def test_what_is_as_usual_is_left_out() -> None:
    assert asked(blank(), CATALOG).spec == {
        "workload": {"dataset": "wine", "model": "linear"},
        "optimizers": ["adabelief", "adamw", "adam", "sgd", "radam", "nadam"],
        "budget": {"trials": 48, "replicates": 3, "epochs": 20, "confirm_seeds": 10},
    }


def test_a_range_moves_the_first_trial_with_it_unless_a_value_is_given() -> None:
    moved = blank(**{"space.adamw.lr.low": "0.01"})
    chosen_spec = resolved(asked(moved, CATALOG).spec).optimizer("adamw")
    assert chosen_spec.default["lr"] == 0.01
    given_value = moved.with_values(**{"space.adamw.lr.first": "0.05"})
    assert resolved(asked(given_value, CATALOG).spec).optimizer("adamw").default["lr"] == 0.05


NASTY = [
    "",
    " ",
    "nan",
    "-1",
    "9" * 300,
    "1e400",
    "[",
    "{}",
    "null",
    ",",
    "true",
    "\x00",
    "\ud800",
    "é",
    "<i>",
    "a.b",
]


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted(blank().values)), st.sampled_from(NASTY), min_size=1, max_size=3)
)
def test_whatever_is_typed_is_taken_or_refused_in_words(typed: dict[str, str]) -> None:
    for today in ("", "adamw"):
        form = blank(**{"today": today, "today.adamw.lr": "", **typed})
        rows_of(form, CATALOG)
        options_of(form, CATALOG)
        with suppress(ValidationError, WhichoptError):
            resolved(asked(form, CATALOG).spec)


def test_a_path_belongs_to_the_field_of_its_longest_beginning() -> None:
    made = asked(blank(today="adamw"), CATALOG)
    assert made.place("budget.confirm_seeds") == "seeds"
    assert made.place("optimizers.1.space.lr.low") == "optimizer.adamw"
    assert made.place("workload.model.name") == "model"
    assert made.place("today.config.lr") == "today.adamw.lr"
    assert made.place("rules") == made.place(None) == ""


def test_text_that_is_no_number_is_left_for_the_service_to_refuse() -> None:
    with pytest.raises(ValidationError, match=r"budget\.trials"):
        JobSpec.model_validate(asked(blank(trials="many"), CATALOG).spec)


def test_a_timed_job_is_asked_for_anew_without_its_plan() -> None:
    spec = resolved({"workload": WINE, "budget": {"minutes": 1, "confirm_seeds": 9}, "optimizers": ["sgd"]})
    plan = {
        "trials": {"sgd": 6},
        "step_ms": {"sgd": 1.0},
        "trial_seconds": {"sgd": 1.0},
        "search_seconds": 6.0,
        "processes": 1,
        "confirm_seeds_asked": 9,
    }
    raw = spec.model_dump(mode="json")
    planned = ResolvedSpec.model_validate(
        {**raw, "budget": {**raw["budget"], "settled": plan, "confirm_seeds": 4}}
    )
    assert undecided(planned) == spec


def test_presets_are_known_again_and_fill_the_form() -> None:
    assert chosen(blank()) == "careful"
    assert chosen(blank(trials="30")) == ""
    for one in PRESETS:
        form = with_chosen(blank(preset=one.name, preset_was="careful"))
        assert chosen(form) == one.name
        resolved(asked(form, CATALOG).spec)
    assert chosen(with_chosen(blank(preset="clock", preset_was="")).with_values(minutes="90")) == "clock"
    # The preset that the page came with does not undo what was typed after it.
    assert with_chosen(blank(trials="30", preset="careful", preset_was="careful")).text("trials") == "30"


@pytest.mark.parametrize(
    "one", [True, False, 0, 64, -3, 0.1, 1e-05, 1e300, 1 / 3, "relu", "true", "1.5", "a, b", '"']
)
def test_a_value_is_written_so_that_it_is_read_again(one: Any) -> None:
    assert value(written(one)) == one
    assert type(value(written(one))) is type(one) or isinstance(one, float)


def test_numbers_are_read_as_people_write_them() -> None:
    assert [number(text) for text in (" 12 ", "1e-3", ".5", "+2")] == [12, 0.001, 0.5, 2]
    assert [number(text) for text in ("nan", "inf", "1_000", "1,000", "1e999", "")] == [
        *("nan", "inf", "1_000", "1,000", "1e999", "")
    ]
    assert values("128, 64") == [128, 64]
    assert values(" ") == []


def test_every_option_of_the_catalog_has_a_field_that_keeps_its_default() -> None:
    for options in [
        one.options for part in (CATALOG.models, CATALOG.datasets, CATALOG.tasks) for one in part
    ]:
        for one in option_fields(options):
            default = options.model_json_schema()["properties"][one.name].get("default")
            assert default is None or one.read(one.default) == default

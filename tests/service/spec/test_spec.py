"""The job spec: what is written out, what is refused, and what the refusal says."""

from __future__ import annotations

from dataclasses import asdict
from types import NoneType
from typing import Any, get_args

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from tests.builders.optimizers import in_jobs
from whichopt.service.catalog import datasets, models
from whichopt.service.catalog.optimizers import OPTIMIZERS, optimizer
from whichopt.service.errors import InvalidSpec
from whichopt.service.space import Float, Int
from whichopt.service.spec import DEFAULT_OPTIMIZERS, JobSpec, Margin, Pruning, ResolvedSpec, resolve
from whichopt.service.spec.budget import Budget, TimedPlan
from whichopt.service.trials import Schedule

PLAN = {
    "trials": {"sgd": 9, "adam": 6},
    "step_ms": {"sgd": 0.2, "adam": 0.3},
    "trial_seconds": {"sgd": 0.2, "adam": 0.3},
    "search_seconds": 2.0,
    "processes": 2,
    "confirm_seeds_asked": 10,
}
EVERY = [entry.name for entry in OPTIMIZERS]
WORKLOAD = {"dataset": {"name": "digits"}, "model": {"name": "mlp"}}


def resolved(**parts: Any) -> ResolvedSpec:
    return resolve(JobSpec.model_validate({"workload": WORKLOAD, **parts}))


def test_only_the_workload_is_needed() -> None:
    spec = resolved()
    assert spec.workload.task == "classification"
    assert spec.cataloged.model.options == {"hidden": [128, 64], "activation": "relu"}
    assert spec.labels == DEFAULT_OPTIMIZERS
    assert sum(asdict(spec.sizes).values()) == spec.cataloged.shape.examples == 1797
    for chosen in spec.optimizers:
        assert chosen.default == optimizer(chosen.name).default
        assert chosen.searched == optimizer(chosen.name).space


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"optimizers": [{"name": "sgd", "space": {"momentum": 0, "nesterov": False}}]},
        {
            "optimizers": [
                {
                    "name": "adam",
                    "default": {"lr": 1},
                    "space": {"lr": {"type": "float", "low": 2, "high": 3}},
                }
            ]
        },
        {"workload": {"dataset": {"name": "friedman1", "noise": 2}, "model": {"name": "linear"}}},
    ],
)
def test_a_resolved_spec_is_a_spec_that_resolves_to_itself(parts: dict[str, Any]) -> None:
    once = resolved(**parts)
    again = JobSpec.model_validate_json(once.model_dump_json())
    assert resolve(again) == once


def test_a_range_that_the_user_sets_holds_for_the_first_trial_too() -> None:
    narrow = {"type": "float", "low": 0.1, "high": 0.5}
    (chosen,) = resolved(optimizers=[{"name": "sgd", "space": {"lr": narrow, "momentum": 0.5}}]).optimizers
    assert chosen.default["lr"] == 0.1
    assert chosen.default["momentum"] == 0.5
    assert "momentum" not in chosen.searched
    assert chosen.default["weight_decay"] == 0.0, "the catalog's own setting stands"


def test_what_torch_packs_may_be_given_packed() -> None:
    config = {"lr": 0.01, "betas": [0.8, 0.99], "eps": 1e-9, "weight_decay": 0.1}
    (chosen,) = resolved(optimizers=[{"name": "adamw", "default": config}]).optimizers
    assert optimizer("adamw").arguments(chosen.default) == {**config, "betas": (0.8, 0.99)}
    (fixed,) = resolved(optimizers=[{"name": "adamw", "space": {"betas": [0.8, 0.99]}}]).optimizers
    assert set(fixed.searched) == {"lr", "eps", "weight_decay"}


def test_a_name_alone_stands_for_its_entry() -> None:
    spec = resolved(workload={"dataset": "digits", "model": "mlp"}, schedule="constant")
    assert spec.workload == resolved().workload
    assert spec.schedule.name == "constant"


def test_plain_sgd_is_momentum_0() -> None:
    (chosen,) = resolved(optimizers=[{"name": "sgd", "space": {"momentum": 0}}]).optimizers
    assert chosen.default["nesterov"] is False
    assert set(chosen.searched) == {"lr", "weight_decay"}


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"optimizers": ["adamww"]}, "optimizers.0.name", "did you mean 'adamw'"),
    ({"optimizers": ["adam", "adam"]}, "optimizers.1.label", "two optimizers have the label 'adam'"),
    (
        {"optimizers": [{"name": "sgd", "space": {"beta1": 0.9}}]},
        "optimizers.0.space",
        "no sgd hyperparameter",
    ),
    ({"optimizers": [{"name": "sgd", "space": {"lr": -1}}]}, "optimizers.0.space.lr", "cannot be -1"),
    (
        {"optimizers": [{"name": "adam", "space": {"beta1": {"type": "float", "low": 0, "high": 1}}}]},
        "optimizers.0.space.beta1",
        "allowed: 0 to 0.9999",
    ),
    ({"optimizers": [{"name": "adabelief", "space": {"beta1": 0}}]}, "optimizers.0.space.beta1", "0.001"),
    (
        {"optimizers": [{"name": "sgd", "space": {"momentum": 0, "nesterov": True}}]},
        "optimizers.0.space.nesterov",
        "needs",
    ),
    ({"optimizers": [{"name": "sgd", "default": {"lr": "x"}}]}, "optimizers.0.default.lr", "cannot be 'x'"),
    ({"budget": {"trials": 10, "replicates": 3}}, "budget.trials", "the nearest number that can is 9"),
    (
        {"budget": {"trials": 3000}, "optimizers": EVERY[:16]},
        "budget.trials",
        "at most 20,000",
    ),
    ({"batch_size": 2000}, "batch_size", "exceeds the 1078 examples"),
    ({"workload": {**WORKLOAD, "task": "regression"}}, "workload.task", "is for classification"),
    ({"workload": {**WORKLOAD, "task": "clasification"}}, "workload.task", "did you mean 'classification'"),
    ({"workload": {**WORKLOAD, "dataset": {"name": "digit"}}}, "workload.dataset.name", "mean 'digits'"),
    (
        {"workload": {**WORKLOAD, "dataset": {"name": "digits", "x": 1}}},
        "workload.dataset.x",
        "no option 'x'",
    ),
    (
        {"workload": {**WORKLOAD, "model": {"name": "mlp", "hidden": []}}},
        "workload.model.hidden",
        "at least 1",
    ),
    (
        {"workload": {**WORKLOAD, "model": {"name": "mlp", "hidden": [8000, 8000]}}},
        "workload.model",
        "at most 50,000,000",
    ),
    (
        {"workload": {"dataset": {"name": "wine"}, "model": {"name": "cnn"}}},
        "workload.model.name",
        "needs images",
    ),
]


@pytest.mark.parametrize(("parts", "field", "says"), REFUSED, ids=[says for _, _, says in REFUSED])
def test_a_refusal_names_the_field_and_what_is_allowed(parts: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        resolved(**parts)
    assert refused.value.field == field
    assert says in refused.value.detail


@pytest.mark.parametrize(
    "parts",
    [
        {"optimizers": []},
        {"optimizers": ["adam"] * 17},
        {"optimizers": [{"name": "adam", "label": "no spaces"}]},
        {"budget": {"trials": 0}},
        {"budget": {"epochs": 10**6}},
        {"budget": {"confirm_seeds": 2}},
        {"seed": -1},
        {"executor": "none"},
        {"schedule": {"name": "cosine", "warmup": 2}},
        {"clip_norm": 0},
        {"unknown": 1},
        {"workload": {"dataset": {"name": "digits"}}},
    ],
)
def test_what_does_not_fit_the_schema_is_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        JobSpec.model_validate({"workload": WORKLOAD, **parts})


QUOTED = [
    ({"seed": "8"}, "seed"),
    ({"seed": True}, "seed"),
    ({"clip_norm": "1"}, "clip_norm"),
    ({"budget": {"trials": "24"}}, "budget.trials"),
    ({"budget": {"minutes": True}}, "budget.minutes"),
    ({"budget": {"settled": {**PLAN, "trials": {"sgd": "9"}}}}, "budget.settled.trials.sgd"),
    ({"margin": {"percent": "5"}}, "margin.percent"),
    ({"pruning": {"rungs": [0.25, "0.5"]}}, "pruning.rungs.1"),
    ({"schedule": {"name": "cosine", "warmup": False}}, "schedule.warmup"),
    ({"schedule": {"name": "step", "milestones": [0.5, True]}}, "schedule.milestones.1"),
    ({"schedule": {"name": "step", "factor": "0.1"}}, "schedule.factor"),
    (
        {"optimizers": [{"name": "adam", "space": {"lr": {"type": "float", "low": "1e-4", "high": 1}}}]},
        "optimizers.0.space.lr.low",
    ),
    ({"workload": {**WORKLOAD, "model": {"name": "mlp", "hidden": [8, "8"]}}}, "workload.model.hidden.1"),
    (
        {"workload": {"dataset": {"name": "friedman1", "examples": True}, "model": "mlp"}},
        "workload.dataset.examples",
    ),
]


@pytest.mark.parametrize(("parts", "field"), QUOTED, ids=[field for _, field in QUOTED])
def test_a_number_is_a_number(parts: dict[str, Any], field: str, http: TestClient) -> None:
    """JSON has its own; `true` for 1, or digits in quotes, may be anything that went wrong."""
    answer = http.post("/v1/jobs", json={"workload": WORKLOAD, **parts})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert "should be a valid" in error["detail"]


STEPS = [
    ({"milestones": [0.75, 0.5]}, "milestones", "ascend from above the warm-up, which ends at 0, to below 1"),
    ({"milestones": [0.5, 1.0]}, "milestones", "they are 0.5, 1; such as 0.5, 0.75"),
    ({"milestones": [0.2, 0.5], "warmup": 0.2}, "milestones", "which ends at 0.2"),
    ({"factor": 1.0}, "factor", "less than 1"),
    ({"factor": 0}, "factor", "greater than 0"),
    (
        {"name": "cosine", "milestones": [0.5]},
        "milestones",
        "is for the schedule 'step', and this one is 'cosine'",
    ),
    ({"name": "linear", "factor": 0.1}, "factor", "leave it out, or set name to step"),
]


@pytest.mark.parametrize(("parts", "field", "says"), STEPS)
def test_what_a_schedule_cannot_have_is_refused_in_words(
    parts: dict[str, Any], field: str, says: str, http: TestClient
) -> None:
    schedule = {"name": "step", **parts}
    answer = http.post("/v1/jobs", json={"workload": WORKLOAD, "schedule": schedule})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == f"schedule.{field}"
    assert says in error["detail"]


def test_no_number_of_a_spec_is_forgotten() -> None:
    options = [entry.options for entry in (*datasets.DATASETS, *models.MODELS)]
    for model in (JobSpec, ResolvedSpec, Budget, TimedPlan, Margin, Pruning, Schedule, Float, Int, *options):
        for name, info in model.model_fields.items():
            if set(get_args(info.annotation) or [info.annotation]) <= {int, float, NoneType}:
                for wrong in (True, "1"):
                    with pytest.raises(ValidationError) as refused:
                        model.model_validate({name: wrong})
                    assert any(error["loc"] == (name,) for error in refused.value.errors()), (model, name)
                    kinds = {error["type"] for error in refused.value.errors() if error["loc"] == (name,)}
                    assert kinds <= {"int_type", "float_type"}, (model, name)


def test_a_whole_number_may_be_written_with_a_point() -> None:
    assert resolved(seed=8.0, budget={"trials": 12.0, "max_seconds": 60}) == resolved(
        seed=8, budget={"trials": 12, "max_seconds": 60.0}
    )


@pytest.mark.parametrize(
    ("names", "without"),
    [(["eps"], {"sgd"}), (["weight_decay"], set()), (["momentum", "beta1"], {"adagrad"})],
)
def test_spaces_respect_inclusion(names: list[str], without: set[str]) -> None:
    """eps, weight decay and momentum are open wherever a family has them, whatever the budget."""
    has = {entry.name: [name for name in names if name in entry.default] for entry in OPTIMIZERS}
    for trials in (1, 3, 300):
        budget = {"trials": trials, "replicates": 1}
        for some in in_jobs(EVERY):
            spec = resolved(optimizers=some, schedule="constant", budget=budget)
            for chosen in spec.optimizers:
                assert set(has[chosen.name]) <= set(chosen.searched)
    some = ["adabelief", "adam", "adamw", "adagrad", "lamb", "nadam", "qhadam", "radam", "rmsprop", "sgd"]
    assert {name for name in some if not has[name]} == without, "or next to nothing was checked"


def test_minutes_stand_in_place_of_trials() -> None:
    budget = resolved(budget={"minutes": 5}).budget
    assert (budget.trials, budget.minutes, budget.settled) == (None, 5, None)
    assert resolved(budget={}).budget.trials == 48
    once = resolved(budget={"minutes": 5, "risk": 0.1})
    assert resolve(JobSpec.model_validate_json(once.model_dump_json())) == once


@pytest.mark.parametrize(
    ("budget", "field"),
    [
        ({"minutes": 5, "trials": 24}, "budget.trials"),
        ({"minutes": 5, "max_seconds": 60}, "budget.max_seconds"),
        ({"trials": 24, "settled": PLAN}, "budget.settled"),
        ({"minutes": 5, "settled": {**PLAN, "trials": {"sgd": 6}}}, "budget.settled.trials"),
        ({"minutes": 5, "settled": {**PLAN, "trials": {"sgd": 6, "adam": 7}}}, "budget.settled.trials"),
        ({"minutes": 5, "settled": {**PLAN, "step_ms": {"sgd": 0, "adam": 1}}}, "budget.settled.step_ms"),
    ],
)
def test_what_does_not_go_with_minutes_is_refused(budget: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        resolved(optimizers=["sgd", "adam"], budget=budget)
    assert refused.value.field == field


@pytest.mark.parametrize(
    "budget", [{"risk": 0}, {"risk": 0.5}, {"minutes": 0}, {"minutes": 0.01}, {"trials": 0}]
)
def test_a_budget_out_of_bounds_is_refused(budget: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        resolved(budget=budget)


@pytest.mark.parametrize("margin", [{"absolute": 0.01}, {"percent": 2.0}])
def test_a_margin_is_in_units_or_in_percent(margin: dict[str, float]) -> None:
    spec = resolved(margin=margin)
    assert spec.margin is not None
    assert spec.margin.model_dump(exclude_none=True) == margin
    assert resolved().margin is None


@pytest.mark.parametrize("margin", [{}, {"absolute": 1, "percent": 1}, {"absolute": -1}, {"percent": 0}, 0.1])
def test_a_margin_is_one_positive_number(margin: Any) -> None:
    with pytest.raises(ValidationError, match="margin"):
        resolved(margin=margin)

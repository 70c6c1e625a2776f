"""The linter: nothing is said of the catalog's own settings, and each mistake is told where it stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.builders.optimizers import in_jobs, scheduled
from whichopt.service.batches import grows
from whichopt.service.catalog import founding_optimizers
from whichopt.service.catalog.datasets import DATASETS
from whichopt.service.catalog.models import MODELS
from whichopt.service.catalog.optimizers import OPTIMIZERS
from whichopt.service.cli import app
from whichopt.service.lint import lint, lint_job, lint_setting
from whichopt.service.lint.averages import rectification
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.trials import Schedule
from whichopt.service.views import LintFinding

EVERY = [entry.name for entry in OPTIMIZERS]
FOUNDING = [entry.name for entry in founding_optimizers.FOUNDING]
FIXED = [entry.name for entry in OPTIMIZERS if not grows(entry.space)]
"""Those whose batches do not grow: beside others, one that grows has more to tune."""


def job(
    *optimizers: str | dict[str, Any], dataset: str = "digits", model: str = "mlp", **rest: Any
) -> JobSpec:
    workload = {"dataset": dataset, "model": model}
    return JobSpec.model_validate({"workload": workload, "optimizers": list(optimizers or FOUNDING), **rest})


def found(*optimizers: str | dict[str, Any], **rest: Any) -> list[tuple[str, str | None]]:
    return [(one.code, one.field) for one in lint_job(job(*optimizers, **rest))]


@pytest.mark.parametrize("name", EVERY)
def test_the_catalogs_own_settings_are_not_blamed(name: str) -> None:
    entry = next(entry for entry in OPTIMIZERS if entry.name == name)
    assert lint_setting(name, entry.default) == []
    for dataset in DATASETS:
        for model in MODELS:
            shape = dataset.shape(dataset.options())
            lacks_image = model.needs_image and shape.image is None
            lacks_embedding = model.modules is not None and shape.tokens is not None
            grows_for_two = grows(entry.space) and model.players > 1
            if lacks_image or lacks_embedding or grows_for_two or dataset.task not in model.tasks:
                continue
            workload = {"dataset": dataset.name, "model": model.name}
            spec = JobSpec.model_validate({"workload": workload, "optimizers": [name], **scheduled(name)})
            assert lint(resolve(spec)) == []


def test_default_jobs_are_not_blamed() -> None:
    for dataset in DATASETS:
        models = [entry.name for entry in MODELS if dataset.task in entry.tasks]
        model = next(name for name in ("mlp", "lstm", *models) if name in models)
        workload = {"dataset": dataset.name, "model": model}
        assert lint_job(JobSpec.model_validate({"workload": workload})) == []
        for names in in_jobs(FIXED):
            assert lint_job(job(*names, dataset=dataset.name, model=model, **scheduled(*names))) == []


def linear(low: float, high: float) -> dict[str, Any]:
    return {"type": "float", "low": low, "high": high}


def log(low: float, high: float) -> dict[str, Any]:
    return {**linear(low, high), "log": True}


@pytest.mark.parametrize(
    ("name", "space", "code", "field"),
    [
        ("adabelief", {"eps": 1e-8}, "eps_of_adam", "space.eps"),
        ("adan", {"beta3": 0.9}, "beta2_below_beta1", "space.beta3"),
        ("soap", {"beta1": 0.99}, "beta2_below_beta1", "default.beta2"),
        ("yogi", {"beta2": 0.7}, "beta2_below_beta1", "space.beta2"),
        ("msvag", {"lr": 1e-4}, "lr_of_adam", "space.lr"),
        ("lion", {"lr": 0.5}, "lr_of_sgd", "space.lr"),
        ("muon", {"weight_decay": 1e-6}, "decay_of_adam", "space.weight_decay"),
        ("adabelief", {"eps": log(1e-10, 1e-1)}, "eps_of_adam", "space.eps"),
        ("adam", {"eps": 1e-16}, "eps_of_adabelief", "space.eps"),
        ("adam", {"eps": log(1e-17, 1e-13)}, "eps_of_adabelief", "space.eps"),
        ("adam", {"eps": 0.1}, "eps_makes_sgd", "space.eps"),
        ("adam", {"weight_decay": 0.5}, "decay_of_adamw", "space.weight_decay"),
        ("sgd", {"weight_decay": log(0.05, 1.0)}, "decay_of_adamw", "space.weight_decay"),
        ("adamw", {"weight_decay": 1e-5}, "decay_of_adam", "space.weight_decay"),
        ("adabelief", {"weight_decay": log(1e-7, 1e-4)}, "decay_of_adam", "space.weight_decay"),
        ("adamw", {"lr": 0.1, "weight_decay": 1.0}, "decay_forgets", "space.weight_decay"),
        ("adamw", {"lr": 0.5}, "lr_of_sgd", "space.lr"),
        ("adam", {"eps": 1e-8, "lr": log(0.01, 1.0)}, "lr_of_sgd", "space.lr"),
        ("sgd", {"lr": 1e-4}, "lr_of_adam", "space.lr"),
        ("sgd", {"lr": log(1e-5, 1e-2)}, "lr_of_adam", "space.lr"),
        ("adam", {"beta1": 0.95, "beta2": 0.9}, "beta2_below_beta1", "space.beta2"),
        ("adam", {"beta1": 0.5, "beta2": 0.7}, "beta2_noisy", "space.beta2"),
        ("rmsprop", {"alpha": 0.999}, "average_longer_than_run", "space.alpha"),
        ("radam", {"beta2": 0.6}, "rectify_never_adaptive", "space.beta2"),
        ("radam", {"lr": 1e-3}, "rectify_throttles", "default.beta2"),
        ("adabelief", {"rectify": True}, "rectify_throttles", "space.rectify"),
        ("adabelief", {"rectify": True}, "warmup_and_rectify", "space.rectify"),
        ("adam", {"lr": linear(1e-5, 1e-1)}, "linear_range", "space.lr"),
        ("adam", {"beta1": linear(0.5, 0.99)}, "linear_range", "space.beta1"),
        ("adam", {"lr": log(1e-3, 5e-3)}, "lr_range_narrow", "space.lr"),
    ],
)
def test_each_mistake_is_told_where_it_stands(
    name: str, space: dict[str, Any], code: str, field: str
) -> None:
    assert (code, f"optimizers.0.{field}") in found({"name": name, "space": space})


def test_what_is_wrong_with_a_job_as_a_whole() -> None:
    assert ("few_steps", "batch_size") in found("adam", batch_size=1000, budget={"epochs": 5})
    assert ("few_trials", "budget.trials") in found("adam", budget={"trials": 6})
    assert found("adam", budget={"minutes": 3}) == [], "the trials have no number yet"
    budget = {"replicates": 1, "confirm_seeds": 3}
    assert {code for code, _ in found("adam", "sgd", budget=budget)} == {"few_replicates", "few_seeds"}
    narrow = {"name": "sgd", "space": {"lr": log(1e-2, 1.0)}}
    assert ("unequal_ranges", "optimizers.1.space.lr") in found("adam", narrow)
    assert ("unequal_spaces", "optimizers") in found("adam", {"name": "adamw", "space": {"eps": 1e-8}})
    default = {"name": "adam", "default": {"lr": 0.5}}
    assert ("default_outside_range", "optimizers.0.default.lr") in found(default)
    long = Schedule(name="cosine", warmup=0.3).model_dump()
    assert ("warmup_and_rectify", "optimizers.0.default.beta2") in found("radam", schedule=long)


def test_a_spec_that_is_refused_is_a_finding() -> None:
    (one,) = lint_job(job("adamww"))
    assert (one.severity, one.code, one.field) == ("error", "unknown_name", "optimizers.0.name")
    assert "adamw" in one.instead


def test_a_setting_alone() -> None:
    (one,) = lint_setting("adabelief", {**OPTIMIZERS[0].default, "eps": 1e-8})
    assert isinstance(one, LintFinding)
    assert (one.code, one.field) == ("eps_of_adam", "config.eps")
    assert "0.00316" in one.what
    assert "1e-19" in one.instead


def test_rectification_is_the_papers() -> None:
    """Values of r_t at beta2 = 0.999 that were computed for the reference package."""
    for step, value in ((6, 0.026), (10, 0.049), (100, 0.215), (1000, 0.645), (3000, 0.918)):
        assert rectification(0.999, step) == pytest.approx(value, abs=6e-4)
    assert rectification(0.999, 5) == 0
    assert all(rectification(2 / 3, step) == 0 for step in (1, 10, 10_000))


@pytest.mark.parametrize(
    ("wrong", "what", "instead"),
    [
        (
            {"budget": {"trials": -1}},
            "budget.trials: -1 is not allowed; it should be greater than or",
            "change it",
        ),
        ({"seed": "a"}, 'seed: "a" is not allowed; it should be a valid integer', "change it"),
        (
            {"budget": {"trails": 3}},
            "budget.trails: no such key; did you mean 'trials'? choose one of: ",
            "write 'trials'",
        ),
    ],
)
def test_a_refused_value_is_shown_and_what_is_allowed_is_said_once(
    wrong: dict[str, Any], what: str, instead: str, tmp_path: Path
) -> None:
    spec = tmp_path / "spec.json"
    workload = {"dataset": {"name": "digits"}, "model": {"name": "linear"}}
    spec.write_text(json.dumps({"workload": workload, "optimizers": ["adam"], **wrong}))
    found = CliRunner().invoke(app, ["lint", str(spec)])
    assert found.exit_code == 1
    assert what in found.output
    assert f"instead: {instead}\n" in found.output
    assert found.output.count("confirm_seeds") <= 1
    assert "Input" not in found.output

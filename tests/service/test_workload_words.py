"""The data, the model and the goal of a job in a line each."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders.datasets import CONTENT, FILE, make_table
from whichopt.service.catalog.built_in import built_in
from whichopt.service.catalog.datasets import uploaded
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.spec.workloads import Named, ResolvedWorkload
from whichopt.service.workload_words import data_line, goal_line, model_line

LAYERS = {"name": "layers", "layers": ["relu", {"type": "linear", "out": "outputs"}]}


def workload(dataset: str, model: Any) -> ResolvedWorkload:
    known = built_in()
    own = uploaded("penguins", make_table(rows=1000), FILE, CONTENT)
    catalog = type(known)(**{**vars(known), "datasets": (*known.datasets, own)})
    spec = JobSpec.model_validate({"workload": {"dataset": dataset, "model": model}})
    return resolve(spec, catalog).cataloged


def test_the_data() -> None:
    assert data_line(workload("wine", "linear")) == (
        "178 rows, 13 features; 106 training, 36 validation, 36 test"
    )
    assert data_line(workload("penguins", "linear")) == (
        "1,000 rows, 2 features from 2 columns, target y; "
        "split random: 600 training, 200 validation, 200 test"
    )


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("linear", "linear, 9 params"),
        (LAYERS, "2 layers, 9 params"),
        ({"name": "mlp", "hidden": [4]}, "mlp, 27 params"),
    ],
    ids=str,
)
def test_the_model(model: Any, said: str) -> None:
    assert model_line(workload("penguins", model)) == said


def test_a_model_of_another_version_is_named() -> None:
    later = workload("wine", "linear").model_copy(update={"model": Named(name="perceiver")})
    assert model_line(later) == "perceiver"


def test_the_goal() -> None:
    assert goal_line(workload("diabetes", "linear")) == "rmse, lower is better"
    known = JobSpec.model_validate(
        {
            "workload": {
                "dataset": "wine",
                "model": "linear",
                "task": {"name": "classification", "class_weight": "balanced"},
                "metric": "macro_f1",
            }
        }
    )
    assert goal_line(resolve(known).workload) == "macro_f1, higher is better; class_weight balanced"

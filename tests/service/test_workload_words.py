"""The data, the model and the goal of a job in a line each."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders.datasets import CONTENT, FILE, make_table
from whichopt.service.catalog.built_in import built_in
from whichopt.service.catalog.datasets import uploaded
from whichopt.service.catalog.origins import Origin
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


def test_wrong_labels() -> None:
    spec = {"workload": {"dataset": {"name": "wine", "label_noise": 0.07}, "model": "linear"}}
    assert data_line(resolve(JobSpec.model_validate(spec)).cataloged) == (
        "178 rows, 13 features; 106 training, 36 validation, 36 test; "
        "label_noise 0.07: 7% of the training labels are wrong"
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


def test_what_is_from_a_plug_in_says_so() -> None:
    place = Origin(target="ourlab:net", package="ourlab", version="1.0")
    plain = workload("wine", "linear")
    plain = workload("wine", "linear")
    named = plain.model_copy(update={"model": Named(name="our-net"), "dataset_origin": place})
    uncounted = named.model_copy(update={"model_origin": place})
    assert model_line(uncounted) == "our-net from ourlab 1.0"
    counted = named.model_copy(update={"model_origin": place.model_copy(update={"params": 1234})})
    assert model_line(counted) == "our-net from ourlab 1.0, 1,234 params"
    assert "features from ourlab 1.0; " in data_line(counted)
    allowed = Origin(target="our-net", params=7)
    assert model_line(named.model_copy(update={"model_origin": allowed})) == "our-net, 7 params"

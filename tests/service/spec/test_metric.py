"""The metric and the task's options in a job spec: names, what they resolve to, and specs of before."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from whichopt.service.catalog import tasks
from whichopt.service.errors import InvalidSpec, UnknownName
from whichopt.service.lint import lint
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.service.states import Direction


def job(dataset: str = "wine", **workload: Any) -> JobSpec:
    return JobSpec.model_validate({"workload": {"dataset": dataset, "model": "linear", **workload}})


def test_the_task_has_a_metric_of_its_own() -> None:
    assert resolve(job()).goal.metric == "nll"
    assert resolve(job("diabetes")).goal.metric == "rmse"


@pytest.mark.parametrize(
    ("dataset", "metric", "direction"),
    [
        (dataset, one.name, one.direction)
        for name, dataset in (("classification", "wine"), ("regression", "diabetes"))
        for one in tasks.task(name).metrics
    ],
)
def test_a_job_is_judged_by_the_metric_that_it_names(dataset: str, metric: str, direction: Direction) -> None:
    spec = resolve(job(dataset, metric=metric))
    assert (spec.goal.metric, spec.goal.direction) == (metric, direction)
    every = [one.name for entry in tasks.TASKS if entry.name == spec.workload.task for one in entry.metrics]
    assert list(spec.goal.metrics) == [metric, *(name for name in every if name != metric)]


def test_an_unknown_metric_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        UnknownName, match="classification metric 'acuracy'; did you mean 'accuracy'"
    ) as error:
        resolve(job(metric="acuracy"))
    assert error.value.field == "workload.metric"
    assert error.value.nearest == "accuracy"
    with pytest.raises(UnknownName, match="no regression metric 'accuracy'"):
        resolve(job("diabetes", metric="accuracy"))


@pytest.mark.parametrize("asked", ["classification", {"name": "classification"}, None])
def test_without_class_weight_every_example_counts_the_same(asked: Any) -> None:
    spec = resolve(job(task=asked))
    assert spec == resolve(job())
    assert spec.cataloged.class_weight is None


def test_class_weight_is_an_option_of_the_task() -> None:
    spec = resolve(job(task={"name": "classification", "class_weight": "balanced"}))
    assert (spec.workload.task, spec.cataloged.class_weight) == ("classification", "balanced")
    for task, field, words in (
        ({"name": "classification", "class_weight": "even"}, "workload.task.class_weight", "balanced"),
        (
            {"name": "classification", "class_weigth": "balanced"},
            "workload.task.class_weigth",
            "class_weight",
        ),
    ):
        with pytest.raises(InvalidSpec, match=words) as error:
            resolve(job(task=task))
        assert error.value.field == field
    with pytest.raises(UnknownName, match="no option 'class_weight'"):
        resolve(job("diabetes", task={"name": "regression", "class_weight": "balanced"}))
    with pytest.raises(ValidationError, match="class_weight"):
        job(class_weight="balanced")


@pytest.mark.parametrize("metric", ["nll", "roc_auc"])
@pytest.mark.parametrize("weight", ["balanced", None])
def test_a_resolved_spec_resolves_to_itself(metric: str, weight: str | None) -> None:
    spec = resolve(job(metric=metric, task={"name": "classification", "class_weight": weight}))
    sent = json.loads(spec.model_dump_json())
    assert ResolvedSpec.model_validate(sent) == spec
    assert resolve(JobSpec.model_validate(sent)) == spec


@pytest.mark.parametrize(
    ("dataset", "metrics"), [("wine", ("nll", "accuracy")), ("diabetes", ("rmse", "r2"))]
)
def test_a_stored_spec_of_before_keeps_its_two_metrics(dataset: str, metrics: tuple[str, ...]) -> None:
    stored = json.loads(resolve(job(dataset)).model_dump_json())
    for fact in ("goal", "shape", "sizes", "class_weight", "length_unit", "content", "upload"):
        del stored["workload"][fact]
    kept = ResolvedSpec.model_validate(stored)
    assert kept.goal.metrics == metrics
    assert ResolvedSpec.model_validate_json(kept.model_dump_json()) == kept
    # Sent again it is a new job, which has all of them.
    assert resolve(JobSpec.model_validate(json.loads(kept.model_dump_json()))) == resolve(job(dataset))


def test_a_percentage_of_r2_is_remarked() -> None:
    def codes(metric: str, margin: dict[str, float]) -> set[str]:
        asked = {"dataset": "diabetes", "model": "linear", "metric": metric}
        return {
            one.code for one in lint(resolve(JobSpec.model_validate({"workload": asked, "margin": margin})))
        }

    assert "percent_of_no_ratio" in codes("r2", {"percent": 5})
    assert "percent_of_no_ratio" not in codes("r2", {"absolute": 0.05}) | codes("rmse", {"percent": 5})

"""The executors that a job may ask for, label by label."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from whichopt.service.catalog.built_in import built_in
from whichopt.service.errors import InvalidSpec
from whichopt.service.spec import JobSpec, resolve

WORKLOAD = {"dataset": {"name": "digits"}, "model": {"name": "mlp"}}


@pytest.mark.parametrize(
    ("parts", "field", "said"),
    [
        ({"executors": {"sgd": "solo"}}, "executors", "^executors lacks 'adam'; leave executors out"),
        (
            {"executors": {"sgd": "solo", "adam": "solo", "x": "solo"}},
            "executors",
            "^executors has 'x', which is no label of the job; leave executors out",
        ),
        (
            {"executors": {"sgd": "solo", "adan": "solo"}},
            "executors",
            r"^executors has 'adan', which is no label of the job \(did you mean 'adam'\?\); leave",
        ),
        (
            {"executors": {"zzz": "solo"}},
            "executors",
            "^executors has 'zzz', which is no label of the job; executors lacks 'sgd', 'adam'; leave",
        ),
        (
            {"executor": "solo", "executors": {"sgd": "solo", "adam": "stacked"}},
            "executors",
            "contradicts executor 'solo'",
        ),
        ({"executor": "stacked"}, "executor", "optimizer 'sgd' can only be trained solo"),
        (
            {"executors": {"sgd": "stacked", "adam": "stacked"}},
            "executors.sgd",
            "optimizer 'sgd' can only be trained solo",
        ),
    ],
)
def test_executors_that_cannot_be_had_are_refused(parts: dict[str, Any], field: str, said: str) -> None:
    sgd, adam = built_in().optimizer("sgd"), built_in().optimizer("adam")
    alone = replace(sgd, stepping=replace(sgd.stepping, stackable=False))
    catalog = replace(built_in(), optimizers=(alone, adam))
    body = {"workload": WORKLOAD, "optimizers": ["sgd", "adam"]}
    with pytest.raises(InvalidSpec, match=said) as refused:
        resolve(JobSpec.model_validate({**body, **parts}), catalog)
    assert refused.value.field == field
    for good in ({}, {"executor": "solo"}, {"executors": {"sgd": "solo", "adam": "stacked"}}):
        once = resolve(JobSpec.model_validate({**body, **good}), catalog)
        assert once.executors == good.get("executors")
        assert resolve(JobSpec.model_validate(once.model_dump(mode="json")), catalog) == once


def test_a_model_that_cannot_be_stacked_leaves_no_label_a_choice() -> None:
    models = [replace(entry, only_solo=lambda _: "it draws") for entry in built_in().models]
    catalog = replace(built_in(), models=tuple(models))
    with pytest.raises(InvalidSpec, match="model 'mlp' can only be trained solo: it draws"):
        resolve(JobSpec.model_validate({"workload": WORKLOAD, "executor": "stacked"}), catalog)


def test_the_executor_of_a_job_is_mixed_once_labels_differ() -> None:
    spec = resolve(JobSpec.model_validate({"workload": WORKLOAD, "optimizers": ["sgd", "adam"]}))
    assert spec.trained_by is None
    with pytest.raises(ValueError, match="only chosen before its first round"):
        spec.executor_of("sgd")
    assert spec.with_executor("stacked").trained_by == "stacked"
    both = spec.model_copy(update={"executors": {"sgd": "solo", "adam": "stacked"}})
    assert (both.trained_by, both.executor_of("sgd")) == ("mixed", "solo")

"""The digest of a job spec: one for each request, whatever is decided or known about it later."""

from __future__ import annotations

from typing import Any

import pytest

from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.service.spec.digest import digest

WORKLOAD = {"dataset": "wine", "model": "linear"}


def _resolved(**changes: Any) -> ResolvedSpec:
    return resolve(JobSpec.model_validate({"workload": WORKLOAD, "optimizers": ["sgd", "adam"], **changes}))


def test_what_is_decided_later_is_not_in_it() -> None:
    spec = _resolved()
    decided = spec.with_executor("solo").model_copy(update={"only_solo": {"sgd": "a reason"}, "rules": 99})
    assert digest(decided) == digest(spec)


def test_the_first_metric_is_the_same_named_or_not() -> None:
    assert digest(_resolved(workload={**WORKLOAD, "metric": "nll"})) == digest(_resolved())


@pytest.mark.parametrize(
    "changes",
    [
        {"workload": {**WORKLOAD, "metric": "accuracy"}},
        {"workload": {**WORKLOAD, "task": {"name": "classification", "class_weight": "balanced"}}},
        {"agreement": "close"},
        {"executor": "solo"},
        {"optimizers": ["adam", "sgd"]},
        {"name": "another"},
    ],
)
def test_what_is_asked_otherwise_differs(changes: dict[str, Any]) -> None:
    assert digest(_resolved(**changes)) != digest(_resolved())


def test_an_upload_differs_by_its_content() -> None:
    spec = _resolved()
    uploads = [
        spec.workload.model_copy(update={"content": content}) for content in (None, "a" * 64, "b" * 64)
    ]
    assert len({digest(spec.model_copy(update={"workload": upload})) for upload in uploads}) == 3

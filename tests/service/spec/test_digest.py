"""The digest of a job spec: one for each request, whatever is decided or known about it later."""

from __future__ import annotations

import hashlib
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


@pytest.mark.parametrize(
    ("job", "known", "text"),
    [
        (
            {"workload": WORKLOAD},
            "c0d6f7dcf9f8956f34a828a048eb6464f326d08cd89a328446897a82a909999c",
            "5f4076ccdfcd035b130c87e737786e6dc127cb73032cfeb5996c15d19d3cfd65",
        ),
        (
            {
                "workload": {
                    "dataset": "digits",
                    "model": {"name": "mlp", "hidden": [128, 64]},
                    "metric": "accuracy",
                },
                "optimizers": ["adabelief", "sgd"],
                "budget": {"minutes": 5, "epochs": 3},
                "batch_size": 32,
                "executor": "solo",
            },
            "d10bca9ca9fbb12f48fd764184216c116992c8797bf34d8da3e76bd9371d75bf",
            "c50896d000804f01baa23449d408f65e424732d4951c721baea0d22a63750e0f",
        ),
    ],
)
def test_jobs_about_the_catalog_keep_their_bytes(job: dict[str, Any], known: str, text: str) -> None:
    """As they were before functions could be trained; if a default or a fact changes on purpose, the second
    hash is another, but never the first."""
    spec = resolve(JobSpec.model_validate(job))
    assert digest(spec) == known
    assert hashlib.sha256(spec.model_dump_json().encode()).hexdigest() == text

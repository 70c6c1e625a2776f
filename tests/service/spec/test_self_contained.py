"""A resolved spec has all facts about its optimizers, so nobody needs their entries in the catalog."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.builders.messages import Bell, answer_all, submit
from tests.builders.optimizers import SIGN_DESCENT, add_to_catalog
from tests.builders.reports import concluded_report
from whichopt.service.catalog import optimizers
from whichopt.service.catalog.built_in import built_in
from whichopt.service.db import Store
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.files import parse_report
from whichopt.service.evidence.report.html import render_html
from whichopt.service.evidence.report.verify import verify
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.evidence.verdict.snippet import snippet
from whichopt.service.lint import lint
from whichopt.service.settings import Settings
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.workers import jobs, workload
from whichopt.workers.engine import Unwatched
from whichopt.workers.engine.executors import EXECUTORS

SPEC: dict[str, Any] = {
    "workload": {"dataset": {"name": "wine"}, "model": {"name": "linear"}},
    "optimizers": [SIGN_DESCENT.name, "adam"],
    "budget": {"trials": 4, "replicates": 2, "epochs": 2, "confirm_seeds": 3},
    "batch_size": 32,
    "executor": "stacked",
    "kernels": "torch",
}
PACKED = replace(
    SIGN_DESCENT,
    packed={"dead": ("deadband", "refresh")},
    build=replace(SIGN_DESCENT.build, fixed={"noted": True}),
    edges=("lr", "deadband"),
)
"""The same with what a recommendation needs of an entry."""


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> Report:
    """The report of a job with an optimizer that the catalog has had, and has no more."""
    with monkeypatch.context() as then:
        add_to_catalog(then, SIGN_DESCENT)
        spec = resolve(JobSpec.model_validate(SPEC))
        made = concluded_report(
            spec, lambda plans: EXECUTORS["stacked"]().run(workload.build(spec.cataloged), plans, Unwatched())
        )
    assert SIGN_DESCENT.name not in [entry.name for entry in built_in().optimizers]
    return parse_report(made.model_dump_json().encode(), name="report.json")


def test_a_report_is_verified_without_the_entry(report: Report) -> None:
    found = verify(report)
    assert found.outcome == "confirmed", found
    assert found.checksum_matches
    assert any(f"this version's catalog has no optimizer {SIGN_DESCENT.name}" in note for note in found.notes)


def test_a_recommendation_is_given_and_shown_without_the_entry(report: Report) -> None:
    told = recommend(report.job.id, report.spec, report.trials)
    assert told == report.recommendation
    assert {row.optimizer for row in told.ranking} == {SIGN_DESCENT.name, "adam"}
    assert SIGN_DESCENT.name in render_html(report)
    assert lint(report.spec) is not None


def test_its_arguments_are_packed_and_its_snippet_is_written_without_the_entry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as then:
        add_to_catalog(then, PACKED)
        made = resolve(JobSpec.model_validate({**SPEC, "optimizers": [PACKED.name]}))
    spec = ResolvedSpec.model_validate_json(made.model_dump_json())
    assert spec == made
    facts = spec.optimizer(PACKED.name).facts
    assert facts == PACKED.facts
    assert facts.arguments(PACKED.default)["dead"] == (0.0, 1)
    code = snippet(spec, PACKED.name, dict(PACKED.default))
    assert "from tests.builders.optimizers import SignDescent" in code
    assert "    dead=(0.0, 1),\n" in code
    assert "    noted=True,\n" in code


def test_facts_that_differ_from_the_catalogs_are_noted(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_to_catalog(monkeypatch, replace(SIGN_DESCENT, state_bytes=12, source="elsewhere"))
    found = verify(report)
    assert found.outcome == "confirmed", found
    assert any("other facts about sign-descent (state_bytes, source)" in note for note in found.notes)


def test_facts_that_no_entry_could_have_are_found(report: Report) -> None:
    raw = json.loads(report.model_dump_json())
    raw["spec"]["optimizers"][0]["facts"]["edges"] = ["beta7"]
    found = verify(parse_report(json.dumps(raw).encode(), name="report.json"))
    assert found.outcome == "differs"
    assert any("names beta7, which its space lacks" in said for said in found.inconsistencies)


def test_every_door_shows_a_job_whose_optimizer_the_catalog_lacks(
    http: TestClient, lite: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as then:
        add_to_catalog(then, SIGN_DESCENT)
        context = jobs.Context(lite, Bell(), Settings(blobs=tmp_path / "blobs"), worker_name="w1")
        job_id, uid = submit(context, **SPEC)
        jobs.plan_round(context, job_id)
        answer_all(context)
    for path in ("", "/trials", "/recommendation", "/forecast", "/report", "/studies.db"):
        assert http.get(f"/v1/jobs/{uid}{path}").status_code == 200, path
    assert [job["id"] for job in http.get("/v1/jobs").json()["items"]] == [uid]
    trials = http.get(f"/v1/jobs/{uid}/trials?optimizer={SIGN_DESCENT.name}").json()["items"]
    assert trials[0]["config"] == dict(SIGN_DESCENT.default)


def test_a_spec_of_an_earlier_version_gets_its_facts() -> None:
    spec = resolve(JobSpec.model_validate({**SPEC, "optimizers": ["adam", "sgd", "adabelief"]}))
    stored = spec.model_dump(mode="json")
    for optimizer in stored["optimizers"]:
        del optimizer["facts"], optimizer["place"]
    assert ResolvedSpec.model_validate(stored) == spec
    assert "facts" not in stored["optimizers"][0], "what is stored stays as it is"


def test_a_spec_that_is_sent_again_gets_the_facts_of_today() -> None:
    body = resolve(JobSpec.model_validate({**SPEC, "optimizers": ["adam"]})).model_dump(mode="json")
    body["optimizers"][0]["facts"]["state_bytes"] = 1000
    (again,) = resolve(JobSpec.model_validate(body)).optimizers
    assert again.facts == optimizers.optimizer("adam").facts

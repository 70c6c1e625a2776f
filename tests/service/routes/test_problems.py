"""Every failure is a problem document that names the field; nothing odd in a request is a 500."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from tests.builders.concluded_jobs import BODY
from tests.builders.jobs import add_job
from tests.builders.services import KEY, Recorder
from whichopt.service.app import create_app
from whichopt.service.db import Store
from whichopt.service.settings import Settings
from whichopt.service.views import Problem

WORKLOAD = BODY["workload"]
JSON = {"Content-Type": "application/json"}


def problem(answer: Any) -> Problem:
    assert answer.headers["Content-Type"] == "application/problem+json"
    found = Problem.model_validate(answer.json())
    assert found.status == answer.status_code
    assert len(answer.content) < 20_000, "what is echoed is short"
    return found


def lr(**space: Any) -> dict[str, Any]:
    return {"workload": WORKLOAD, "optimizers": [{"name": "sgd", "space": {"lr": space}}]}


@pytest.mark.parametrize(
    ("body", "field", "nearest", "said"),
    [
        ({**BODY, "optimizers": ["adamww"]}, "optimizers.0.name", "adamw", "did you mean 'adamw'"),
        ({**BODY, "optimizers": []}, "optimizers", None, "at least 1 item"),
        ({**BODY, "optimizers": [3]}, "optimizers.0", None, "dictionary"),
        ({**BODY, "optimizrs": []}, "optimizrs", "optimizers", "did you mean 'optimizers'"),
        ({**BODY, "budget": {"trails": 3}}, "budget.trails", "trials", "did you mean 'trials'"),
        ({**BODY, "budget": {"trials": 0}}, "budget.trials", None, "greater than or equal to 1"),
        (
            {**BODY, "budget": {"trials": 7, "replicates": 3}},
            "budget.trials",
            None,
            "the nearest number that can is 6",
        ),
        ({**BODY, "schedule": {"name": "cosin"}}, "schedule.name", "cosine", "did you mean 'cosine'"),
        ({**BODY, "device": "gpu"}, "device", "cpu", "choose one of: auto, cpu, cuda"),
        ({}, "workload", None, "required"),
        ({"workload": {"dataset": {"name": "wine"}}}, "workload.model", None, "required"),
        (
            {"workload": {**WORKLOAD, "model": {"name": "mlp", "hiden": [3]}}},
            "workload.model.hiden",
            "hidden",
            "did you mean 'hidden'",
        ),
        (
            {"workload": {**WORKLOAD, "model": {"name": "mlp", "hidden": [8192] * 16}}},
            "workload.model",
            None,
            "at most 50,000,000",
        ),
        ({"workload": {**WORKLOAD, "model": {"name": "cnn"}}}, "workload.model.name", None, "needs images"),
        (lr(type="float", low="x", high=1), "optimizers.0.space.lr.low", None, "valid number"),
        (lr(type="float", low=2, high=1), "optimizers.0.space.lr", None, "low 2 must be less than high 1"),
        (lr(type="float", low=2), "optimizers.0.space.lr.high", None, "required"),
        (lr(type="flot", low=1, high=2), "optimizers.0.space.lr.type", "float", "did you mean 'float'"),
        (lr(type="float", low=1, high=2, hgh=3), "optimizers.0.space.lr.hgh", "high", "did you mean 'high'"),
        (lr(low=1, high=2), "optimizers.0.space.lr", None, "needs a 'type', which says what it is"),
        (lr(type="float", low=-1, high=2), "optimizers.0.space.lr", None, "allowed: 1e-12 to 10000"),
    ],
)
def test_a_bad_spec_names_its_field(
    http: TestClient, body: dict[str, Any], field: str, nearest: str | None, said: str
) -> None:
    answer = http.post("/v1/jobs", json=body)
    found = problem(answer)
    assert found.status == 422
    assert found.code in ("invalid_spec", "unknown_name")
    assert [error.field for error in found.errors] == [field]
    assert found.errors[0].nearest == nearest
    assert said in found.errors[0].detail
    assert "tagged-union" not in answer.text
    assert "function-" not in answer.text


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (
            {"lr": {"type": "float", "low": 1, "high": 0.1}},
            "optimizers.0.space.lr: low 1 must be less than high 0.1",
        ),
        (
            {"betas": [{"type": "float", "low": 0.9, "high": 0.1}, 0.99]},
            "optimizers.0.space.betas.0: low 0.9 must be less than high 0.1",
        ),
        ({"betas": [[0.9], 0.99]}, "optimizers.0.space.betas.0: "),
    ],
)
def test_of_a_union_only_the_member_that_was_meant_is_told(
    http: TestClient, space: dict[str, Any], said: str
) -> None:
    body = {**BODY, "optimizers": [{"name": "adam", "space": space}]}
    (error,) = problem(http.post("/v1/jobs", json=body)).errors
    assert error.detail.startswith(said)
    assert "tuple" not in error.detail
    assert " or Input" not in error.detail
    if "must be less" in said:
        assert error.detail == said


def test_several_problems_are_told_at_once(http: TestClient) -> None:
    found = problem(http.post("/v1/jobs", json={**BODY, "device": "gpu", "seed": -1, "batch_size": "x"}))
    assert {error.field for error in found.errors} == {"device", "seed", "batch_size"}
    assert "and 2 more" in found.detail


def test_a_body_that_is_no_json(http: TestClient) -> None:
    for body in (b"{", b"", b'{"a": }', b"\xff\xfe\xfa", b"[" * 10_000, b'{"seed": ' + b"9" * 5000 + b"}"):
        answer = http.post("/v1/jobs", content=body, headers=JSON)
        assert problem(answer).code == ("invalid_json" if body else "invalid_spec"), body[:20]
        assert answer.status_code in (400, 422)


def test_a_body_that_is_not_called_json(http: TestClient) -> None:
    body = json.dumps(BODY)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "nonsense"):
        found = problem(http.post("/v1/jobs", content=body, headers={"Content-Type": kind}))
        assert (found.status, found.errors[0].field) == (415, "Content-Type")
    assert http.post("/v1/jobs", content=body).status_code == 415
    for kind in ("application/json; charset=utf-8", "application/merge-patch+json"):
        assert http.post("/v1/jobs", content=body, headers={"Content-Type": kind}).status_code == 202


def test_a_body_that_is_too_large(http: TestClient, settings: Settings) -> None:
    large = b" " * (settings.max_body_bytes + 1)
    assert problem(http.post("/v1/jobs", content=large, headers=JSON)).code == "body_too_large"
    read = 0

    def stream() -> Iterator[bytes]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield b" " * 10_000

    answer = http.post("/v1/jobs", content=stream(), headers=JSON)
    assert "content-length" not in {name.lower() for name in answer.request.headers}
    assert problem(answer).status == 413
    lying = http.post("/v1/jobs", content=b"{}", headers={**JSON, "Content-Length": "9" * 30})
    assert problem(lying).status == 413


def test_what_is_not_there(http: TestClient, lite: Store) -> None:
    add_job(lite)
    assert problem(http.get("/v1/nothing")).code == "not_found"
    assert problem(http.get("/assets/nothing.css")).status == 404
    assert problem(http.get("/assets/../../app.py")).status == 404
    absent = "0199aaaa-0000-7000-8000-000000000000"
    for uid in (absent, "x", "1", "%00", "🦉", "{" + absent + "}", absent.replace("-", ""), "a" * 3000):
        for path in ("", "/trials", "/events", "/recommendation", "/studies.db"):
            found = problem(http.get(f"/v1/jobs/{uid}{path}"))
            assert (found.status, found.code) == (404, "not_found")
        assert problem(http.post(f"/v1/jobs/{uid}/cancel")).errors[0].field == "job_id"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/jobs", "GET, POST, HEAD"),  # two routes
        ("PUT", "/v1/jobs/x", "GET, HEAD"),
        ("GET", "/v1/jobs/x/cancel", "POST"),
        ("POST", "/", "GET, HEAD"),
        ("POST", "/assets/", "GET, HEAD"),
        ("POST", "/openapi.json", "GET, HEAD"),
        ("POST", "/dashboard", "GET, HEAD, OPTIONS"),
    ],
)
def test_a_method_that_is_not_allowed(http: TestClient, method: str, path: str, allowed: str) -> None:
    """RFC 9110, 15.5.6: the answer lists the methods of the resource, whichever routes have them."""
    answer = http.request(method, path)
    assert problem(answer).code == "method_not_allowed"
    assert set(answer.headers["Allow"].split(", ")) == set(allowed.split(", "))


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("/v1/jobs?limit=0", "limit"),
        ("/v1/jobs?limit=-1", "limit"),
        ("/v1/jobs?limit=1e9", "limit"),
        ("/v1/jobs?limit=" + "9" * 4400, "limit"),
        ("/v1/jobs?cursor=x", "cursor"),
        ("/v1/jobs?cursor=-1", "cursor"),
        ("/v1/jobs?cursor=99999999999999999999", "cursor"),
        ("/v1/jobs?cursor=%00", "cursor"),
        ("/v1/jobs?state=runing", "state"),
        ("/v1/recommendations?dataset=%00", "dataset"),
        ("/v1/recommendations?model=" + "m" * 1000, "model"),
        ("/v1/recommendations?limit=nan", "limit"),
        ("/?cursor=x", "cursor"),
    ],
)
def test_a_bad_query_names_its_parameter(http: TestClient, query: str, field: str) -> None:
    found = problem(http.get(query))
    assert (found.status, found.errors[0].field) == (422, field)
    if field == "state":
        assert found.errors[0].nearest == "running"


@pytest.mark.parametrize("query", ["phase=x", "state=x", "optimizer=%00", "limit=501", "cursor=0"])
def test_a_bad_query_for_trials(http: TestClient, lite: Store, query: str) -> None:
    _, uid = add_job(lite)
    assert problem(http.get(f"/v1/jobs/{uid}/trials?{query}")).code == "invalid_query"


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\t", "ü"])
def test_a_bad_idempotency_key(http: TestClient, key: str) -> None:
    answer = http.post("/v1/jobs", json=BODY, headers={b"Idempotency-Key": key.encode("latin-1")})
    assert problem(answer).errors[0].field == "idempotency-key"


DEEP = b'{"workload": {"dataset": {"name": "wine"}, "model": {"name": "mlp", "hidden": %s}}}'
ODD = [
    b'{"workload": {"dataset": {"name": "wine"}, "model": {"name": "linear"}}, %s}' % part
    for part in (
        b'"name": "a\\u0000b"',
        b'"name": "\\ud800"',
        b'"name": "%s"' % (b"x" * 5000),
        b'"\\ud800": 1',
        b'"seed": 1e400',
        b'"seed": NaN',
        b'"seed": -Infinity',
        b'"seed": %s' % (b"9" * 4000),
        b'"clip_norm": NaN',
        b'"budget": {"max_seconds": Infinity}',
        b'"optimizers": [{"name": "sgd", "space": {"lr": NaN}}]',
        b'"optimizers": [{"name": "sgd", "space": {"lr": %s}}]' % (b"9" * 4000),
        b'"optimizers": [{"name": "sgd", "space": {"lr": "\\ud800"}}]',
        b'"optimizers": [{"name": "sgd", "space": {"\\ud800": 1}}]',
        b'"optimizers": [{"name": "sgd", "space": {"%s": 1}}]' % (b"x" * 9000),
        b'"optimizers": [{"name": "sgd", "default": {"lr": %s}}]' % (b"9" * 4000),
        b'"optimizers": [{"name": "\\u0000"}]',
        b'"optimizers": [{"name": "sgd", "label": "\\u0000"}]',
        b'"optimizers": [{"name": "sgd", "space": {"lr": {"type": "float", "low": 1, "high": %s}}}]'
        % (b"9" * 400),
        b'"optimizers": [{"name": "sgd", "space": {"lr": {"type": "int", "low": 1, "high": %s}}}]'
        % (b"9" * 4000),
        b'"optimizers": [{"name": "sgd", "space": {"lr": {"type": "categorical", "choices": [NaN, 1]}}}]',
        b'"pruning": {"rungs": [NaN]}',
    )
] + [DEEP % (b"[" * depth + b"]" * depth) for depth in (10, 300, 900, 990, 2000)]


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
def test_odd_values_are_refused(store: Store, settings: Settings, body: bytes) -> None:
    """On both databases, as PostgreSQL refuses what SQLite takes."""
    with store.transaction() as tx:
        tx.keys.ensure(KEY, name="test")
    with TestClient(create_app(settings, store, Recorder()), headers={"X-API-Key": KEY}) as http:
        answer = http.post("/v1/jobs", content=body, headers=JSON)
    assert problem(answer).status in (400, 422), answer.text


def test_a_database_out_of_reach_is_503(settings: Settings, http: TestClient, lite: Store) -> None:
    broken = create_app(settings, Store("sqlite:////nowhere/at/all.db"), Recorder())
    client = TestClient(broken, headers={"X-API-Key": KEY})
    for path in ("/v1/jobs", "/", "/metrics", "/readyz", "/dashboard"):
        assert problem(client.get(path)).code == "unavailable"
    lite.close()

    def fail(*_: object, **__: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("whichopt.service.db.view_reader.ViewReader.jobs", fail)
        assert problem(http.get("/v1/jobs")).code == "unavailable"


def test_the_unexpected_is_a_problem_without_a_traceback(app: FastAPI) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    client = TestClient(app, headers={"X-API-Key": KEY}, raise_server_exceptions=False)
    with pytest.MonkeyPatch.context() as patch, capture_logs() as logged:
        patch.setattr("whichopt.service.db.view_reader.ViewReader.jobs", fail)
        answer = client.get("/v1/jobs")
    (event,) = logged
    assert (event["event"], str(event["exc_info"])) == ("unexpected_error", "secret detail")
    assert (problem(answer).status, problem(answer).code) == (500, "internal")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text

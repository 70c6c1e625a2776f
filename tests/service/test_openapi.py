"""The API's description is the committed one, and what it describes never answers with a 500."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.builders.concluded_jobs import BODY, concluded_job, motley_job
from tests.builders.datasets import READER, add_dataset
from tests.builders.services import KEY, Recorder
from whichopt.service import blobs
from whichopt.service.app import create_app, openapi_json
from whichopt.service.db import Store
from whichopt.service.intake import FORMATS
from whichopt.service.routes.problems import MEDIA_TYPE
from whichopt.service.settings import Settings

ROWS = b"a,b,y\n" + b"".join(b"%d.5,%d,%d\n" % (n, n % 7, n % 2) for n in range(60))
AUTHORIZED = {"X-API-Key": KEY}
COMMITTED = Path(__file__).parent / "openapi.json"


def test_the_description_is_the_committed_one() -> None:
    assert openapi_json() == COMMITTED.read_text(), "if the change is meant: make openapi"


def test_the_table_of_the_design_is_there(app: FastAPI) -> None:
    found = {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}
    assert found == {
        ("POST", "/v1/jobs"),
        ("POST", "/v1/lint"),
        ("POST", "/v1/plan"),
        ("GET", "/v1/jobs"),
        ("GET", "/v1/jobs/{job_id}"),
        ("POST", "/v1/jobs/{job_id}/cancel"),
        ("POST", "/v1/jobs/{job_id}/conclude"),
        ("POST", "/v1/jobs/{job_id}/resume"),
        ("GET", "/v1/functions"),
        ("GET", "/v1/jobs/{job_id}/trials"),
        ("GET", "/v1/jobs/{job_id}/trials.csv"),
        ("GET", "/v1/jobs/{job_id}/trials.jsonl"),
        ("GET", "/v1/jobs/{job_id}/events"),
        ("GET", "/v1/jobs/{job_id}/recommendation"),
        ("GET", "/v1/jobs/{job_id}/forecast"),
        ("GET", "/v1/jobs/{job_id}/report"),
        ("GET", "/v1/jobs/{job_id}/report/examples"),
        ("GET", "/v1/jobs/{job_id}/samples"),
        ("GET", "/v1/jobs/{job_id}/studies.db"),
        ("GET", "/v1/recommendations"),
        *((("GET", f"/v1/{kind}{one}")) for kind in CATALOG for one in ("", "/{name}")),
        ("POST", "/v1/datasets"),
        ("POST", "/v1/datasets/{name}"),
        ("DELETE", "/v1/datasets/{name}"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
    }


CATALOG = ("optimizers", "models", "datasets", "tasks")


def test_every_failure_is_described_as_a_problem(app: FastAPI) -> None:
    for methods in app.openapi()["paths"].values():
        for operation in methods.values():
            assert list(operation["responses"]["default"]["content"]) == [MEDIA_TYPE]
            assert "422" not in operation["responses"], "it is a problem like the others"
    assert "HTTPValidationError" not in app.openapi()["components"]["schemas"]


@pytest.fixture
def described(lite: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The API as schemathesis reads it, with jobs in every state but no stream that stays open.

    The made-up jobs have no confirm trials, so that no page can be drawn of them.
    """
    monkeypatch.setattr("whichopt.service.evidence.report.html.render_html", lambda _: "<!doctype html>")
    uids = [concluded_job(lite)[1], motley_job(lite)[1]]
    add_dataset(lite)
    settings = Settings(events_s=0.02, reap_s=600, blobs=tmp_path / "blobs")
    app = create_app(settings, lite, Recorder(), reader=READER)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=AUTHORIZED)
    return schema.exclude(path_regex="/events$"), uids


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_nothing_that_it_describes_fails(described: Any, mode: schemathesis.GenerationMode) -> None:
    schema, uids = described
    operations = [found.ok() for found in schema.get_all_operations()]
    submit = [operation for operation in operations if operation.label == "POST /v1/jobs"]

    @hypothesis_settings(
        max_examples=80,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def attack(data: st.DataObject) -> None:
        operation = data.draw(st.sampled_from(submit) | st.sampled_from(operations))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        if operation in submit and isinstance(case.body, dict) and data.draw(st.booleans()):
            case.body = {**case.body, "workload": BODY["workload"]}  # so that the rest of it is read, too
        if "{job_id}" in operation.path and data.draw(st.booleans()):
            case.path_parameters = {"job_id": data.draw(st.sampled_from(uids))}
        answer = case.call(headers=AUTHORIZED)
        assert answer.status_code < 500, (case.as_curl_command(), answer.text)
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == [MEDIA_TYPE]

    attack()


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_the_reader_of_files_stands_what_it_describes(
    mode: schemathesis.GenerationMode, lite: Store, tmp_path: Path
) -> None:
    """By the real reader, so each file that comes through costs a process: only a few examples."""
    settings = Settings(reap_s=600, blobs=tmp_path / "blobs")
    app = create_app(settings, lite, Recorder())
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=AUTHORIZED)
    routes: Any = schema.include(path_regex="^/v1/datasets").get_all_operations()
    operations = [found.ok() for found in routes]
    post = [operation for operation in operations if operation.label == "POST /v1/datasets"]
    answers = set[int]()

    @hypothesis_settings(
        max_examples=24,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def attack(data: st.DataObject) -> None:
        operation = data.draw(st.sampled_from(post) | st.sampled_from(operations))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        if operation in post and data.draw(st.booleans()):  # so that its body is read
            answer: Any = http.post(
                "/v1/datasets",
                params=(case.query if data.draw(st.booleans()) else {})
                | {"name": data.draw(st.sampled_from("abc"))},
                content=data.draw(
                    st.sampled_from([ROWS, b"a,b\n1,2\n"]) | st.binary(min_size=1, max_size=99)
                ),
                headers=AUTHORIZED | {"Content-Type": data.draw(st.sampled_from(list(FORMATS)))},
            )
        else:
            answer = case.call(headers=AUTHORIZED)
        answers.add(answer.status_code)
        assert answer.status_code < 500, (case.as_curl_command(), answer.text)
        if answer.status_code >= 400:
            assert MEDIA_TYPE in answer.headers["content-type"]

    with TestClient(app) as http:
        attack()
    assert len(answers) > 1
    left = {file.name for file in settings.blobs.iterdir()} if settings.blobs.is_dir() else set()
    assert not {name for name in left if name.startswith(blobs.PART)}

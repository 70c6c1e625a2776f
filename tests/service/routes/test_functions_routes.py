"""People's own functions over HTTP: allowed by exact name, imported by nobody, the same on all workers."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.builders.datasets import READER
from tests.builders.guests import GUEST
from tests.builders.jobs import planning
from tests.builders.services import KEY, Recorder
from whichopt.service.app import create_app
from whichopt.service.db import Store
from whichopt.service.errors import FunctionChanged
from whichopt.service.function_names import allowed_names
from whichopt.service.functions import check_unchanged
from whichopt.service.settings import Settings, WrongSettings

ONE, OTHER = "1a" * 32, "2b" * 32
NAME = "ourlab.train:fit"


class Witness:
    """An import hook that finds nothing, and notes what was looked for."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        del path, target
        self.seen.append(name)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"allow": f"{NAME},ourlab.gan:train"})


@pytest.fixture
def witness() -> Iterator[Witness]:
    hook = Witness()
    sys.meta_path.insert(0, hook)
    yield hook
    sys.meta_path.remove(hook)


def offer(lite: Store, worker: str, source: str, *, queue: str = "cpu") -> None:
    with lite.transaction() as tx:
        tx.workers.seen(worker, queue=queue, functions={NAME: source})


def submitted(http: TestClient, name: str = NAME, **rest: Any) -> Any:
    return http.post(
        "/v1/jobs", json={**GUEST, "workload": {"function": name, "minimize": "val_loss"}, **rest}
    )


def test_a_job_about_an_allowed_function_is_remembered(http: TestClient, lite: Store) -> None:
    offer(lite, "w1", ONE)
    answer = submitted(http)
    assert answer.status_code == 202
    workload = answer.json()["spec"]["workload"]
    assert (workload["function"]["name"], workload["source"]) == (NAME, ONE)
    assert workload["length_unit"] == "epochs"
    again = http.post("/v1/jobs", json=answer.json()["spec"])
    assert again.status_code == 202, "a resolved spec may be sent again"


@pytest.mark.parametrize(
    "name",
    [
        "ourlab.train:fits",
        "ourlab.train:Fit",
        " ourlab.train:fit",
        "ourlab.train:fit ",
        "ourlab.train:fit.__globals__",
        "ourlab.train.fit",
        "ourlab/train.py:fit",
        "ourlab..train:fit",
        "ourlab.train:*",
        "os:system",
        "ourlab.train:f\N{LATIN SMALL LIGATURE FI}t",
        "\N{FULLWIDTH LATIN SMALL LETTER O}urlab.train:fit",
        "ourlab.train:fit,ourlab.gan:train",
    ],
)
def test_a_name_that_is_not_allowed_imports_nothing(http: TestClient, witness: Witness, name: str) -> None:
    submitted(http)  # what the door itself imports on first use
    witness.seen.clear()
    for path in ("/v1/jobs", "/v1/lint"):
        answer = http.post(path, json={**GUEST, "workload": {"function": name, "minimize": "val_loss"}})
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (422, "unknown_function")
        assert problem["errors"][0]["field"] == "workload.function.name"
        assert problem["errors"][0]["allowed"] == [NAME, "ourlab.gan:train"]
    assert not [seen for seen in witness.seen if not seen.startswith(("whichopt", "encodings"))]


def test_the_nearest_name_is_told(http: TestClient) -> None:
    problem = submitted(http, "ourlab.train:fitt").json()
    assert "did you mean 'ourlab.train:fit'?" in problem["detail"]
    assert problem["errors"][0]["nearest"] == NAME


def test_without_allowed_names_the_setting_is_told(lite: Store, settings: Settings) -> None:
    none = settings.model_copy(update={"allow": ""})
    app: FastAPI = create_app(none, lite, Recorder(), reader=READER)
    with TestClient(app, headers={"X-API-Key": KEY}) as http:
        assert "WHICHOPT_ALLOW" in submitted(http).json()["detail"]


def test_a_budget_is_needed(http: TestClient) -> None:
    problem = submitted(http, budget={"epochs": 3}).json()
    assert (problem["status"], problem["code"]) == (422, "budget_needed")
    assert "budget.minutes" in problem["detail"]


def test_wrong_keys_are_told_by_their_path(http: TestClient) -> None:
    bad = {"function": {"name": NAME, "optiosn": {}}, "minimize": "val_loss"}
    answer = http.post("/v1/jobs", json={**GUEST, "workload": bad})
    assert [error["field"] for error in answer.json()["errors"]] == ["workload.function.optiosn"]
    assert answer.json()["errors"][0]["nearest"] == "options"
    answer = http.post("/v1/jobs", json={**GUEST, "workload": {"function": NAME, "minimise": "val_loss"}})
    assert answer.json()["errors"][0]["field"] == "workload.minimise"
    assert answer.json()["errors"][0]["nearest"] == "minimize"
    answer = http.post("/v1/jobs", json={**GUEST, "batch_size": 8})
    assert answer.json()["errors"][0]["field"] == "batch_size"


def test_who_offers_a_function_is_shown(http: TestClient, lite: Store) -> None:
    offer(lite, "w1", ONE)
    offer(lite, "w2", ONE, queue="cuda")
    items = http.get("/v1/functions").json()["items"]
    assert [(item["name"], len(item["workers"]), item["same"]) for item in items] == [
        (NAME, 2, True),
        ("ourlab.gan:train", 0, True),
    ]
    assert items[0]["workers"][0] == {"worker": "w1", "queue": "cpu", "source": ONE}
    offer(lite, "w2", OTHER)
    assert http.get("/v1/functions").json()["items"][0]["same"] is False


def test_a_function_that_differs_between_workers_is_refused_with_both_hashes(
    http: TestClient, lite: Store
) -> None:
    offer(lite, "w1", ONE)
    offer(lite, "w2", OTHER)
    problem = submitted(http).json()
    assert (problem["status"], problem["code"]) == (422, "function_changed")
    assert ONE[:16] in problem["detail"]
    assert OTHER[:16] in problem["detail"]


def test_a_function_that_changes_is_found_when_it_is_planned(http: TestClient, lite: Store) -> None:
    offer(lite, "w1", ONE)
    uid = submitted(http).json()["id"]
    with lite.read() as tx:
        job_id = tx.jobs.id_of(uid)
    assert job_id is not None
    planned = planning(lite, job_id)
    assert planned is not None
    with lite.read() as tx:
        check_unchanged(tx, planned.spec, queue="cpu", within_s=60)
    offer(lite, "w1", OTHER)
    with lite.read() as tx:
        check_unchanged(tx, planned.spec, queue="cuda", within_s=60)
        with pytest.raises(FunctionChanged, match="when the job began"):
            check_unchanged(tx, planned.spec, queue="cpu", within_s=60)


def test_a_worker_that_says_nothing_new_keeps_what_it_offers(lite: Store) -> None:
    offer(lite, "w1", ONE)
    with lite.transaction() as tx:
        tx.workers.seen("w1", queue="cpu")
        assert tx.workers.offers(within_s=60) == [("w1", "cpu", NAME, ONE)]
        assert tx.workers.offers(within_s=-1) == []


@pytest.mark.parametrize(
    "text", ["ourlab.train", "ourlab:fit:x", "a/b.py:fit", "ourlab.train:fit.x", "*:fit"]
)
def test_a_setting_that_is_no_list_of_names_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("WHICHOPT_ALLOW", f"{NAME}, {text}")
    with pytest.raises(WrongSettings, match=r"WHICHOPT_ALLOW: .* is not the name of a function"):
        Settings.from_environment()


def test_names_are_read_with_spaces_and_once() -> None:
    assert allowed_names(f" {NAME} ,ourlab.gan:train,{NAME},") == (NAME, "ourlab.gan:train")

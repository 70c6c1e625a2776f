"""Jobs and their trials, recommendations and catalog, over HTTP."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.builders.concluded_jobs import BODY, concluded_job, motley_job, running_job
from tests.builders.jobs import add_job, make_spec
from tests.builders.services import KEY, Recorder
from whichopt.service.catalog import datasets, models, optimizer_spaces, optimizers, tasks
from whichopt.service.db import Store
from whichopt.service.states import JobState


def code(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def test_a_job_is_remembered_rung_for_and_shown(http: TestClient, dispatcher: Recorder, lite: Store) -> None:
    answer = http.post("/v1/jobs", json=BODY)
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert int(answer.headers["Retry-After"]) > 0
    assert (job["name"], job["state"], job["queue"]) == ("wine", "queued", "cpu")
    assert job["spec"]["workload"]["task"] == "classification", "every default is written out"
    assert "none is running" in job["waiting_for"]
    with lite.read() as tx:
        assert dispatcher.planned == [tx.jobs.id_of(job["id"])]
    shown = http.get(answer.headers["Location"])
    assert shown.json() == job


def test_only_the_workload_is_required(http: TestClient) -> None:
    answer = http.post("/v1/jobs", json={"workload": BODY["workload"]})
    assert answer.status_code == 202
    assert len(answer.json()["ledger"]) == 6


@pytest.mark.parametrize(
    ("device", "live", "queue"),
    [("auto", None, "cpu"), ("auto", "cuda", "cuda"), ("cpu", "cuda", "cpu"), ("cuda", None, "cuda")],
)
def test_the_queue_follows_the_device(
    http: TestClient, lite: Store, device: str, live: str | None, queue: str
) -> None:
    if live is not None:
        with lite.transaction() as tx:
            tx.workers.seen("w1", queue=live)
    assert http.post("/v1/jobs", json={**BODY, "device": device}).json()["queue"] == queue


def test_an_idempotency_key_makes_one_job(http: TestClient, dispatcher: Recorder) -> None:
    headers = {"Idempotency-Key": "again"}
    first = http.post("/v1/jobs", json=BODY, headers=headers).json()
    again = http.post("/v1/jobs", json=dict(reversed(BODY.items())), headers=headers)
    assert (again.status_code, again.json()["id"]) == (202, first["id"])
    assert len(dispatcher.planned) == 1
    other = http.post("/v1/jobs", json={**BODY, "seed": 1}, headers=headers)
    assert code(other) == (422, "idempotency_key_reused")
    assert first["id"] in other.json()["detail"]
    assert len(http.get("/v1/jobs").json()["items"]) == 1


def test_requests_that_race_with_one_idempotency_key_make_one_job(store: Store, settings: Any) -> None:
    from whichopt.service.app import create_app

    with store.transaction() as tx:
        tx.keys.ensure(KEY, name="test")
    app: FastAPI = create_app(settings, store, Recorder())
    headers = {"X-API-Key": KEY, "Idempotency-Key": "race"}
    found: list[Any] = []
    with TestClient(app, headers=headers) as client:
        threads = [
            threading.Thread(target=lambda: found.append(client.post("/v1/jobs", json=BODY)))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [answer.status_code for answer in found] == [202] * 6
        assert len({answer.json()["id"] for answer in found}) == 1


def test_a_job_is_read_again_only_when_it_has_moved(http: TestClient, lite: Store) -> None:
    with lite.transaction() as tx:
        tx.workers.seen("w1", queue="cpu")
    job_id, uid = add_job(lite)
    etag = http.get(f"/v1/jobs/{uid}").headers["ETag"]
    assert etag == '"1"'
    for known in (etag, f"W/{etag}", f'"0", {etag}', "*"):
        unmoved = http.get(f"/v1/jobs/{uid}", headers={"If-None-Match": known})
        assert (unmoved.status_code, unmoved.content, unmoved.headers["ETag"]) == (304, b"", etag)
    with lite.transaction() as tx:
        tx.jobs.bump(job_id)
    moved = http.get(f"/v1/jobs/{uid}", headers={"If-None-Match": etag})
    assert (moved.status_code, moved.headers["ETag"]) == (200, '"2"')
    with lite.transaction() as tx:
        tx.workers.gone("w1")
    assert http.get(f"/v1/jobs/{uid}", headers={"If-None-Match": '"2"'}).json()["waiting_for"]


def test_jobs_are_listed_by_their_dataset(http: TestClient) -> None:
    of = {}
    for dataset in ("wine", "digits"):
        body = {**BODY, "workload": {"dataset": {"name": dataset}, "model": {"name": "linear"}}}
        of[dataset] = http.post("/v1/jobs", json=body).json()["id"]
    for dataset, uid in of.items():
        page = http.get("/v1/jobs", params={"dataset": dataset}).json()
        assert [job["id"] for job in page["items"]] == [uid]
    assert http.get("/v1/jobs", params={"dataset": "diabetes"}).json()["items"] == []
    unknown = http.get("/v1/jobs", params={"dataset": "wines"})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "unknown_name")


def test_jobs_are_listed_newest_first_in_pages(http: TestClient, lite: Store) -> None:
    uids = [add_job(lite)[1] for _ in range(5)]
    _, done = concluded_job(lite)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = http.get("/v1/jobs", params={"limit": 4, **({"cursor": cursor} if cursor else {})}).json()
        seen += [job["id"] for job in page["items"]]
        if (cursor := page["cursor"]) is None:
            break
    assert seen == [done, *reversed(uids)]
    assert [job["id"] for job in http.get("/v1/jobs?state=succeeded").json()["items"]] == [done]


def test_jobs_are_listed_by_verdict_and_by_words(http: TestClient, lite: Store) -> None:
    _, tied = concluded_job(lite, make_spec(name="Wine 100%_sure"))
    belief = [{"name": "adabelief", "label": "belief"}, "sgd"]
    _, waiting = add_job(lite, make_spec(name="Größe", optimizers=belief))

    def listed(**query: str) -> list[str]:
        return [job["id"] for job in http.get("/v1/jobs", params=query).json()["items"]]

    assert listed(verdict="tie") == [tied]
    assert listed(verdict="winner") == []
    assert listed(q="wine") == [waiting, tied]
    assert listed(q="  LINEAR  größe ") == [waiting], "every word, in any case"
    assert listed(q="belief sgd", state="queued") == [waiting]
    assert listed(q="100%_s") == [tied], "a per cent sign is one"
    assert listed(q="wi%e") == []
    unknown = http.get("/v1/jobs", params={"verdict": "loser"})
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "verdict")
    assert http.get("/v1/jobs", params={"q": "x" * 201}).status_code == 422


def test_cancel_ends_a_job_once(http: TestClient, lite: Store) -> None:
    _, uid = running_job(lite)
    answer = http.post(f"/v1/jobs/{uid}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, JobState.CANCELLED)
    again = http.post(f"/v1/jobs/{uid}/cancel")
    assert code(again) == (409, "job_ended")
    assert again.json()["errors"][0]["value"] == "cancelled"


def test_trials_are_filtered_and_paged(http: TestClient, lite: Store) -> None:
    _, uid = motley_job(lite)
    page = http.get(f"/v1/jobs/{uid}/trials").json()
    states = ["complete", "pruned", "diverged", "running", "queued"]
    assert [trial["state"] for trial in page["items"]] == states
    first = page["items"][0]
    assert first["config"]["betas"] == [0.9, 0.999], "torch's own form"
    assert first["curve"] == [[1, 50, 0.9], [2, 100, 0.4]]
    assert page["items"][3]["curve"] == [[1, 50, 0.9]], "a running trial shows its curve so far"

    def ids(query: str) -> list[str]:
        return [trial["state"] for trial in http.get(f"/v1/jobs/{uid}/trials{query}").json()["items"]]

    assert ids("?state=pruned") == ["pruned"]
    assert ids("?optimizer=belief&phase=search") == states
    assert ids("?optimizer=sgd") == []
    assert ids("?phase=confirm") == []
    page = http.get(f"/v1/jobs/{uid}/trials?limit=3").json()
    assert ids(f"?limit=3&cursor={page['cursor']}") == states[3:]


def test_a_recommendation_is_there_once_the_job_has_succeeded(http: TestClient, lite: Store) -> None:
    _, waiting = add_job(lite)
    answer = http.get(f"/v1/jobs/{waiting}/recommendation")
    assert code(answer) == (409, "no_recommendation")
    assert answer.json()["errors"][0]["value"] == "queued"
    http.post(f"/v1/jobs/{waiting}/cancel")
    assert "will have no recommendation" in http.get(f"/v1/jobs/{waiting}/recommendation").json()["detail"]
    _, uid = concluded_job(lite)
    found = http.get(f"/v1/jobs/{uid}/recommendation")
    assert (found.status_code, found.json()["verdict"]) == (200, "tie")


def test_recommendations_for_workloads_like_this_one(http: TestClient, lite: Store) -> None:
    uids = [concluded_job(lite)[1] for _ in range(3)]
    _, labeled = concluded_job(lite, make_spec(optimizers=[{"name": "sgd", "label": "mine"}, "adam"]))

    def ids(query: str) -> list[str]:
        return [found["job_id"] for found in http.get(f"/v1/recommendations{query}").json()["items"]]

    assert ids("") == [labeled, *reversed(uids)]
    assert ids("?task=classification&dataset=wine&model=linear&optimizer=adabelief") == uids[::-1]
    assert ids("?optimizer=sgd") == [labeled], "by the catalog's name, not the label"
    assert ids("?dataset=digits") == []
    cursor = http.get("/v1/recommendations?limit=1").json()["cursor"]
    assert ids(f"?limit=1&cursor={cursor}") == [uids[-1]]
    unknown = http.get("/v1/recommendations?optimizer=adabelif")
    assert code(unknown) == (422, "unknown_name")
    assert unknown.json()["errors"][0]["nearest"] == "adabelief"


@pytest.mark.parametrize(
    ("kind", "entries"),
    [
        ("optimizers", optimizers.OPTIMIZERS),
        ("models", models.MODELS),
        ("datasets", datasets.DATASETS),
        ("tasks", tasks.TASKS),
    ],
)
def test_the_catalog_shows_every_entry(http: TestClient, kind: str, entries: tuple[Any, ...]) -> None:
    found = http.get(f"/v1/{kind}").json()["items"]
    assert [entry["name"] for entry in found] == [entry.name for entry in entries]
    for entry in found:
        assert http.get(f"/v1/{kind}/{entry['name']}").json() == entry
    unknown = http.get(f"/v1/{kind}/{entries[0].name}x")
    assert code(unknown) == (404, "not_found")
    assert unknown.json()["errors"][0]["nearest"] == entries[0].name


def test_an_optimizer_is_shown_with_its_space_defaults_and_source(http: TestClient) -> None:
    details = http.get("/v1/optimizers/adabelief").json()["details"]
    lr = details["hyperparameters"][0]
    assert lr == {"name": "lr", "default": 1e-3, "space": optimizer_spaces.ADAM_SPACE["lr"].model_dump()}
    assert details["default"]["betas"] == [0.9, 0.999]
    assert "2010.07468" in details["source"]

"""A job that recommends nothing, at the doors: REST, the list of recommendations, the command line."""

from __future__ import annotations

import json

from fastapi.testclient import TestClient
from typer.testing import CliRunner

from tests.builders.concluded_jobs import concluded_job
from tests.builders.jobs import add_job, add_round, finish, must_claim, planning, state_of
from tests.builders.services import KEY
from tests.builders.trials import confirm, search, spec_of
from whichopt.service.cli import app
from whichopt.service.db import Store
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.exit_codes import NOTHING_TO_DEPLOY
from whichopt.service.states import JobState

RUN = CliRunner()


def diverged_job(store: Store) -> str:
    spec = spec_of("adabelief", "sgd", dataset="wine")
    nothing = search(spec, {label: [[None] * 2] * 3 for label in spec.labels})
    job_id, uid = add_job(store, spec)
    for cohort_id in add_round(store, job_id):
        finish(store, must_claim(store, cohort_id))
    planned = planning(store, job_id)
    assert planned is not None
    found = recommend(uid, spec, confirm(spec, nothing, lambda *_: None))
    with store.transaction() as tx:
        assert tx.jobs.conclude(planned, found)
    return uid


def test_it_has_succeeded_and_its_recommendation_says_that_there_is_none(
    http: TestClient, lite: Store
) -> None:
    uid = diverged_job(lite)
    assert state_of(lite, uid) is JobState.SUCCEEDED
    answer = http.get(f"/v1/jobs/{uid}/recommendation")
    assert answer.status_code == 200
    found = answer.json()
    assert found["verdict"] == "nothing"
    assert [found[name] for name in ("optimizer", "config", "value", "snippet", "probability_best")] == [
        None
    ] * 5
    assert "What to change" in found["statement"]


def test_it_is_not_among_what_has_been_recommended(http: TestClient, lite: Store) -> None:
    diverged_job(lite)
    _, other = concluded_job(lite)
    for query in ("", "?dataset=wine", "?optimizer=adabelief"):
        listed = http.get(f"/v1/recommendations{query}").json()["items"]
        assert [one["job_id"] for one in listed] == [other]


def test_scripts_do_not_go_on_with_a_config_that_is_not_there(url: str, lite: Store) -> None:
    uid = diverged_job(lite)
    _, other = concluded_job(lite)
    for command in ("recommend", "watch"):
        here = ["--url", url, "--key", KEY]
        assert RUN.invoke(app, [command, other, *here]).exit_code == 0
        found = RUN.invoke(app, [command, uid, *here])
        assert found.exit_code == NOTHING_TO_DEPLOY
        assert "diverged on 5 of 5 seeds" in found.stdout
        assert "Paste and run" not in found.stdout
        told = RUN.invoke(app, [command, uid, "--json", *here])
        assert told.exit_code == NOTHING_TO_DEPLOY
        assert json.loads(told.stdout)["verdict"] == "nothing"

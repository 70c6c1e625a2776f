"""The end of confirm by request over HTTP, by the client and by the command."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from tests.builders.concluded_jobs import concluded_job, running_job
from tests.builders.jobs import add_job, add_round, finish, make_plans, make_spec, must_claim, planning
from tests.builders.services import KEY, Recorder
from whichopt.service.cli import app as command
from whichopt.service.client import Client, ProblemError
from whichopt.service.db import Store
from whichopt.service.states import Phase


def confirming_job(store: Store, *, queue: str = "cpu") -> tuple[int, str]:
    """A job with two fresh seeds done, and a third whose cohort waits."""
    job_id, uid = add_job(store) if queue == "cpu" else _here(store)
    for cohort_id in add_round(store, job_id):
        finish(store, must_claim(store, cohort_id))
    for numbers in (range(2), range(2, 3)):
        planned = planning(store, job_id)
        assert planned is not None
        plans = [
            plan.model_copy(update={"phase": Phase.CONFIRM, "replicate": None, "number": number})
            for number in numbers
            for plan in make_plans(planned.spec)
        ]
        with store.transaction() as tx:
            ids = tx.jobs.add_round(planned, [plans], spec=planned.spec, cut_short=False)
        assert ids is not None
        if numbers.start == 0:
            finish(store, must_claim(store, ids[0]))
    return job_id, uid


def _here(store: Store) -> tuple[int, str]:
    with store.transaction() as tx:
        return tx.jobs.add(make_spec(), queue=None)


def test_the_job_is_to_conclude_and_its_planner_is_rung_for(
    http: TestClient, lite: Store, dispatcher: Recorder
) -> None:
    job_id, uid = confirming_job(lite)
    answer = http.post(f"/v1/jobs/{uid}/conclude")
    assert answer.status_code == 202
    assert answer.json()["concluded_seeds"] == 2
    assert answer.json()["progress"]["confirm"]["seeds_done"] == 2
    assert dispatcher.planned == [job_id]
    assert http.post(f"/v1/jobs/{uid}/conclude").status_code == 202
    planned = planning(lite, job_id)
    assert planned is not None
    assert planned.concluded_seeds == 2
    assert "concluded_seeds" not in http.get(f"/v1/jobs/{add_job(lite)[1]}").json()


def test_nobody_is_rung_for_if_its_own_process_plans(
    http: TestClient, lite: Store, dispatcher: Recorder
) -> None:
    _, uid = confirming_job(lite, queue="here")
    assert http.post(f"/v1/jobs/{uid}/conclude").status_code == 202
    assert dispatcher.planned == []


def test_what_cannot_be_concluded_is_refused_in_words(http: TestClient, lite: Store) -> None:
    _, searching = running_job(lite)
    answer = http.post(f"/v1/jobs/{searching}/conclude")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_concludable")
    assert "still searching" in answer.json()["detail"]
    _, ended = concluded_job(lite)
    answer = http.post(f"/v1/jobs/{ended}/conclude")
    assert (answer.status_code, answer.json()["code"]) == (409, "job_ended")
    nobody = http.post("/v1/jobs/00000000-0000-0000-0000-000000000000/conclude")
    assert (nobody.status_code, nobody.json()["code"]) == (404, "not_found")


def test_the_client_and_the_command_ask_for_it(url: str, lite: Store) -> None:
    _, uid = confirming_job(lite)
    with Client(url, KEY) as client:
        assert client.conclude(uid).concluded_seeds == 2
        with pytest.raises(ProblemError, match="still searching"):
            client.conclude(running_job(lite)[1])
    told = CliRunner().invoke(command, ["conclude", uid, "--url", url, "--key", KEY])
    assert told.exit_code == 0, told.output
    assert "concludes from 2 fresh seeds" in told.output
    refused = CliRunner().invoke(command, ["conclude", concluded_job(lite)[1], "--url", url, "--key", KEY])
    assert refused.exit_code == 2
    assert "it has ended: it is succeeded" in refused.output

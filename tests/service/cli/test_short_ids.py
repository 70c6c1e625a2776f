"""Commands take the beginning or end of a job's id."""

from __future__ import annotations

import json

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from tests.builders.concluded_jobs import concluded_job, running_job
from tests.builders.services import KEY
from whichopt.service.cli import app
from whichopt.service.client import Client
from whichopt.service.db import Store
from whichopt.service.errors import NotFound

RUN = CliRunner()


def test_every_command_takes_a_shortened_id(lite: Store, url: str) -> None:
    _, done = concluded_job(lite)
    _, going = running_job(lite)
    options = ["--json", "--url", url, "--key", KEY]
    for command in (["show"], ["show", "--trials"], ["recommend"], ["watch"]):
        for part in (done[-8:], done[-8:].upper(), done):
            found = RUN.invoke(app, [*command, part, *options])
            assert found.exit_code == 0, found.output
            assert json.loads(found.stdout)
    assert json.loads(RUN.invoke(app, ["show", done[-8:], *options]).stdout)["id"] == done
    assert json.loads(RUN.invoke(app, ["forecast", going[-8:], *options]).stdout)["job_id"] == going
    assert json.loads(RUN.invoke(app, ["cancel", going[-8:], *options]).stdout)["id"] == going


def test_a_beginning_is_enough_if_only_one_job_has_it(lite: Store, url: str) -> None:
    uids = [running_job(lite)[1] for _ in range(2)]
    common = next(i for i in range(36) if uids[0][i] != uids[1][i])
    with Client(url, KEY) as client:
        assert client.find_job(uids[0][: common + 1]) == uids[0]
        with pytest.raises(NotFound) as refused:
            client.find_job(uids[0][:common])
    assert all(uid in refused.value.detail for uid in uids)
    assert "2 jobs" in refused.value.detail


def test_an_unknown_one_is_told_with_the_latest_jobs(lite: Store, url: str) -> None:
    _, uid = running_job(lite)
    for text in ("ffffffffff", "0000", "nosuch", "no-id!", "1", "1" * 37):
        found = RUN.invoke(app, ["show", text, "--url", url, "--key", KEY])
        assert found.exit_code == 2
        if text in ("ffffffffff", "0000"):
            assert f"no job's id is, begins with or ends with '{text}'" in found.output
        else:
            why = {"1": "give at least 4 characters", "1" * 37: "it is too long for one"}.get(
                text, "ids are made of the digits, the letters a to f, and -"
            )
            assert f"'{text}' is no part of a job's id: {why}" in found.output
        assert uid in found.output


def test_the_list_of_jobs_can_be_asked_for_a_part_of_an_id(http: TestClient, lite: Store) -> None:
    uids = [running_job(lite)[1] for _ in range(3)]
    for part in (uids[1], uids[1][-8:], uids[1][-8:].upper()):
        assert [job["id"] for job in http.get("/v1/jobs", params={"id": part}).json()["items"]] == [uids[1]]
    assert len(http.get("/v1/jobs", params={"id": uids[0][:8]}).json()["items"]) == 3
    assert http.get("/v1/jobs", params={"id": "%%%%"}).status_code == 422

"""A job's forecast is of a round that has ended: computed once, stored with it, timed when asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from tests.builders.jobs import (
    add_job,
    add_round,
    finish,
    make_plans,
    make_spec,
    must_claim,
    planning,
    state_of,
)
from tests.builders.services import KEY, Recorder
from whichopt.service.app import create_app
from whichopt.service.db import Store
from whichopt.service.db.migrate import downgrade, upgrade
from whichopt.service.db.tables import forecast as forecast_table
from whichopt.service.db.trials import Trials
from whichopt.service.evidence.forecast.round import of_round
from whichopt.service.forecasts import RoundForecast
from whichopt.service.settings import Settings
from whichopt.service.states import JobState

SPEC = make_spec(budget={"trials": 12, "replicates": 2, "epochs": 2, "confirm_seeds": 3})


def another_round(store: Store, job_id: int, number: int) -> list[int]:
    """A later round of the search: one trial of each study, in two cohorts."""
    planned = planning(store, job_id)
    assert planned is not None
    plans = [plan.model_copy(update={"number": number}) for plan in make_plans(planned.spec)]
    with store.transaction() as tx:
        ids = tx.jobs.add_round(planned, [plans[:2], plans[2:]], executor="solo", cut_short=False)
    assert ids is not None
    return ids


@pytest.fixture
def job(lite: Store) -> tuple[int, str]:
    """A job whose first round has ended."""
    job_id, uid = add_job(lite, SPEC)
    for cohort_id in add_round(lite, job_id):
        finish(lite, must_claim(lite, cohort_id))
    return job_id, uid


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The jobs whose trials were read, once for each time."""
    read: list[int] = []
    real = Trials.of_job

    def of_job(self: Trials, job_id: int, **options: Any) -> Any:
        read.append(job_id)
        return real(self, job_id, **options)

    monkeypatch.setattr(Trials, "of_job", of_job)
    return read


def ask(http: TestClient, uid: str) -> dict[str, Any]:
    answer = http.get(f"/v1/jobs/{uid}/forecast")
    assert answer.status_code == 200, answer.text
    forecast: dict[str, Any] = answer.json()
    return forecast


def trials_of(answer: dict[str, Any]) -> list[int]:
    return [row["trials"] for row in answer["search"]]


def stored_rounds(store: Store) -> list[tuple[int, int]]:
    """(job, round) of the stored forecasts."""
    with store.read() as tx:
        rows = tx.connection.execute(sa.select(forecast_table.c.job_id, forecast_table.c.round))
        return [(row.job_id, row.round) for row in rows]


def test_a_round_is_read_once(http: TestClient, job: tuple[int, str], reads: list[int]) -> None:
    first = ask(http, job[1])
    assert reads == [job[0]]
    assert ask(http, job[1]) == first
    assert reads == [job[0]], "what is stored is not computed again"


def test_it_is_of_a_round_that_has_ended_and_names_it(
    http: TestClient, lite: Store, job: tuple[int, str], reads: list[int]
) -> None:
    job_id, uid = job
    of_first = ask(http, uid)
    assert (of_first["round"], trials_of(of_first)) == (1, [2, 2])
    assert "round 1" in of_first["statement"]
    early, late = another_round(lite, job_id, 1)
    finish(lite, must_claim(lite, early))
    during = ask(http, uid)
    assert (during["round"], during["search"]) == (1, of_first["search"]), "no results of the second round"
    assert len(reads) == 2, "one was for the planner of the second round"
    finish(lite, must_claim(lite, late))
    after = ask(http, uid)
    assert (after["round"], trials_of(after)) == (2, [4, 4])
    assert stored_rounds(lite) == [(job_id, 0), (job_id, 1)]


def test_its_times_are_by_the_clock_of_now(http: TestClient, lite: Store, job: tuple[int, str]) -> None:
    """Every result takes 0.1 s; of 12 trials for each optimizer 2 have ended, and then one more of each."""
    job_id, uid = job
    early, _ = another_round(lite, job_id, 1)

    def training_left() -> float:
        answer = ask(http, uid)
        seed = 0.1 * len(SPEC.labels)  # both studies chose the default, which is the one finalist of each
        return float(answer["seconds_left"] / answer["seconds_per_seed"] * seed)

    before = training_left()
    assert before == pytest.approx(0.1 * (2 * 10 + 2 * 3))
    finish(lite, must_claim(lite, early))
    assert training_left() == pytest.approx(0.1 * (2 * 9 + 2 * 3))


def test_before_a_round_has_ended_it_is_of_what_there_is(
    http: TestClient, lite: Store, reads: list[int]
) -> None:
    job_id, uid = add_job(lite, SPEC)
    assert ask(http, uid)["round"] is None
    first, _ = add_round(lite, job_id)
    finish(lite, must_claim(lite, first))
    answer = ask(http, uid)
    assert (answer["round"], trials_of(answer)) == (None, [1, 1])
    ask(http, uid)
    assert reads[-2:] == [job_id, job_id]
    assert stored_rounds(lite) == [], "what may still change is not stored"


def test_a_round_that_was_cancelled_has_ended_too(
    http: TestClient, lite: Store, job: tuple[int, str]
) -> None:
    job_id, uid = job
    early, _ = another_round(lite, job_id, 1)
    finish(lite, must_claim(lite, early))
    with lite.transaction() as tx:
        tx.jobs.cancel(job_id)
    assert state_of(lite, uid) is JobState.CANCELLED
    answer = ask(http, uid)
    assert (answer["round"], trials_of(answer), answer["seconds_left"]) == (2, [3, 3], None)


def test_another_version_computes_it_anew(
    http: TestClient, lite: Store, job: tuple[int, str], reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(http, job[1])
    monkeypatch.setattr("whichopt.service.db.forecasts.VERSION", 0)
    ask(http, job[1])
    ask(http, job[1])
    assert reads == [job[0]] * 2
    assert stored_rounds(lite) == [(job[0], 0)]


@pytest.fixture
def read_only(lite: Store, job: tuple[int, str]) -> Iterator[TestClient]:  # noqa: ARG001
    """The app over a database that it cannot write."""
    store = Store(f"sqlite:///file:{lite.url.database}?mode=ro&uri=true")
    with TestClient(
        create_app(Settings(reap_s=600), store, Recorder()), headers={"X-API-Key": KEY}
    ) as client:
        yield client


def test_who_cannot_write_is_answered(read_only: TestClient, lite: Store, job: tuple[int, str]) -> None:
    assert ask(read_only, job[1])["round"] == 1
    assert stored_rounds(lite) == []


def test_what_is_stored_is_read_back_and_replaced(store: Store) -> None:
    job_id, _ = add_job(store, SPEC)
    for cohort_id in add_round(store, job_id):
        finish(store, must_claim(store, cohort_id))
    planned = planning(store, job_id)
    assert planned is not None
    known = of_round(planned.spec, planned.trials, risk=None)
    other = RoundForecast(search=known.search, confirm=None, trial_seconds=None, finalists=[])
    for content in (other, known):
        with store.transaction() as tx:
            tx.forecasts.keep(job_id, 0, content)
        with store.read() as tx:
            assert tx.forecasts.stored(job_id, 0) == content
            assert tx.forecasts.stored(job_id, 1) is None


def test_the_migration_goes_down_and_up_with_rows(lite: Store, http: TestClient) -> None:
    job_id, uid = add_job(lite, SPEC)
    for cohort_id in add_round(lite, job_id):
        finish(lite, must_claim(lite, cohort_id))
    before = ask(http, uid)
    assert stored_rounds(lite) == [(job_id, 0)]
    downgrade(lite, "0003_environment")
    upgrade(lite)
    assert stored_rounds(lite) == []
    assert ask(http, uid) == before

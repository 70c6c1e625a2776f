"""Ask before you spend: a job's forecast in search, in confirm and after, by every door."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from fastapi.testclient import TestClient
from rich.console import Console
from typer.testing import CliRunner

from tests.builders.concluded_jobs import conclude
from tests.builders.jobs import add_job, add_round, finish, make_spec, must_claim, planning
from tests.builders.services import KEY
from tests.builders.trials import confirm, flat
from whichopt.service.cli import app
from whichopt.service.cli.progress import Bars
from whichopt.service.db import Store
from whichopt.service.evidence.forecast.round import of_round
from whichopt.service.forecasts import Used
from whichopt.service.planning.finalists import finalists
from whichopt.service.planning.looks import most_runs, planned_looks
from whichopt.service.planning.training_time import seconds_left
from whichopt.service.states import Phase
from whichopt.service.trials import Trial
from whichopt.service.views import JobForecast, JobView

SPEC = make_spec(budget={"trials": 4, "replicates": 2, "epochs": 2, "confirm_seeds": 10})
SEEDS = 4


def ended_trials() -> list[Trial]:
    """A whole search, and the first stage of confirm; each takes 0.1 s. The optimizers are 0.02 apart."""

    def value(arm: object, seed: int) -> float:
        label = arm.label  # type: ignore[attr-defined]
        return 0.3 + 0.02 * SPEC.labels.index(label) + 0.01 * ((7 * seed + len(label)) % 5)

    return confirm(SPEC, flat(SPEC), value, seeds=SEEDS)


def planned() -> tuple[int, ...]:
    """Fresh seeds after each stage of that job."""
    return planned_looks(SPEC, len(finalists(SPEC, ended_trials())))


def keep(store: Store, job_id: int, trials: Sequence[Trial]) -> None:
    """A round of one cohort, with those results."""
    planned = planning(store, job_id)
    assert planned is not None
    with store.transaction() as tx:
        ids = tx.jobs.add_round(
            planned, [[t.plan for t in trials]], spec=planned.spec.with_executor("solo"), cut_short=False
        )
    assert ids is not None
    claimed = must_claim(store, ids[0])
    with store.transaction() as tx:
        assert tx.cohorts.finish(claimed, [t.result for t in trials if t.result is not None])


@pytest.fixture
def confirming(lite: Store) -> tuple[int, str]:
    job_id, uid = add_job(lite, SPEC)
    trials = ended_trials()
    keep(lite, job_id, [trial for trial in trials if trial.plan.phase is Phase.SEARCH])
    keep(lite, job_id, [trial for trial in trials if trial.plan.phase is Phase.CONFIRM])
    return job_id, uid


def test_in_search_it_tells_what_is_left(http: TestClient, lite: Store) -> None:
    job_id, uid = add_job(lite, SPEC)
    assert http.get(f"/v1/jobs/{uid}/forecast").json()["seconds_left"] is None
    first, _ = add_round(lite, job_id)
    finish(lite, must_claim(lite, first))
    found = JobForecast.model_validate_json(http.get(f"/v1/jobs/{uid}/forecast").content)
    assert (found.phase, found.confirm, found.job_id) == (Phase.SEARCH, None, uid)
    assert [(row.trials, row.trials_left) for row in found.search] == [(1, 3), (1, 3)]
    assert found.seconds_left is not None


def test_in_confirm_it_tells_what_the_next_seeds_would_change(
    http: TestClient, lite: Store, confirming: tuple[int, str]
) -> None:
    job_id, uid = confirming
    answer = http.get(f"/v1/jobs/{uid}/forecast")
    assert answer.status_code == 200
    found = JobForecast.model_validate_json(answer.content)
    assert found.confirm is not None
    assert (found.confirm.seeds, found.confirm.most) == (SEEDS, planned()[-1])
    assert found.confirm.looks == list(planned())
    assert found.confirm.verdict == "tie", "the first stage names nobody while champions are to come"
    assert sum(found.confirm.probability_best.values()) == pytest.approx(1)
    assert found.seconds_per_seed is not None
    assert found.confirm.next_seeds is not None
    # A seed so far was one of six finalists; those to come are of two champions, and trials take as long.
    champions = found.confirm.next_seeds * found.seconds_per_seed * 2 / 6
    assert found.confirm.next_seconds == pytest.approx(champions)
    progress = http.get(f"/v1/jobs/{uid}").json()["progress"]["confirm"]
    assert (progress["seeds_done"], progress["seeds_planned"], progress["seeds_most"]) == (
        SEEDS,
        SEEDS,
        planned()[-1],
    )
    assert progress["looks"] == found.confirm.looks

    conclude(lite, job_id)
    after = JobForecast.model_validate_json(http.get(f"/v1/jobs/{uid}/forecast").content)
    assert after.statement.startswith("The job has ended (succeeded)")
    assert after.seconds_left is None
    assert after.confirm == found.confirm, "how it stood"


def test_seconds_left_are_those_of_the_trials_that_are_left() -> None:
    """Each trial takes 0.1 s of training, and twice as long by the clock."""
    trials = ended_trials()
    search = [trial for trial in trials if trial.plan.phase is Phase.SEARCH]
    arms = (len(trials) - len(search)) // SEEDS
    further = len(SPEC.labels) * (planned()[-1] - SEEDS)
    assert further <= arms * (10 - SEEDS)
    assert left(trials, 0.2 * len(trials)) == pytest.approx(0.2 * further)
    some = search[:-3]
    assert left(some, 0.2 * len(some)) == pytest.approx(
        0.2 * (3 + most_runs(SPEC, len(finalists(SPEC, some))))
    )
    assert left([], 0.0) is None


def left(trials: Sequence[Trial], elapsed_s: float) -> float | None:
    used: dict[tuple[str, Phase], Used] = {}
    for trial in trials:
        assert trial.result is not None
        before = used.get((trial.plan.label, trial.plan.phase), Used(0, 0.0))
        now = Used(before.results + 1, before.seconds + trial.result.seconds)
        used[trial.plan.label, trial.plan.phase] = now
    phase = trials[-1].plan.phase if trials else Phase.SEARCH
    return seconds_left(SPEC, of_round(SPEC, trials, risk=None), phase, used, elapsed_s)


def test_there_is_none_of_a_job_that_is_not_there(http: TestClient) -> None:
    assert http.get("/v1/jobs/00000000-0000-0000-0000-000000000000/forecast").status_code == 404


def test_the_command_line_shows_it(url: str, confirming: tuple[int, str]) -> None:
    options = [confirming[1], "--url", url, "--key", KEY]
    shown = CliRunner().invoke(app, ["forecast", *options])
    assert shown.exit_code == 0, shown.output
    assert "P(best) now" in shown.output
    assert "fresh seeds" in shown.output
    data = json.loads(CliRunner().invoke(app, ["forecast", *options, "--json"]).output)
    assert data["confirm"]["seeds"] == SEEDS


def test_a_line_of_it_follows_each_stage_once(http: TestClient, confirming: tuple[int, str]) -> None:
    job = JobView.model_validate_json(http.get(f"/v1/jobs/{confirming[1]}").content)
    asked: list[str] = []

    def forecast(job_id: str) -> JobForecast:
        asked.append(job_id)
        return JobForecast.model_validate_json(http.get(f"/v1/jobs/{job_id}/forecast").content)

    console = Console(record=True, width=200, quiet=True)
    with Bars(console, forecast=forecast) as bars:
        bars.update(job)
        bars.update(job)
    assert asked == [job.id]

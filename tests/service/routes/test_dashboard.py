"""Our studies as Optuna sees them: in the dashboard, and in the file for `optuna.load_study`."""

from __future__ import annotations

import gc
import sqlite3
import threading
from pathlib import Path

import optuna
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState
from starlette.types import ASGIApp

from tests.builders.concluded_jobs import concluded_job, motley_job
from tests.builders.jobs import add_job, make_spec, must_claim
from tests.builders.services import KEY
from whichopt.service.db import Store
from whichopt.service.export import export
from whichopt.service.optuna_storage import StudyStorage

WRITES = {
    "create_new_study": (["minimize"],),
    "delete_study": (1,),
    "set_study_user_attr": (1, "a", 1),
    "set_study_system_attr": (1, "a", 1),
    "create_new_trial": (1,),
    "set_trial_param": (1, "lr", 1.0, FloatDistribution(0, 1)),
    "set_trial_state_values": (1, TrialState.COMPLETE, [1.0]),
    "set_trial_intermediate_value": (1, 1, 1.0),
    "set_trial_user_attr": (1, "a", 1),
    "set_trial_system_attr": (1, "a", 1),
}


def test_states_values_and_curves_are_optunas(lite: Store) -> None:
    _, uid = motley_job(lite)
    storage = StudyStorage(lite)
    (study,) = storage.get_all_studies()
    assert study.study_name == f"motley/belief/0 ({uid[-8:]})"
    assert study.direction is optuna.study.StudyDirection.MINIMIZE
    assert study.user_attrs["job"] == uid
    assert (study.user_attrs["label"], study.user_attrs["optimizer"]) == ("belief", "adabelief")
    assert study.user_attrs["data"] == "178 rows, 13 features; 106 training, 36 validation, 36 test"
    assert study.user_attrs["network"] == "linear, 42 params"
    trials = storage.get_all_trials(study._study_id)
    assert [trial.number for trial in trials] == [0, 1, 2, 3, 4]
    assert [trial.state.name for trial in trials] == ["COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING"]
    complete, pruned, diverged, running, waiting = trials
    assert (complete.value, complete.intermediate_values) == (0.4, {1: 0.9, 2: 0.4})
    assert (pruned.value, pruned.last_step) == (0.9, 1)
    assert (diverged.value, diverged.user_attrs["state"]) == (None, "diverged")
    assert running.intermediate_values == {1: 0.9}, "the curve so far"
    assert waiting.datetime_start is None
    assert complete.duration is not None


def test_params_keep_to_the_space_and_attributes_to_the_truth(lite: Store) -> None:
    motley_job(lite)
    complete = StudyStorage(lite).get_all_trials(1)[0]
    assert complete.distributions["lr"] == FloatDistribution(1e-5, 1e-1, log=True)
    assert complete.distributions["beta1"] == FloatDistribution(0.5, 0.98), "log1m is linear here"
    assert complete.distributions["rectify"] == CategoricalDistribution((False, True))
    assert complete.params["weight_decay"] == 1e-4, "0 lies outside of a log range"
    assert complete.user_attrs["config"]["weight_decay"] == 0.0
    assert complete.user_attrs["config"]["betas"] == (0.9, 0.999)
    assert complete.user_attrs["origin"] == "default"
    assert complete.user_attrs["seeds"] == {"init": 1, "order": 2, "split": 3}
    assert complete.user_attrs["metrics"]["validation"]["accuracy"] == 0.9
    for trial in StudyStorage(lite).get_all_trials(1):
        trial._validate()


def test_a_fixed_hyperparameter_is_no_param(lite: Store) -> None:
    optimizers = [{"name": "sgd", "space": {"momentum": 0.5}}, "adam"]
    concluded_job(lite, make_spec(optimizers=optimizers, name="two\u00a0lines / x"))
    storage = StudyStorage(lite)
    trial = storage.get_all_trials(1)[0]
    assert "momentum" not in trial.params
    assert trial.user_attrs["config"]["momentum"] == 0.5


def test_what_is_asked_by_id_or_name(lite: Store) -> None:
    motley_job(lite)
    concluded_job(lite)
    storage = StudyStorage(lite)
    names = {study._study_id: study.study_name for study in storage.get_all_studies()}
    assert len(set(names.values())) == 5
    for study_id, name in names.items():
        assert storage.get_study_id_from_name(name) == study_id
        assert storage.get_study_name_from_id(study_id) == name
        assert storage.get_study_system_attrs(study_id) == {"study:metric_names": ["nll"]}
    trial = storage.get_all_trials(1)[1]
    assert storage.get_trial(trial._trial_id) == trial
    assert storage.get_best_trial(1).number == 0
    assert storage.get_n_trials(1, TrialState.PRUNED) == 1
    for call in (storage.get_study_name_from_id, storage.get_all_trials, storage.get_trial):
        with pytest.raises(KeyError):
            call(999)
    with pytest.raises(KeyError):
        storage.get_study_id_from_name("none")


def test_finished_trials_are_read_once_and_the_others_again(lite: Store) -> None:
    motley_job(lite)
    storage = StudyStorage(lite)
    before = storage.get_all_trials(1, deepcopy=False)
    queued_cohort = 3
    must_claim(lite, queued_cohort)
    after = storage.get_all_trials(1, deepcopy=False)
    assert [a is b for a, b in zip(before, after, strict=True)] == [True, True, True, False, False]
    assert after[4].state is TrialState.RUNNING
    assert storage.get_all_trials(1)[0] is not after[0], "a deep copy unless told otherwise"


def test_whatever_would_write_raises(lite: Store) -> None:
    motley_job(lite)
    storage = StudyStorage(lite)
    writes = {name for name in StudyStorage.__dict__ if name.startswith(("create_", "delete_", "set_"))}
    assert writes == set(WRITES)
    for name, arguments in WRITES.items():
        with pytest.raises(NotImplementedError, match="read-only"):
            getattr(storage, name)(*arguments)


# -- the export ------------------------------------------------------------------------------------------


def test_the_export_opens_in_optuna(http: TestClient, lite: Store, tmp_path: Path) -> None:
    _, uid = motley_job(lite)
    concluded_job(lite)
    answer = http.get(f"/v1/jobs/{uid}/studies.db")
    assert answer.headers["Content-Type"] == "application/vnd.sqlite3"
    assert uid in answer.headers["Content-Disposition"]
    path = tmp_path / "x.db"
    path.write_bytes(answer.content)
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    names = optuna.get_all_study_names(storage)
    assert names == [f"motley/belief/0 ({uid[-8:]})"], "this job's studies and no others"
    study = optuna.load_study(study_name=names[0], storage=storage)
    ours = StudyStorage(lite).get_all_trials(1)
    for copied, trial in zip(study.trials, ours, strict=True):
        assert (copied.number, copied.state, copied.values) == (trial.number, trial.state, trial.values)
        assert copied.params == pytest.approx(trial.params)
        assert copied.distributions == trial.distributions
        assert copied.intermediate_values == trial.intermediate_values
        assert copied.user_attrs["config"]["lr"] == trial.user_attrs["config"]["lr"]
    assert study.best_value == 0.4
    assert study.metric_names == ["nll"]
    storage.remove_session()
    storage.engine.dispose()


def test_a_job_without_trials_exports_empty_studies(lite: Store, tmp_path: Path) -> None:
    _, uid = add_job(lite)
    export(lite, uid, tmp_path / "x.db")
    with sqlite3.connect(tmp_path / "x.db") as connection:
        assert connection.execute("SELECT count(*) FROM studies").fetchone() == (4,)
        assert connection.execute("SELECT count(*) FROM trials").fetchone() == (0,)
    connection.close()


def test_an_export_leaves_no_file_behind(
    http: TestClient, lite: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = set(tmp_path.iterdir())
    _, uid = motley_job(lite)
    assert http.get(f"/v1/jobs/{uid}/studies.db").content.startswith(b"SQLite format 3")
    gc.collect()
    left = {path.name for path in set(tmp_path.iterdir()) - before}
    assert not {name for name in left if name.startswith("whichopt")}


# -- the dashboard ---------------------------------------------------------------------------------------


def test_the_dashboard_shows_every_study(http: TestClient, lite: Store) -> None:
    motley_job(lite)
    concluded_job(lite)
    page = http.get("/dashboard")
    assert page.status_code == 200
    assert "Optuna Dashboard" in page.text
    assert "script-src" in page.headers["Content-Security-Policy"], "its own"
    assert http.get("/dashboard/studies/1").status_code == 200
    assert http.get("/static/bundle.js").status_code == 200
    assert http.get("/favicon.ico").status_code == 200
    studies = http.get("/api/studies").json()["study_summaries"]
    assert len(studies) == 5
    for study in studies:
        detail = http.get(f"/api/studies/{study['study_id']}").json()
        assert detail["name"] == study["study_name"]
        assert len(detail["trials"]) == (5 if detail["name"].startswith("motley") else 1)
        importances = http.get(f"/api/studies/{study['study_id']}/param_importances")
        assert importances.status_code == 200
        assert http.get(f"/csv/{study['study_id']}").text.startswith("Number,State,nll")
    assert http.get("/api/meta").json()["artifact_is_available"] is False
    assert http.head("/dashboard").status_code == 200


def test_the_dashboard_refuses_writes_and_nonsense_with_problems(http: TestClient, lite: Store) -> None:
    motley_job(lite)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        for path in ("/api/studies", "/api/studies/1", "/dashboard", "/static/bundle.js"):
            answer = http.request(method, path)
            assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
            assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"
            assert answer.headers["Content-Type"] == "application/problem+json"
            # What the dashboard's page shows of an answer.
            assert answer.json()["reason"] == answer.json()["detail"]
            assert "only reads: studies are made by jobs" in answer.json()["reason"]
    assert http.options("/api/studies").status_code == 204
    refusals = {
        "/api/studies/999": 404,
        "/api/studies/99999999999999999999": 404,
        "/api/studies/999/plot/contour": 404,
        "/api/studies/1/plot/contour": 404,
        "/api/studies/1?after=x": 422,
        "/api/studies/1?after=-1": 422,
        "/api/nothing": 404,
        "/static/nothing.js": 404,
        "/static/../../../../etc/passwd": 404,
        "/static/%2e%2e/%2e%2e/index.html": 403,
        "/csv/999": 404,
        "/csv/1?trial_ids=x": 422,
        "/csv/x": 404,
        "/artifacts/1/ab": 422,
        "/artifacts/1/1/ab": 422,
        "/dashboardx": 404,
    }
    for path, status in refusals.items():
        answer = http.get(path)
        assert answer.status_code == status, path
        assert answer.headers["Content-Type"] == "application/problem+json", path


def test_the_dashboards_page_says_what_it_refuses(http: TestClient) -> None:
    assert "This dashboard only reads." in http.get("/dashboard").text
    assert '<a href="/"' in http.get("/dashboard").text
    script = http.get("/static/bundle.js").text
    for what in ("create", "rename", "delete"):
        assert f"`Refused to {what} a study. This dashboard only reads" in script
    assert "Failed to create a study" not in script


def test_the_dashboard_opens_at_the_jobs_own_studies(http: TestClient, lite: Store) -> None:
    _, first = motley_job(lite)
    _, second = concluded_job(lite)
    one = http.get(f"/jobs/{first}/optuna")
    assert (one.status_code, one.headers["Location"]) == (307, "/dashboard/studies/1")
    location = http.get(f"/jobs/{second}/optuna").headers["Location"]
    assert location == "/dashboard/compare-studies?ids=2,3,4,5"
    assert http.get(location).status_code == 200
    script = http.get("/static/bundle.js").text
    for place in ("/compare-studies", '.get("ids")', "/studies/:studyId"):
        assert place in script, "another version of the dashboard has other addresses"
    assert http.get("/jobs/00000000-0000-0000-0000-000000000000/optuna").status_code == 404


def test_the_dashboard_needs_no_accept_encoding(http: TestClient) -> None:
    del http.headers["Accept-Encoding"]
    assert http.get("/static/bundle.js").status_code == 200


def test_first_requests_at_once_make_one_dashboard(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    import whichopt.service.optuna_storage

    made = []

    def make(store: Store) -> ASGIApp:
        made.append(store)
        return real(store)

    real = whichopt.service.optuna_storage.asgi
    monkeypatch.setattr("whichopt.service.optuna_storage.asgi", make)
    with TestClient(app, headers={"X-API-Key": KEY}) as http:
        threads = [threading.Thread(target=http.get, args=("/api/meta",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(made) == 1

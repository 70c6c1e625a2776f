"""The export: to the last row the file that Optuna's public way of copying makes, without its waits."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
import structlog
from fastapi.testclient import TestClient
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from structlog.testing import capture_logs

from tests.builders.concluded_jobs import motley_job
from tests.builders.jobs import add_job, add_round, finish, make_spec, must_claim
from whichopt.service import export as exporting
from whichopt.service.db import Store
from whichopt.service.export import OptunaTables, copy, export, write
from whichopt.service.optuna_storage import StudyStorage

SPACE = {
    "lr": FloatDistribution(1e-5, 1e-1, log=True),
    "beta": FloatDistribution(0.5, 0.98),
    "step": FloatDistribution(0.0, 1.0, step=0.25),
    "layers": IntDistribution(1, 8),
    "width": IntDistribution(16, 1024, log=True),
    "rectify": CategoricalDistribution((False, True)),
    "kind": CategoricalDistribution(("a", "b", None, 3)),
}
PARAMS: dict[str, Any] = {
    "lr": 1e-3,
    "beta": 0.9,
    "step": 0.75,
    "layers": 3,
    "width": 64,
    "rectify": True,
    "kind": None,
}
INFINITE = float("inf")
ONE_STUDY = {
    "optimizers": ["adabelief"],
    "budget": {"trials": 6, "replicates": 1, "epochs": 2, "confirm_seeds": 3},
}


def theirs() -> InMemoryStorage:
    """Two studies of Optuna's own with everything that a trial may have, also what ours never do."""
    storage = InMemoryStorage()
    for direction in ("minimize", "maximize"):
        study = optuna.create_study(storage=storage, study_name=direction, direction=direction)
        study.set_user_attr("label", {"a": [1, None]})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(["nll"])
        own: dict[str, Any] = {"params": PARAMS, "distributions": SPACE}
        attributes: dict[str, Any] = {"user_attrs": {"config": {"betas": (0.9, 0.999)}, "no": None}}
        study.add_trials(
            [
                create_trial(value=0.1 + 0.2, **own, **attributes, intermediate_values={1: 0.9, 7: 0.3}),
                create_trial(value=INFINITE, **own, system_attrs={"fixed": {"lr": 1}}),
                create_trial(value=-INFINITE, params={}, distributions={}),
                create_trial(
                    state=TrialState.PRUNED,
                    intermediate_values={1: float("nan"), 2: INFINITE, 3: -INFINITE, 4: 1e-310},
                    **own,
                ),
                create_trial(state=TrialState.FAIL, **own),
                create_trial(state=TrialState.RUNNING, **own),
                create_trial(state=TrialState.WAITING),
            ]
        )
    return storage


@contextmanager
def opened(path: Path) -> Iterator[RDBStorage]:
    storage = RDBStorage(f"sqlite:///{path}")
    yield storage
    storage.remove_session()
    storage.engine.dispose()


def contents(path: Path) -> list[str]:
    """Every table, index and row of the file."""
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def studies(path: Path) -> dict[str, tuple[Any, ...]]:
    """All that Optuna loads from the file."""
    with opened(path) as storage:
        loaded = [
            optuna.load_study(study_name=name, storage=storage)
            for name in optuna.get_all_study_names(storage)
        ]
        return {
            study.study_name: (
                study.directions,
                study.metric_names,
                study.user_attrs,
                [fields(trial) for trial in study.trials],
            )
            for study in loaded
        }


def fields(trial: FrozenTrial) -> dict[str, str]:
    """What the trial has: number, state, times, params, distributions, values, attributes. A NaN is like
    another one here, and an int is not like a float."""
    return {name: repr(value) for name, value in vars(trial).items()}


def slowly(ours: BaseStorage, to: Path) -> None:
    with opened(to) as storage:
        copy(ours, storage)


def job_of_many_kinds(store: Store) -> str:
    """A job of several studies, with categorical and logarithmic and linear hyperparameters."""
    optimizers = ["qhadam", "adabelief", {"name": "sgd", "space": {"momentum": 0.5}}]
    job_id, uid = add_job(store, make_spec(optimizers=optimizers, name="two\u00a0lines / x"))
    first, _ = add_round(store, job_id)
    finish(store, must_claim(store, first))
    return uid


@pytest.mark.parametrize("make", [lambda store: motley_job(store)[1], job_of_many_kinds])
def test_a_jobs_studies_are_those_of_optunas_own_copy(
    lite: Store, tmp_path: Path, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "log", structlog.get_logger())
    uid = make(lite)
    fast, slow = tmp_path / "fast.db", tmp_path / "slow.db"
    with capture_logs() as logs:
        export(lite, uid, fast)
    assert logs == [], "the fast way"
    slowly(StudyStorage(lite, uid), slow)
    assert studies(fast) == studies(slow)
    assert any(trials for *_, trials in studies(fast).values())
    assert contents(fast) == contents(slow)


def test_whatever_a_trial_may_have_is_written_as_optuna_writes_it(tmp_path: Path) -> None:
    ours, fast, slow = theirs(), tmp_path / "fast.db", tmp_path / "slow.db"
    with opened(fast) as storage:
        write(ours, storage, OptunaTables())
    slowly(ours, slow)
    assert studies(fast) == studies(slow)
    assert contents(fast) == contents(slow)


def test_the_file_goes_on_as_an_optuna_study(lite: Store, tmp_path: Path) -> None:
    _, uid = motley_job(lite)
    export(lite, uid, tmp_path / "x.db")
    with opened(tmp_path / "x.db") as storage:
        study = optuna.load_study(study_name=None, storage=storage)
        before = len(study.trials)
        study.optimize(lambda trial: trial.suggest_float("lr", 1e-5, 1e-1, log=True), n_trials=2)
        assert len(study.trials) == before + 1, "Optuna takes the trial that waits, and then a new one"
        assert study.trials[-1].number == before
        assert study.trials[-1].datetime_start is not None
        assert study.trials[-1].datetime_start <= datetime.now()


def unknown_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(exporting.COLUMNS, "TrialModel", {"trial_id", "number"})


def unknown_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "OTHERS", {"version_info"})


def no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "MODELS", "optuna.storages._rdb.moved")


def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(exporting.COLUMNS, "TrialConstraintModel", {"trial_id"})


@pytest.mark.parametrize("change", [unknown_column, unknown_table, no_models, no_model])
def test_with_models_that_we_do_not_know_studies_are_copied_the_public_way(
    lite: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    _, uid = motley_job(lite)
    export(lite, uid, tmp_path / "fast.db")
    change(monkeypatch)
    with pytest.raises(exporting.UnknownModels):
        OptunaTables()
    # A new logger, as one that was used before may be bound to what logging was then.
    monkeypatch.setattr(exporting, "log", structlog.get_logger())
    with capture_logs() as logs:
        export(lite, uid, tmp_path / "slow.db")
    assert [(entry["event"], entry["log_level"], entry["job"]) for entry in logs] == [
        ("slow_export", "warning", uid)
    ]
    assert contents(tmp_path / "slow.db") == contents(tmp_path / "fast.db")


def test_a_study_takes_as_many_statements_whatever_its_trials(http: TestClient, lite: Store) -> None:
    """Optuna's own copy takes dozens for each trial."""
    empty, full = add_job(lite, make_spec(name="empty", **ONE_STUDY))[1], motley_job(lite)[1]
    counts = []
    for uid in (empty, full):
        ran: list[str] = []

        def note(*given: Any, ran: list[str] = ran) -> None:
            ran.append(given[2])

        sa.event.listen(sa.Engine, "before_cursor_execute", note)
        try:
            assert http.get(f"/v1/jobs/{uid}/studies.db").status_code == 200
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", note)
        counts.append(len(ran))
    written = 6
    assert counts[1] <= counts[0] + written, "an insert for each table that has rows of trials"

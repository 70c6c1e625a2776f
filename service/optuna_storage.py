"""Our studies as Optuna sees them: a read-only storage over our tables, for dashboard and export.

Importing this takes half a second (Optuna), and `asgi` two more: only what needs it imports it.

Optuna has no scale for betas (`log1m`), so here their range is plain linear, of the value itself. If a
value lies outside of its range (the zero-shot weight decay of 0, on a log scale), the parameter shows the
nearest value inside, and the trial's attribute `config` the true one.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Container
from datetime import datetime
from typing import Any, NoReturn, cast

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState
from starlette.types import ASGIApp

from whichopt.service import states
from whichopt.service.configs import arguments
from whichopt.service.db import Store
from whichopt.service.db.studies import StudyRecord, StudyTrial
from whichopt.service.space import Categorical, Dimension, Int
from whichopt.service.spec import ResolvedSpec
from whichopt.service.workload_words import data_line, model_line

STATES = {
    states.TrialState.QUEUED: TrialState.WAITING,
    states.TrialState.RUNNING: TrialState.RUNNING,
    states.TrialState.COMPLETE: TrialState.COMPLETE,
    states.TrialState.PRUNED: TrialState.PRUNED,
    states.TrialState.DIVERGED: TrialState.FAIL,
    states.TrialState.FAILED: TrialState.FAIL,
    states.TrialState.CANCELLED: TrialState.FAIL,
}
METRIC_NAMES = "study:metric_names"
"""Optuna's own attribute for what an objective is called."""


def asgi(store: Store) -> ASGIApp:
    """The dashboard over every study of every job."""
    from a2wsgi import WSGIMiddleware
    from optuna_dashboard import wsgi

    # The two spell the types of one protocol differently.
    return cast(ASGIApp, WSGIMiddleware(wsgi(StudyStorage(store))))


class StudyStorage(BaseStorage):
    """Every study, or one job's; safe to share between threads. Whatever would write raises.

    Finished trials never change, so each is read once.
    """

    def __init__(self, store: Store, job_uid: str | None = None) -> None:
        self.store = store
        self.job_uid = job_uid
        self._lock = threading.Lock()
        self._specs: dict[str, ResolvedSpec] = {}
        self._finished: dict[int, dict[int, FrozenTrial]] = {}

    # -- studies -------------------------------------------------------------------------------------

    def get_all_studies(self) -> list[FrozenStudy]:
        return [
            FrozenStudy(
                study_name=_name(record),
                direction=_direction(record),
                user_attrs=_study_attrs(record),
                system_attrs={METRIC_NAMES: [_metric(record)]},
                study_id=record.id,
            )
            for record in self._records()
        ]

    def get_study_id_from_name(self, study_name: str) -> int:
        for record in self._records():
            if _name(record) == study_name:
                return record.id
        raise KeyError(f"no study {study_name!r}")

    def get_study_name_from_id(self, study_id: int) -> str:
        return _name(self._record(study_id))

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return [_direction(self._record(study_id))]

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return _study_attrs(self._record(study_id))

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return {METRIC_NAMES: [_metric(self._record(study_id))]}

    # -- trials --------------------------------------------------------------------------------------

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        record = self._record(study_id)
        with self._lock:
            known = dict(self._finished.get(study_id, {}))
        with self.store.read() as tx:
            rows = tx.studies.trials(study_id, leaving_out=list(known))
        read = {row.id: _frozen(row, record) for row in rows}
        with self._lock:
            finished = {id_: trial for id_, trial in read.items() if trial.state.is_finished()}
            self._finished.setdefault(study_id, {}).update(finished)
        trials = sorted({**known, **read}.values(), key=lambda trial: trial.number)
        wanted = [trial for trial in trials if states is None or trial.state in states]
        return copy.deepcopy(wanted) if deepcopy else wanted

    def get_trial(self, trial_id: int) -> FrozenTrial:
        with self.store.read() as tx:
            study_id = tx.studies.of_trial(trial_id)
        trials = [] if study_id is None else self.get_all_trials(study_id, deepcopy=False)
        for trial in trials:
            if trial._trial_id == trial_id:
                return trial
        raise KeyError(f"no trial {trial_id}")

    # -- writes --------------------------------------------------------------------------------------

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError("whichopt's studies are read-only here: jobs are changed through its API")

    create_new_study = delete_study = set_study_user_attr = set_study_system_attr = _refuse
    create_new_trial = set_trial_param = set_trial_state_values = set_trial_intermediate_value = _refuse
    set_trial_user_attr = set_trial_system_attr = _refuse

    # ------------------------------------------------------------------------------------------------

    def _records(self) -> list[StudyRecord]:
        with self.store.read() as tx:
            return tx.studies.all(self.job_uid, specs=self._specs)

    def _record(self, study_id: int) -> StudyRecord:
        for record in self._records():
            if record.id == study_id:
                return record
        raise KeyError(f"no study {study_id}")


def _name(record: StudyRecord) -> str:
    """Readable and unique, as in "digits/adabelief/0 (1f9a03bc)": the end of an id is its random part."""
    job = record.job_name or record.spec.workload.short_title
    return f"{job}/{record.label}/{record.replicate} ({record.job_uid[-8:]})"


def _metric(record: StudyRecord) -> str:
    return record.spec.goal.metric


def _direction(record: StudyRecord) -> StudyDirection:
    direction = record.spec.goal.direction
    return StudyDirection.MINIMIZE if direction is states.Direction.MINIMIZE else StudyDirection.MAXIMIZE


def _study_attrs(record: StudyRecord) -> dict[str, Any]:
    workload = record.spec.workload
    return {
        "job": record.job_uid,
        "label": record.label,
        "optimizer": record.spec.optimizer(record.label).name,
        "replicate": record.replicate,
        **workload.names,
        "metric": _metric(record),
        "data": data_line(workload),
        "network": model_line(workload),
    }


def _frozen(row: StudyTrial, record: StudyRecord) -> FrozenTrial:
    plan, result = row.plan, row.result
    chosen = record.spec.optimizer(record.label)
    space = chosen.searched
    curve = result.curves.get(record.spec.goal.curve, []) if result else row.curve
    intermediate = {point.step: point.value for point in curve}
    state = STATES[row.state]
    value = result.value if result else None
    if state is TrialState.PRUNED and curve:
        value = curve[-1].value  # as Optuna does: what a pruned trial reported last
    started = row.started_at
    if state.is_finished():
        started = started or record.started_at  # one that was cancelled before it began
    return FrozenTrial(
        number=plan.number,
        state=state,
        value=value,
        datetime_start=_naive(started),
        datetime_complete=_naive(row.finished_at or started) if state.is_finished() else None,
        params={name: dimension.nearest(plan.config[name]) for name, dimension in space.items()},
        distributions={name: _distribution(dimension) for name, dimension in space.items()},
        user_attrs={
            "state": row.state.value,
            "origin": plan.origin.value,
            "config": arguments(plan.config, chosen.facts.packed),
            "seeds": plan.seeds.model_dump(),
            "metrics": result.metrics if result else {},
            "steps": result.steps if result else None,
            record.spec.unit: result.examples if result else None,
            "seconds": result.seconds if result else None,
        },
        system_attrs={},
        intermediate_values=intermediate,
        trial_id=row.id,
    )


def _distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, Categorical):
        return CategoricalDistribution(dimension.choices)
    if isinstance(dimension, Int):
        return IntDistribution(dimension.low, dimension.high, log=dimension.scale == "log")
    return FloatDistribution(dimension.low, dimension.high, log=dimension.scale == "log")


def _naive(time: datetime | None) -> datetime | None:
    """Optuna keeps local times without a zone."""
    return None if time is None else time.astimezone().replace(tzinfo=None)

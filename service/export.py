"""The export: a job's studies as an SQLite file of Optuna's own, for `optuna.load_study`.

Optuna makes the file and its tables. Its public way to copy a study (`optuna.copy_study`) takes 20 to 70 ms a
trial, as it looks up the trial again for each value: minutes for a large job. So the rows are written in bulk
into the tables of Optuna's models (`optuna.storages._rdb.models`), as `RDBStorage` writes them. These
models are no public interface: if they are not what this file was written for, studies are copied the public
way.

Importing this takes half a second (Optuna): only who exports imports it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import optuna
import structlog
from optuna.distributions import distribution_to_json
from optuna.storages import BaseStorage, RDBStorage
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial

from whichopt.service.db import Store
from whichopt.service.optuna_storage import StudyStorage
from whichopt.service.sqlite_url import sqlite_url

MODELS = "optuna.storages._rdb.models"
COLUMNS = {
    "StudyModel": {"study_id", "study_name"},
    "StudyDirectionModel": {"study_direction_id", "direction", "study_id", "objective"},
    "StudyUserAttributeModel": {"study_user_attribute_id", "study_id", "key", "value_json"},
    "StudySystemAttributeModel": {"study_system_attribute_id", "study_id", "key", "value_json"},
    "TrialModel": {"trial_id", "number", "study_id", "state", "datetime_start", "datetime_complete"},
    "TrialUserAttributeModel": {"trial_user_attribute_id", "trial_id", "key", "value_json"},
    "TrialSystemAttributeModel": {"trial_system_attribute_id", "trial_id", "key", "value_json"},
    "TrialParamModel": {"param_id", "trial_id", "param_name", "param_value", "distribution_json"},
    "TrialValueModel": {"trial_value_id", "trial_id", "objective", "value", "value_type"},
    "TrialIntermediateValueModel": {
        *("trial_intermediate_value_id", "trial_id", "step"),
        *("intermediate_value", "intermediate_value_type"),
    },
}
"""The models that are written to, and all columns of their tables."""

OTHERS = {"trial_heartbeats", "version_info"}
"""The tables that nothing is written to: who trains beats, and Optuna notes its version itself."""

Row = dict[str, Any]

log = structlog.get_logger()


class UnknownModels(Exception):
    """Optuna's models are not the ones that rows can be written for."""


def export(store: Store, job_uid: str, to: Path) -> None:
    """Write the job's studies into a new SQLite file."""
    ours = StudyStorage(store, job_uid)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    theirs = RDBStorage(sqlite_url(to))
    try:
        try:
            tables = OptunaTables()
        except UnknownModels as unknown:
            log.warning(
                "slow_export",
                job=job_uid,
                optuna=optuna.__version__,
                reason=str(unknown),
                means="the trials are copied one by one, which takes 20 to 70 ms for each",
            )
            copy(ours, theirs)
        else:
            write(ours, theirs, tables)
    finally:
        theirs.remove_session()
        theirs.engine.dispose()


def copy(ours: BaseStorage, theirs: RDBStorage) -> None:
    """Copy the studies the public way."""
    for study in ours.get_all_studies():
        optuna.copy_study(from_study_name=study.study_name, from_storage=ours, to_storage=theirs)


def write(ours: BaseStorage, theirs: RDBStorage, tables: OptunaTables) -> None:
    """Write the studies in bulk, one after the other, so that only one of them is in memory."""
    for study_id, study in enumerate(ours.get_all_studies(), start=1):
        trials = ours.get_all_trials(study._study_id, deepcopy=False)
        with theirs.engine.begin() as connection:
            for table, rows in tables.rows(study_id, study, trials):
                if rows:
                    connection.execute(table.insert(), rows)


class OptunaTables:
    """Optuna's tables, and a study's rows in them.

    Raises:
        UnknownModels: a model or a column is missing, or there is another one.
    """

    def __init__(self) -> None:
        try:
            self.models = import_module(MODELS)
            for name, expected in COLUMNS.items():
                columns = set(self._table(name).columns.keys())
                if columns != expected:
                    raise UnknownModels(f"{name} has the columns {sorted(columns)}, not {sorted(expected)}")
            known = {self._table(name).name for name in COLUMNS} | OTHERS
            self._value = self.models.TrialValueModel.value_to_stored_repr
            self._point = self.models.TrialIntermediateValueModel.intermediate_value_to_stored_repr
            tables = set(self.models.BaseModel.metadata.tables)
        except (ImportError, AttributeError) as error:
            raise UnknownModels(str(error)) from error
        if tables != known:
            raise UnknownModels(f"the tables are {sorted(tables)}, not {sorted(known)}")
        self._trials = 0

    def rows(
        self, study_id: int, study: FrozenStudy, trials: list[FrozenTrial]
    ) -> Iterator[tuple[Any, list[Row]]]:
        """Each table, with the rows of one study; trials get the ids after those of the studies before."""
        numbered = list(enumerate(trials, start=self._trials + 1))
        self._trials += len(trials)
        of_study = {"study_id": study_id}
        yield self._table("StudyModel"), [{**of_study, "study_name": study.study_name}]
        directions = [{**of_study, "objective": i, "direction": d} for i, d in enumerate(study.directions)]
        yield self._table("StudyDirectionModel"), directions
        yield self._table("StudyUserAttributeModel"), _attributes(of_study, study.user_attrs)
        yield self._table("StudySystemAttributeModel"), _attributes(of_study, study.system_attrs)
        yield (
            self._table("TrialModel"),
            [
                {
                    **of_study,
                    "trial_id": trial_id,
                    "number": trial.number,
                    "state": trial.state,
                    "datetime_start": _utc(trial.datetime_start),
                    "datetime_complete": _utc(trial.datetime_complete),
                }
                for trial_id, trial in numbered
            ],
        )
        of_trials: dict[str, list[Row]] = {
            "TrialUserAttributeModel": [],
            "TrialSystemAttributeModel": [],
            "TrialParamModel": [],
            "TrialValueModel": [],
            "TrialIntermediateValueModel": [],
        }
        for trial_id, trial in numbered:
            of_trial = {"trial_id": trial_id}
            of_trials["TrialUserAttributeModel"] += _attributes(of_trial, trial.user_attrs)
            of_trials["TrialSystemAttributeModel"] += _attributes(of_trial, trial.system_attrs)
            of_trials["TrialParamModel"] += [
                {
                    **of_trial,
                    "param_name": name,
                    "param_value": trial.distributions[name].to_internal_repr(value),
                    "distribution_json": distribution_to_json(trial.distributions[name]),
                }
                for name, value in trial.params.items()
            ]
            for objective, number in enumerate(trial.values or []):
                value, kind = self._value(number)
                row = {**of_trial, "objective": objective, "value": value, "value_type": kind}
                of_trials["TrialValueModel"].append(row)
            for step, number in trial.intermediate_values.items():
                value, kind = self._point(number)
                point = {"intermediate_value": value, "intermediate_value_type": kind}
                of_trials["TrialIntermediateValueModel"].append({**of_trial, "step": step, **point})
        for name, rows in of_trials.items():
            yield self._table(name), rows

    def _table(self, name: str) -> Any:
        return getattr(self.models, name).__table__


def _attributes(owner: Row, attributes: dict[str, Any]) -> list[Row]:
    return [{**owner, "key": key, "value_json": json.dumps(value)} for key, value in attributes.items()]


def _utc(local: datetime | None) -> datetime | None:
    """Return the time as Optuna stores it, in UTC without a zone; its trials have local times without one."""
    return None if local is None else local.astimezone(UTC).replace(tzinfo=None)

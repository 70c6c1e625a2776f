"""What becomes of a table's rows before a network sees them, as data: learned of training rows, and saved."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field

from whichopt.service.spec import ResolvedWorkload
from whichopt.service.uploads import Column, Kind, Role, Written
from whichopt.workers.workload import Examples, Loaded
from whichopt.workers.workload.columns import Prepared, Rows, learned
from whichopt.workers.workload.criteria import Criteria, Labels
from whichopt.workers.workload.table import Table, scale
from whichopt.workers.workload.tasks import CRITERIA
from whichopt.workers.workload.uploads import Kept

Chosen = npt.NDArray[np.int64]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Target(_Frozen):
    """What a network's outputs mean."""

    name: str
    classes: tuple[str, ...] | None = Field(
        description="Classes in the order of the outputs; null for numbers."
    )
    mean: float = Field(default=0.0, description="What an output of 0 stands for.")
    unit: float = Field(default=1.0, description="What 1 of an output is, in the target's own units.")
    outputs: int = Field(default=1, description="Number of targets, if these are numbers.")


class Preparation(_Frozen):
    """All that is needed to turn the rows of a file into a network's inputs, and its outputs into answers."""

    prepared: Prepared
    target: Target
    header: bool = Field(description="Whether the file had names of columns; if not, columns are numbered.")
    decimal_commas: tuple[str, ...] = ()
    day_first: tuple[str, ...] = ()
    as_seconds: tuple[str, ...] = Field(
        default=(), description="Columns of numbers that were said to be dates: seconds since 1970."
    )


class NotRows(Exception):
    """The data of a workload are no table: there is nothing that prepares their rows for a saved network."""


def require_rows(spec: ResolvedWorkload) -> None:
    """Raise NotRows if nothing of the workload is predicted row by row; its data need not be at hand."""
    if spec.shape.tokens is not None:
        raise _without_rows(spec)
    if CRITERIA[spec.task].answer is not None:
        raise NotRows(
            f"the task {spec.task} predicts nothing of a row, so there is no program to save; the code of "
            "the recommendation trains the network and has it as a module"
        )


def _without_rows(spec: ResolvedWorkload) -> NotRows:
    return NotRows(
        f"{spec.dataset.name} has no rows that a program could predict one by one; the code beside the "
        "recommendation trains the network, which is its `model` at the end: save that by torch.save"
    )


class Data:
    """The data of a workload as they were loaded: columns with names, and what is to be predicted.

    A built-in dataset has columns without names: they are called `column_1` and so on.
    """

    def __init__(self, spec: ResolvedWorkload, loaded: Loaded) -> None:
        require_rows(spec)
        if not isinstance(loaded, Table | Kept):
            raise _without_rows(spec)
        self.spec = spec
        self.loaded = loaded
        self.criteria = CRITERIA[spec.task]

    @property
    def labels(self) -> Labels:
        return self.loaded.labels if isinstance(self.loaded, Table) else self.loaded.target

    def training(self, seed: int) -> Chosen:
        """Return the training rows that `seed` draws."""
        return self.loaded.parts(self.criteria, self.spec.sizes, seed)[0]

    def all(self) -> Chosen:
        """Return all rows."""
        return np.arange(len(self.labels))

    def preparation(self, training: Chosen) -> Preparation:
        """Return what those rows tell; no other is looked at."""
        upload = self.spec.upload
        written = (upload and upload.written) or Written(header=upload is not None)
        return Preparation(
            prepared=self._prepared(training),
            target=target_of(self.spec, self.criteria, self.labels, training),
            header=written.header,
            decimal_commas=written.decimal_commas,
            day_first=written.day_first,
            as_seconds=written.as_seconds,
        )

    def examples(self, training: Chosen, device: torch.device) -> Examples:
        """Return those rows as a network sees them that is trained on them."""
        labels = self.loaded.taught(training)[training]
        inputs = torch.from_numpy(self._prepared(training).transform(self._rows(), training))
        targets, unit = self.criteria.targets(labels, labels, inputs)
        return Examples(inputs.to(device), targets.to(device), unit)

    def _rows(self) -> Rows:
        if not isinstance(self.loaded, Table):
            return self.loaded.rows
        features = self.loaded.features
        return Rows(features, np.zeros((len(features), 0), dtype=np.int16))

    def _prepared(self, training: Chosen) -> Prepared:
        if not isinstance(self.loaded, Table):
            return learned(self.loaded.table.features, self.loaded.rows, training)
        mean, deviation = scale(self.loaded.features[training])
        return Prepared(
            columns=tuple(map(_unnamed, range(1, len(mean) + 1))),
            fill=tuple(mean.tolist()),
            mean=tuple(mean.tolist()),
            deviation=tuple(deviation.tolist()),
        )


def target_of(spec: ResolvedWorkload, criteria: Criteria, labels: Labels, training: Chosen) -> Target:
    """Return what the outputs of a network mean that is trained on those rows."""
    upload = spec.upload
    name = upload.target if upload else "target"
    if spec.task == "regression":
        known = labels[training]
        unit = criteria.encode(labels, known)[1]
        return Target(
            name=name, classes=None, mean=float(known.mean()), unit=unit, outputs=spec.shape.outputs
        )
    classes = upload.classes if upload else None
    numbered = tuple(map(str, range(spec.shape.outputs)))
    return Target(name=name, classes=classes or numbered)


def _unnamed(number: int) -> Column:
    return Column(
        name=f"column_{number}",
        kind=Kind.NUMERIC,
        role=Role.FEATURE,
        missing=0,
        distinct=0,
        low=None,
        high=None,
        width=1,
        becomes="standardized: minus the mean, divided by the standard deviation, within ±10",
    )

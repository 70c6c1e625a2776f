"""Races as data: the job of each, what a paper says of such ones, and what else is counted."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from whichopt.service.errors import UnknownName
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve

QUICK_BUDGET: Mapping[str, Any] = {"trials": 2, "replicates": 2, "epochs": 1, "confirm_seeds": 3}
"""What says nothing but that everything runs."""


@dataclass(frozen=True)
class Collapse:
    """A run counts as collapsed if its metric on the test split is below a bound, or if it diverged."""

    metric: str
    below: float


@dataclass(frozen=True)
class Asked:
    """A race: its `job` but for the optimizers, those, and what a paper has to say of it.

    `beside` is a metric that stands beside the one that configs are selected by.
    """

    name: str
    job: Mapping[str, Any]
    optimizers: tuple[str | Mapping[str, Any], ...]
    paper: str
    beside: str | None = None
    collapse: Collapse | None = None

    def sent(self, *, quick: bool = False) -> dict[str, Any]:
        """Return the job as it is sent."""
        job: dict[str, Any] = copy.deepcopy(
            {"name": self.name, "optimizers": list(self.optimizers), **self.job}
        )
        if quick:
            job["budget"] = dict(QUICK_BUDGET)
        return job

    def resolved(self) -> ResolvedSpec:
        """Return the job, complete.

        Raises:
            UnknownName: this version has no such dataset or model, or not with such an option.
        """
        return resolve(JobSpec.model_validate(self.sent()))

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of its optimizers."""
        return tuple(
            one if isinstance(one, str) else one.get("label", one["name"]) for one in self.optimizers
        )

    @property
    def missing(self) -> str | None:
        """What this version lacks of it, in words; None if it has everything."""
        try:
            self.resolved()
        except UnknownName as error:
            return error.detail
        return None

"""Reads what earlier versions have stored: one step that adds what a resolved spec has had to say since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter

from whichopt.service.catalog import datasets, tasks
from whichopt.service.catalog.built_in import built_in
from whichopt.service.catalog.optimizer_entry import OptimizerFacts
from whichopt.service.configs import Packed
from whichopt.service.goal import Goal
from whichopt.service.spec.today import TODAY
from whichopt.service.states import Direction

_FACTS = TypeAdapter(OptimizerFacts)

_GOALS = {
    "classification": Goal(metrics=("nll", "accuracy"), direction=Direction.MINIMIZE),
    "regression": Goal(metrics=("rmse", "r2"), direction=Direction.MINIMIZE),
}
"""The goals of the tasks up to 0.1, which had no other metrics; the trials of its jobs have those alone."""


def upgraded(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored spec as this version writes it; one of this version as it is.

    Up to 0.1 workload and optimizers had names alone. Those are built in, and what they were then they still
    are.

    Raises:
        UnknownName: it names a dataset, a task or an optimizer that is not built in.
    """
    spec = dict(raw)
    if "workload" in spec:
        spec["workload"] = _workload(spec["workload"])
    if isinstance(spec.get("optimizers"), list | tuple):
        spec["optimizers"] = [_optimizer(one) for one in spec["optimizers"]]
    return spec


def goal_of(raw: Mapping[str, Any]) -> Goal:
    """Return the goal of a stored spec, without reading the rest of it."""
    return Goal.model_validate(_workload(raw["workload"])["goal"])


def unit_of(raw: Any) -> str:
    """Return the unit of the lengths of a stored spec's trials, whatever else it holds."""
    workload = raw.get("workload") if isinstance(raw, Mapping) else None
    unit = workload.get("length_unit") if isinstance(workload, Mapping) else None
    return unit if isinstance(unit, str) else "examples"


def packed_of(raw: Mapping[str, Any]) -> dict[str, Packed]:
    """Return the packing of each label's hyperparameters, without reading the rest of a stored spec."""
    packed = {one["label"]: _optimizer(one)["facts"]["packed"] for one in raw["optimizers"]}
    return packed if raw.get("today") is None else {**packed, TODAY: raw["today"]["facts"]["packed"]}


def _workload(workload: Any) -> Any:
    if not isinstance(workload, Mapping) or "goal" in workload:
        return workload
    asked = dict(workload["dataset"])
    entry = datasets.dataset(asked.pop("name"))
    options = entry.options(**asked)
    return {
        **workload,
        "goal": _GOALS[tasks.task(workload["task"]).name].model_dump(),
        "shape": asdict(entry.shape(options)),
        "sizes": asdict(entry.sizes(options)),
    }


def _optimizer(optimizer: Any) -> Any:
    if not isinstance(optimizer, Mapping) or "facts" in optimizer or "name" not in optimizer:
        return optimizer
    catalog = built_in()
    entry = catalog.optimizer(optimizer["name"])
    return {
        **optimizer,
        "facts": _FACTS.dump_python(entry.facts, mode="json"),
        "place": catalog.optimizers.index(entry),
    }

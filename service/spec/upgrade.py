"""Reads what earlier versions have stored: one step that adds what a resolved spec has had to say since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from whichopt.service.catalog import datasets, tasks
from whichopt.service.goal import Goal


def upgraded(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored spec as this version writes it; one of this version as it is.

    Up to 0.1 a workload had names alone. Those are of built-in datasets, whose shape has not changed.

    Raises:
        UnknownName: it names a dataset or a task that is not built in.
    """
    spec = dict(raw)
    workload = spec.get("workload")
    if isinstance(workload, dict) and "goal" not in workload:
        spec["workload"] = {**workload, **_facts(workload)}
    return spec


def goal_of(raw: Mapping[str, Any]) -> Goal:
    """Return the goal of a stored spec, without reading the rest of it."""
    return Goal.model_validate(upgraded(raw)["workload"]["goal"])


def _facts(workload: Mapping[str, Any]) -> dict[str, Any]:
    asked = dict(workload["dataset"])
    entry = datasets.dataset(asked.pop("name"))
    options = entry.options(**asked)
    return {
        "goal": tasks.task(workload["task"]).goal.model_dump(),
        "shape": asdict(entry.shape(options)),
        "sizes": asdict(entry.sizes(options)),
    }

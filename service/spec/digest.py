"""The digest of a job spec, by which a request with the same idempotency key is known to be the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from whichopt.service.catalog import tasks
from whichopt.service.spec.request import OPTIMIZER_FACTS
from whichopt.service.spec.resolved import ResolvedSpec
from whichopt.service.spec.workloads import FACTS

DECIDED = ("rules", "executors", "only_solo")
"""What the service and its version decide for a job: the same request may get it otherwise later."""

NEW = {"agreement": "auto"}
NEW_OF_WORKLOAD = {"content": None, "class_weight": None, "metric": None}
"""The fields since 0.1 and their defaults. They are left out of the digest while they have them, so that the
digests that 0.1 has stored hold: a field that is added to a spec belongs in here."""


def digest(spec: ResolvedSpec) -> str:
    """Return the digest of what was asked for: the same whatever the catalog's facts about its names are.

    Uploads differ by their content, as the same name may have become another file's.
    """
    raw = spec.model_dump(mode="json")
    workload = raw["workload"]
    asked = {name: value for name, value in workload.items() if name not in (*FACTS, "goal")}
    asked |= {"content": spec.workload.content, **_judged_by(spec)}
    body = {
        **_without_defaults({name: value for name, value in raw.items() if name not in DECIDED}, NEW),
        "workload": _without_defaults(asked, NEW_OF_WORKLOAD),
        "optimizers": [
            {name: value for name, value in one.items() if name not in OPTIMIZER_FACTS}
            for one in raw["optimizers"]
        ],
    }
    if spec.today is not None:
        body["today"] = {"name": spec.today.name, "config": spec.today.config}  # its facts are the catalog's
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _judged_by(spec: ResolvedSpec) -> dict[str, str | None]:
    """Return the metric that the job is judged by; None if it is the task's first."""
    if spec.guest is not None:
        return {"metric": spec.goal.metric, "direction": spec.goal.direction.value}
    entry = next((one for one in tasks.TASKS if one.name == spec.workload.task), None)
    usual = None if entry is None else entry.goal.metric
    return {"metric": None if spec.goal.metric == usual else spec.goal.metric}


def _without_defaults(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in defaults or value != defaults[name]}

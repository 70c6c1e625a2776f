"""What the figures of a benchmark depend on."""

from __future__ import annotations

import os
from importlib import metadata
from typing import Any

from benchmarks.shared.processes import PROCESSES
from whichopt.workers.trained_in import training_environment

BESIDE = ("ray",)
"""Packages that whichopt is compared with, and that its own environment does not name."""


def environment() -> dict[str, Any]:
    """Return where a worker would train here, the number of processes, and the load that others make."""
    facts = training_environment("cpu").model_dump(mode="json")
    installed = {dist.name.lower() for dist in metadata.distributions() if dist.name}
    facts["packages"] |= {name: metadata.version(name) for name in BESIDE if name in installed}
    return {**facts, "processes": PROCESSES, "load": os.getloadavg()[0]}

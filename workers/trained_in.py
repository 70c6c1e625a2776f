"""The environment in which a process trains, as it is recorded with each cohort."""

from __future__ import annotations

import torch

from whichopt.service.db.queues import is_here
from whichopt.service.environment import Environment, here
from whichopt.workers.products import blas, mode


def training_environment(device: str, *, threads: int | None = None) -> Environment:
    """Return the environment in which this process trains, or its children do with so many `threads`.

    A function given in this process chooses its device by itself; what it could have is told.
    """
    if is_here(device):
        device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else device
    return here(
        device=name,
        threads=torch.get_num_threads() if threads is None else threads,
        blas=blas(),
        instructions=torch.backends.cpu.get_cpu_capability(),
        mkl_cbwr=mode(),
    )

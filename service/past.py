"""The findings of past jobs with the same workload: what a trial takes, and how much values vary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PastJob:
    """A job with the same workload, as far as its batches are as large.

    `seconds` and `lengths` are the training seconds of its trials and how long these were, in the unit of a
    trial's length, by the name of the optimizer in the catalog. `clock` is the seconds by the clock that a
    training second took, None before any result. Of a job without results yet, they are those of the steps of
    its probe (`is_probe`).
    """

    uid: str
    seconds: Mapping[str, float]
    lengths: Mapping[str, float]
    clock: float | None
    is_probe: bool = False


@dataclass(frozen=True)
class PastSpread:
    """The standard deviation of a champion's value over the fresh seeds of a job, pooled over `configs`."""

    uid: str
    deviation: float
    configs: int


@dataclass(frozen=True)
class PastJobs:
    """The past jobs that tell something, the newest first; `spread` is that of the newest that has one."""

    jobs: tuple[PastJob, ...]
    spread: PastSpread | None

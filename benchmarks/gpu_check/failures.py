"""How a check of `benchmarks.gpu_check` ends if it does not hold, or cannot be made."""

from __future__ import annotations


class Failed(Exception):
    """A check that does not hold: its text says what differs."""


class NeedsGPU(Exception):
    """A check that says nothing without a GPU."""


def need_gpu(device: str) -> None:
    if device == "cpu":
        raise NeedsGPU

"""Counts the processes that train on the CPU: one on each usable core, as far as memory allows."""

from __future__ import annotations

from collections.abc import Callable

import psutil

from whichopt.service import machine

PROCESS_BYTES = 500 * 2**20
"""Memory of a training process: 410 MB resident while it trains networks for the digits (Linux, Python 3.11,
torch 2.13 for CPUs), and some for larger ones. A stack of trials is cut to what is free
(`engine.stacked.memory`)."""

OTHERS_BYTES = 300 * 2**20
"""Memory of the rest of a home: the worker's parent 100 MB, the API 90, the command 75, the broker 10."""


def memory_left() -> int:
    """The bytes that may still be taken, by the machine and by the groups that hold this process."""
    free = int(psutil.virtual_memory().available)
    left = machine.memory_left()
    return free if left is None else min(free, left)


def how_many(asked: int | None, option: str, say: Callable[[str], None]) -> int:
    """Return the number of training processes: the one asked for, else what cores and memory allow.

    Args:
        asked: the user's number, which holds whatever fits.
        option: what the user writes to ask for a number, as in `--workers`.
        say: told in one line if the memory is too small for a process on each core, or for what is asked for.
    """
    cores, left = machine.cores(), memory_left()
    fit = max(1, (left - OTHERS_BYTES) // PROCESS_BYTES)
    takes = f"a training process takes about {PROCESS_BYTES / 1e9:.1f} GB, and {left / 1e9:.1f} GB are free"
    if asked is None:
        if fit < cores:
            say(
                f"trains in {_processes(fit)}, though it may use {cores} cores: {takes}; "
                f"{option} sets another number"
            )
        return min(cores, fit)
    if asked > fit:
        say(f"{option}={asked} may run out of memory: {takes}; {fit} would fit")
    return asked


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"

"""What a trial costs beside its function, and what it leaves behind.

A bare fork copies this process, sets one thread, does the work and ends; it is what `multiprocessing` does at
its best.
"""

from __future__ import annotations

import gc
import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import psutil
import torch

from benchmarks.guests import plain
from whichopt.service.catalog.optimizers import optimizer
from whichopt.service.goal import Goal
from whichopt.service.states import Direction, Origin, Phase
from whichopt.service.trials import Schedule, Seeds, Training, TrialPlan
from whichopt.workers.engine import Unwatched
from whichopt.workers.guests.executor import GuestExecutor
from whichopt.workers.guests.guest import Guest, TrainingFunction

MIB = 2**20


@dataclass(frozen=True)
class Left:
    """What this process holds."""

    mib: float
    descriptors: int
    children: int
    files: int


@dataclass(frozen=True)
class Outcome:
    """Milliseconds of a trial, by row (the median of means over ten trials), and what the trials left."""

    trials: int
    bare_ms: float
    guest_ms: float
    bare_training_ms: float
    guest_training_ms: float
    inline_training_ms: float
    before: Left
    after: Left

    @property
    def ratio(self) -> float:
        """Overhead of a trial, in bare forks."""
        return self.guest_ms / self.bare_ms

    @property
    def leaves_nothing(self) -> bool:
        """Tell if no process, descriptor or file is left, and at most a MiB in a hundred of memory."""
        before, after = self.before, self.after
        same = (before.descriptors, before.children) == (after.descriptors, after.children)
        return same and after.files == 0 and after.mib <= 1.01 * before.mib


def plan(seed: int, epochs: int) -> TrialPlan:
    """Return a trial of AdamW at its default setting."""
    return TrialPlan(
        label="adamw",
        optimizer="adamw",
        config=optimizer("adamw").default,
        training=Training(batch_size=1, schedule=Schedule(name="constant")),
        seeds=Seeds(init=seed, order=seed, split=seed),
        length=epochs,
        evaluations=tuple(range(1, epochs + 1)),
        phase=Phase.SEARCH,
        origin=Origin.DEFAULT,
        replicate=0,
        number=seed,
    )


def bare_fork(work: Callable[[], object]) -> float:
    """Return the seconds of the work in a copy of this process."""
    began = perf_counter()
    pid = os.fork()
    if pid == 0:
        try:
            torch.set_num_threads(1)
            work()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    return perf_counter() - began


def guests(function: TrainingFunction, trials: int, epochs: int, executor: GuestExecutor) -> float:
    """Return the seconds of a trial, of so many in one cohort."""
    goal = Goal(metrics=("loss",), direction=Direction.MINIMIZE)
    plans = [plan(seed, epochs) for seed in range(trials)]
    began = perf_counter()
    executor.run(Guest(function.__name__, goal, function), plans, Unwatched())
    return (perf_counter() - began) / trials


def left(folder: Path) -> Left:
    """Return what this process holds now."""
    gc.collect()
    here = psutil.Process()
    return Left(
        here.memory_info().rss / MIB,
        here.num_fds(),
        len(here.children(recursive=True)),
        len(list(folder.iterdir())),
    )


def measure(trials: int, folder: Path) -> Outcome:
    """Run all rows, in turns of ten trials."""
    forks, here = (
        GuestExecutor(isolation="fork", folder=folder),
        GuestExecutor(isolation="inline", folder=folder),
    )
    rows: dict[str, Callable[[], float]] = {
        "bare": lambda: statistics.mean(bare_fork(lambda: None) for _ in range(10)),
        "guest": lambda: guests(plain.nothing, 10, 1, forks),
        "bare_training": lambda: statistics.mean(bare_fork(plain.before) for _ in range(10)),
        "guest_training": lambda: guests(plain.after, 10, plain.EPOCHS, forks),
        "inline_training": lambda: guests(plain.after, 10, plain.EPOCHS, here),
    }
    for row in rows.values():  # what is loaded once is nobody's overhead
        row()
    before = left(folder)
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(max(1, trials // 10)):
        for name, row in rows.items():
            seconds[name].append(row())
    median = {f"{name}_ms": 1000 * statistics.median(one) for name, one in seconds.items()}
    return Outcome(trials=trials, before=before, after=left(folder), **median)

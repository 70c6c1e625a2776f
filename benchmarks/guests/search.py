"""The same search side by side: `whichopt.tune`, a plain Optuna loop and Ray Tune, with two processes each.

Each trains as many trials of each optimizer, of the same function, for as many epochs, and then as many runs
of its best configs on fresh seeds. What whichopt does besides counts: its rehearsal and its planning, and the
second time also its verdict and its report.

Generous to the plain loop: two lasting processes of one thread over one SQLite file, as Optuna's guide has
it; they have imported everything and have trained before the clock starts, no trial has a process of its own,
and nobody waits for the other before the runs on fresh seeds. whichopt's process is warm as well, and copies
itself for each trial.

The plain loop is run twice. Once it keeps what whichopt keeps: each epoch's value, by Optuna's own
`trial.report`, as in its examples. Once it keeps a trial's last value and nothing else, which is the least
that a search can do.
"""

from __future__ import annotations

import math
import resource
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import optuna
import torch

from benchmarks.guests import digits
from benchmarks.shared.processes import PROCESSES, members

SEEDS = 3
"""Fresh seeds of each config that whichopt confirms."""


@dataclass(frozen=True)
class Size:
    """How much each row trains: `trials` are those of each optimizer."""

    trials: int = 24
    epochs: int = 30


@dataclass(frozen=True)
class Found:
    """What a row gave in one repeat.

    `seconds` are those until its last trial had ended, and `whole` those until it had answered; `fresh` are
    the runs on fresh seeds, by optimizer, and `cpu` the seconds of the processor, if they are known.
    """

    row: str
    repeat: int
    seconds: float
    whole: float
    trials: int
    best: float
    cpu: float | None = None
    fresh: Mapping[str, int] = field(default_factory=dict)


UNIX_TIME_OF_LAST = "SELECT 86400 * (julianday(max(finished_at)) - 2440587.5) FROM trial"

Search = Callable[[int, Mapping[str, int]], Found]
"""A row's search: of that repeat, with so many runs on fresh seeds of each optimizer."""


def search(size: Size, repeats: int, rows: Sequence[str], say: Callable[[str], None]) -> Iterator[Found]:
    """Run all rows in turns. whichopt is the first, and says how many runs on fresh seeds the others have."""
    with ExitStack() as stack:
        searches: dict[str, Search] = {row: stack.enter_context(ROWS[row](size)) for row in rows}
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        for repeat in range(repeats):
            fresh: Mapping[str, int] = dict.fromkeys(digits.MAKE, 2 * SEEDS)
            for row, run in searches.items():
                found = run(repeat, fresh)
                fresh = found.fresh or fresh
                say(f"repeat {repeat + 1} of {repeats}, {row}: {found.seconds:.1f} s, {found.trials} trials")
                yield found


# -- whichopt ------------------------------------------------------------------------------------------


@contextmanager
def _whichopt(size: Size) -> Iterator[Search]:
    with members(1, _tunes, size) as (connection,):

        def run(repeat: int, _fresh: Mapping[str, int]) -> Found:
            connection.send(repeat)
            found: Found = connection.recv()
            return found

        yield run


def _tunes(connection: Connection, size: Size) -> None:
    """In a process: tunes, each time that it is asked to."""
    _tuned(Size(trials=3, epochs=1), 0)
    connection.send("ready")
    while True:
        try:
            repeat = connection.recv()
        except EOFError:
            return
        connection.send(_tuned(size, repeat))


def _tuned(size: Size, repeat: int) -> Found:
    import whichopt

    with TemporaryDirectory() as folder:
        wall, began, cpu = time.time(), time.perf_counter(), _cpu()
        best = whichopt.tune(
            digits.after,
            minimize="nll",
            optimizers=digits.optimizers(),
            trials=size.trials,
            epochs=size.epochs,
            confirm_seeds=SEEDS,
            pruning={"worst": 0},
            seed=repeat,
            processes=PROCESSES,
            data=folder,
            say=_nothing,
        )
        whole, cpu = time.perf_counter() - began, _cpu() - cpu
        with closing(sqlite3.connect(Path(folder) / "whichopt.db")) as connection:
            ((last,),) = connection.execute(UNIX_TIME_OF_LAST)
            fresh = dict(
                connection.execute("SELECT label, count(*) FROM trial WHERE phase = 'confirm' GROUP BY label")
            )
    searched = [one.searched_value for one in best.recommendation.ranking if one.searched_value is not None]
    trials = best.recommendation.cost.trials
    return Found("whichopt", repeat, last - wall, whole, trials, min(searched), cpu, fresh)


def _cpu() -> float:
    """Return the seconds of the processor that this process and its ended children have had."""
    here, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return here.ru_utime + here.ru_stime + children.ru_utime + children.ru_stime


def _nothing(_line: str) -> None:
    """Say nothing: the rows are shown as they come."""


# -- a plain loop around Optuna ------------------------------------------------------------------------


@contextmanager
def _plain(size: Size) -> Iterator[Search]:
    with _loop("optuna", size, reports=True) as search:
        yield search


@contextmanager
def _bare(size: Size) -> Iterator[Search]:
    with _loop("bare", size, reports=False) as search:
        yield search


@contextmanager
def _loop(row: str, size: Size, *, reports: bool) -> Iterator[Search]:
    with members(PROCESSES, _optimizes, size, reports) as connections:

        def run(repeat: int, fresh: Mapping[str, int]) -> Found:
            with TemporaryDirectory() as folder:
                storage = f"sqlite:///{Path(folder) / 'studies.db'}"
                for name in digits.MAKE:
                    optuna.create_study(storage=storage, study_name=name)
                began = time.perf_counter()
                for number, connection in enumerate(connections):
                    connection.send((number, storage, fresh))
                trained, cpu = map(sum, zip(*(connection.recv() for connection in connections), strict=True))
                seconds = time.perf_counter() - began
                best = min(
                    optuna.load_study(storage=storage, study_name=name).best_value for name in digits.MAKE
                )
            return Found(row, repeat, seconds, seconds, trained, best, cpu)

        yield run


def _optimizes(connection: Connection, size: Size, reports: bool) -> None:
    """In a process: its half of the trials, each time that it is asked to."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for name in digits.MAKE:
        list(digits.before(name, 1e-3, 1e-3, epochs=1, seed=0))
    connection.send("ready")
    while True:
        try:
            number, storage, fresh = connection.recv()
        except EOFError:
            return
        before = _cpu()
        trained = _optimized(size, number, storage, fresh, reports=reports)
        connection.send((trained, _cpu() - before))


def _optimized(size: Size, number: int, storage: str, fresh: Mapping[str, int], *, reports: bool) -> int:
    """Return the number of trials and runs that this process has trained."""
    trained = 0
    for name in digits.MAKE:

        def objective(trial: optuna.Trial, name: str = name) -> float:
            lr = trial.suggest_float("lr", *digits.LR, log=True)
            weight_decay = trial.suggest_float("weight_decay", *digits.DECAY, log=True)
            value = math.nan
            for epoch, value in enumerate(digits.before(name, lr, weight_decay, epochs=size.epochs, seed=0)):
                if reports:
                    trial.report(value, epoch)
            return value

        study = optuna.load_study(storage=storage, study_name=name)
        mine = len(range(number, size.trials, PROCESSES))
        study.optimize(objective, n_trials=mine)
        trained += mine
    for name, runs in fresh.items():
        best = optuna.load_study(storage=storage, study_name=name).best_params
        for seed in range(1 + number, 1 + runs, PROCESSES):
            list(digits.before(name, **best, epochs=size.epochs, seed=seed))
            trained += 1
    return trained


# -- Ray Tune ------------------------------------------------------------------------------------------


@contextmanager
def _ray(size: Size) -> Iterator[Search]:
    from benchmarks.guests.ray_search import searched

    yield lambda repeat, fresh: Found("ray", repeat, *searched(size.trials, size.epochs, fresh))


ROWS: Mapping[str, Callable[[Size], Any]] = {
    "whichopt": _whichopt,
    "optuna": _plain,
    "bare": _bare,
    "ray": _ray,
}

BASE = "optuna"
"""The row that the others are held against."""

TITLES = {
    "whichopt": "whichopt.tune",
    "optuna": "a plain loop around Optuna",
    "bare": "the same, reporting nothing",
    "ray": "Ray Tune, actors reused",
}


def rows_here() -> tuple[str, ...]:
    """Return the rows that can run here: Ray is in no environment but its own."""
    return tuple(row for row in ROWS if row != "ray" or find_spec("ray") is not None)

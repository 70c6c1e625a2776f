"""Rows (a), (a1) and (b): an Optuna study per optimizer around a plain loop, in one process or in two.

Generous to both: the data are tensors that are indexed by a permutation (no DataLoader), the learning rate
is set without a scheduler object, the loss is read once an epoch; and tables and studies are made, modules
imported and every optimizer run for an epoch before the clock starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import optuna
import torch
from optuna.trial import TrialState

from benchmarks.cohort.runs import Outcome, Training
from benchmarks.shared.digits import resolved
from benchmarks.shared.processes import PROCESSES, SPAWN, crew
from benchmarks.shared.spaces import default_params, suggested
from whichopt.service.spec import ResolvedSpec

Turn = tuple[str, int]
"""An optimizer's label, and how many of its trials are run in one go."""


def plain(body: dict[str, Any], repeat: int) -> Outcome:
    """One process, torch's default threads and default arguments, one study after the other."""
    return _run("a", body, repeat, _one_by_one(body), processes=1, threads=None, fused=False)


def one_thread(body: dict[str, Any], repeat: int) -> Outcome:
    """The same with one thread: faster for small models, and by far where others want the cores as well."""
    return _run("a1", body, repeat, _one_by_one(body), processes=1, threads=1, fused=False)


def _one_by_one(body: dict[str, Any]) -> list[Turn]:
    return [(label, body["budget"]["trials"]) for label in body["optimizers"]]


def fused(body: dict[str, Any], repeat: int) -> Outcome:
    """Two processes of one thread, fused optimizers; whoever is free takes the next trial.

    The studies take turns: where both processes begin with the same study, now and then both are given its
    enqueued trial, as SQLite locks no row.
    """
    turns = [(label, 1) for _ in range(body["budget"]["trials"]) for label in body["optimizers"]]
    return _run("b", body, repeat, turns, processes=PROCESSES, threads=1, fused=True)


def _run(
    row: str,
    body: dict[str, Any],
    repeat: int,
    turns: list[Turn],
    *,
    processes: int,
    threads: int | None,
    fused: bool,
) -> Outcome:
    spec = resolved(body)
    with TemporaryDirectory() as folder:
        storage = f"sqlite:///{Path(folder) / 'studies.db'}"
        _create(spec, storage)
        taken = SPAWN.Value("i", 0)
        # With several processes a seed would make all of them draw the same configs.
        seed = spec.seed if processes == 1 else None
        with crew(processes, _prepare, body, storage, turns, taken, threads, fused, seed) as started:
            seconds, used = started.run()
        studies = {chosen.label: _load(storage, chosen.label) for chosen in spec.optimizers}
        done = {label: study.get_trials(states=(TrialState.COMPLETE,)) for label, study in studies.items()}
    return Outcome(
        workload=body["name"],
        row=row,
        repeat=repeat,
        seconds=seconds,
        trials=sum(map(len, done.values())),
        best={label: min(_value(trial) for trial in trials) for label, trials in done.items()},
        defaults={label: _value(trials[0]) for label, trials in done.items()},
        note=f"{processes} process{'es' if processes > 1 else ''}, {used[0]} thread{'s' * (used[0] > 1)}",
        details={"threads": used[0], "processes": processes, "fused": fused},
    )


def _create(spec: ResolvedSpec, storage: str) -> None:
    for chosen in spec.optimizers:
        study = optuna.create_study(storage=storage, study_name=chosen.label)
        study.enqueue_trial(default_params(chosen))


def _load(storage: str, label: str, seed: int | None = None) -> optuna.Study:
    return optuna.load_study(storage=storage, study_name=label, sampler=optuna.samplers.TPESampler(seed=seed))


def _value(trial: optuna.trial.FrozenTrial) -> float:
    assert trial.value is not None
    return trial.value


def _prepare(
    body: dict[str, Any],
    storage: str,
    turns: Sequence[Turn],
    taken: Any,
    threads: int | None,
    fused: bool,
    seed: int | None,
) -> Callable[[], int]:
    """In a process of the crew: what it does when the clock runs. It answers with its number of threads."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if threads is not None:
        torch.set_num_threads(threads)
    spec = resolved(body)
    training = Training(spec, fused=fused)
    training.warm_up()
    studies = {chosen.label: _load(storage, chosen.label, seed) for chosen in spec.optimizers}

    def objective(label: str) -> Callable[[optuna.Trial], float]:
        return lambda trial: training.value(label, suggested(trial, spec.optimizer(label)))

    def run() -> int:
        for label, count in _dealt(turns, taken):
            studies[label].optimize(objective(label), n_trials=count)
        return torch.get_num_threads()

    return run


def _dealt(turns: Sequence[Turn], taken: Any) -> Iterator[Turn]:
    """The turns that nobody has taken yet; `taken` is the count that the processes share."""
    while True:
        with taken.get_lock():
            turn = int(taken.value)
            taken.value += 1
        if turn >= len(turns):
            return
        yield turns[turn]

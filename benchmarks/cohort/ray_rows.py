"""Row (c): Ray Tune with two workers of one thread, over the same plain training loop.

Generous to it: one Tuner for all optimizers, whose searcher deals to an OptunaSearch each, as every Tuner
takes ten seconds to start; Ray is up, and a trial that only warms up has ended, when the clock starts; it
stops with the last trial; no scheduler and no result files. Needs the `ray` extra.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.cohort.runs import Outcome, Training
from benchmarks.shared.digits import resolved
from benchmarks.shared.processes import PROCESSES
from benchmarks.shared.spaces import configured, default_params
from whichopt.service.space import Value
from whichopt.service.spec import ResolvedSpec
from whichopt.workers.sampler import distributions

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "PYTHONPATH": str(Path(__file__).parents[2]),
}
"""No statistics sent home, no files written about every result, and our modules found by the workers."""

FRESH_TRIALS = 12
"""Imports are made again for each: ten seconds and more."""

WARM_UP = ""
"""In the place of a label: the trial trains an epoch with each optimizer, and counts for nothing."""


def reused(body: dict[str, Any], repeat: int) -> Outcome:
    """A trial takes over the process of one that has ended."""
    return _tuned("c1", body, repeat, reuse=True)


def fresh(body: dict[str, Any], repeat: int) -> Outcome:
    """Each trial is an actor of its own, Ray's default. `FRESH_TRIALS` are run; the seconds are scaled up."""
    each = min(body["budget"]["trials"], FRESH_TRIALS // len(body["optimizers"]))
    few = {**body, "budget": {**body["budget"], "trials": each}}
    measured = _tuned("c2", few, repeat, reuse=False)
    if measured.seconds is None or few == body:
        return measured
    times = body["budget"]["trials"] / each
    return replace(
        measured,
        seconds=measured.seconds * times,
        trials=round(measured.trials * times),
        best={},
        note=f"scaled up from {measured.trials} trials, {measured.seconds:.0f} s",
    )


def _tuned(row: str, body: dict[str, Any], repeat: int, *, reuse: bool) -> Outcome:
    if find_spec("ray") is None:
        return Outcome(body["name"], row, repeat, None, note="not installed: pip install '.[ray]'")
    import ray

    os.environ.update(ENVIRONMENT)
    spec = resolved(body)
    turns = _turns(spec)
    ray.init(num_cpus=PROCESSES, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        with TemporaryDirectory() as folder:
            _fit(spec, turns, folder, reuse)
    finally:
        ray.shutdown()
    return Outcome(
        workload=body["name"],
        row=row,
        repeat=repeat,
        seconds=turns.last - turns.first,
        trials=sum(map(len, turns.found.values())),
        best={label: min(value for _, value in found) for label, found in turns.found.items()},
        defaults={
            label: value
            for label, found in turns.found.items()
            for params, value in found
            if params == default_params(spec.optimizer(label))
        },
        note=f"Ray {ray.__version__}",
        details={"reuse_actors": reuse, "ray": ray.__version__},
    )


def _fit(spec: ResolvedSpec, turns: Any, folder: str, reuse: bool) -> None:
    from ray import tune

    tuner = tune.Tuner(
        _trainable(spec.model_dump_json(), folder),
        tune_config=tune.TuneConfig(
            search_alg=turns,
            metric="nll",
            mode="min",
            num_samples=spec.asked_trials + PROCESSES,
            max_concurrent_trials=PROCESSES,
            reuse_actors=reuse,
        ),
        run_config=tune.RunConfig(storage_path=folder, verbose=0),
    )
    errors = tuner.fit().errors
    if errors:
        raise errors[0]


def _turns(spec: ResolvedSpec) -> Any:
    """A searcher that deals trials to the optimizers in turn, each with an OptunaSearch of its own.

    `found` are the params and validation values by optimizer, `first` and `last` the times at which the
    first trial that counts was dealt and the last had ended.
    """
    import optuna
    from ray.tune.search import Searcher
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.WARNING)

    class Turns(Searcher):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(metric="nll", mode="min")
            self.searches = {
                chosen.label: OptunaSearch(
                    distributions(chosen.searched),
                    metric="nll",
                    mode="min",
                    points_to_evaluate=[default_params(chosen)],
                    seed=spec.seed,
                )
                for chosen in spec.optimizers
            }
            self.running: dict[str, tuple[str, dict[str, Value]]] = {}
            self.results: dict[str, list[tuple[dict[str, Value], float]]] = {x: [] for x in spec.labels}
            self.dealt = 0
            self.first = self.last = 0.0

        def suggest(self, trial_id: str) -> dict[str, Any]:
            number = self.dealt - PROCESSES
            self.dealt += 1
            if number < 0:
                return {"label": WARM_UP, "params": {}}
            if number == 0:
                self.first = time.perf_counter()
            label = spec.labels[number % len(spec.labels)]
            params = self.searches[label].suggest(trial_id)
            self.running[trial_id] = (label, params)
            return {"label": label, "params": params}

        def on_trial_complete(
            self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
        ) -> None:
            if trial_id in self.running and result is not None:
                label, params = self.running.pop(trial_id)
                self.searches[label].on_trial_complete(trial_id, result, error)
                self.results[label].append((params, float(result["nll"])))
                self.last = time.perf_counter()

        def save(self, checkpoint_path: str) -> None:
            """Nobody resumes it."""

    return Turns()


def _trainable(spec_json: str, folder: str) -> Callable[[dict[str, Any]], None]:
    """What a worker of Ray runs for one trial."""

    def train(dealt: dict[str, Any]) -> None:
        from ray import tune

        torch.set_num_threads(1)
        training = _training(spec_json)
        if dealt["label"] == WARM_UP:
            training.warm_up()
            _wait_for_all(Path(folder))
            tune.report({"nll": math.inf})
            return
        config = configured(training.spec.optimizer(dealt["label"]), dealt["params"])
        for value in training.epochs(dealt["label"], config):
            tune.report({"nll": value})

    return train


def _wait_for_all(folder: Path) -> None:
    """Until every process is as far; one that has nothing to do meanwhile would be ended."""
    (folder / f"{os.getpid()}.warm").touch()
    while len(list(folder.glob("*.warm"))) < PROCESSES:
        time.sleep(0.01)


@cache
def _training(spec_json: str) -> Training:
    """Made once in a process, for all trials that take it over."""
    return Training(ResolvedSpec.model_validate_json(spec_json), fused=True)

"""Ray Tune's row: one Tuner whose searcher deals to an OptunaSearch for each optimizer.

Generous to it: Ray is up, and a trial that only warms up has ended in each of its processes, when the clock
starts; it stops with the last trial; processes are reused, a trial reports once, and there is no scheduler
and no result file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.guests import digits
from benchmarks.shared.processes import PROCESSES

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "PYTHONPATH": str(Path(__file__).parents[2]),
}
"""No statistics sent home, no files written about every result, and our modules found by the processes."""

WARM_UP = ""
"""In the place of an optimizer: the trial trains an epoch with each of them, and counts for nothing."""


def searched(trials: int, epochs: int, fresh: Mapping[str, int]) -> tuple[float, float, int, float]:
    """Return the seconds, twice, the trials that were trained, and the best value of the search."""
    import ray
    from ray import tune

    os.environ.update(ENVIRONMENT)
    turns = _turns(trials, fresh)
    ray.init(num_cpus=PROCESSES, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        with TemporaryDirectory() as folder:
            tuner = tune.Tuner(
                _trainable(folder, epochs),
                tune_config=tune.TuneConfig(
                    search_alg=turns,
                    metric="nll",
                    mode="min",
                    num_samples=PROCESSES + len(turns.turns),
                    max_concurrent_trials=PROCESSES,
                    reuse_actors=True,
                ),
                run_config=tune.RunConfig(storage_path=folder, verbose=0),
            )
            errors = tuner.fit().errors
            if errors:
                raise errors[0]
    finally:
        ray.shutdown()
    seconds = turns.last - turns.first
    return seconds, seconds, turns.ended, min(value for value, _ in turns.best.values())


def _turns(trials: int, fresh: Mapping[str, int]) -> Any:
    """A searcher that deals the trials to the optimizers in turn, and then the runs on fresh seeds."""
    import optuna
    from optuna.distributions import FloatDistribution
    from ray.tune.search import Searcher
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {
        "lr": FloatDistribution(*digits.LR, log=True),
        "weight_decay": FloatDistribution(*digits.DECAY, log=True),
    }

    class Turns(Searcher):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(metric="nll", mode="min")
            self.searches = {name: OptunaSearch(space, metric="nll", mode="min") for name in digits.MAKE}
            self.turns = [(name, 0) for _ in range(trials) for name in digits.MAKE]
            self.turns += [(name, seed) for name, runs in fresh.items() for seed in range(1, 1 + runs)]
            self.running: dict[str, tuple[str, int, dict[str, float]]] = {}
            self.best: dict[str, tuple[float, dict[str, float]]] = {}
            self.dealt = self.ended = 0
            self.first = self.last = 0.0

        def suggest(self, trial_id: str) -> dict[str, Any]:
            number = self.dealt - PROCESSES
            self.dealt += 1
            if number < 0:
                return {"name": WARM_UP}
            if number == 0:
                self.first = time.perf_counter()
            name, seed = self.turns[number]
            params = self.best[name][1] if seed else self.searches[name].suggest(trial_id)
            self.running[trial_id] = (name, seed, params)
            return {"name": name, "seed": seed, **params}

        def on_trial_complete(
            self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
        ) -> None:
            if trial_id not in self.running or result is None:
                return
            name, seed, params = self.running.pop(trial_id)
            if not seed:
                self.searches[name].on_trial_complete(trial_id, result, error)
                value = float(result["nll"])
                if name not in self.best or value < self.best[name][0]:
                    self.best[name] = (value, params)
            self.ended += 1
            self.last = time.perf_counter()

        def save(self, checkpoint_path: str) -> None:
            """Nobody resumes it."""

    return Turns()


def _trainable(folder: str, epochs: int) -> Callable[[dict[str, Any]], None]:
    """What a process of Ray runs for one trial."""

    def train(dealt: dict[str, Any]) -> None:
        from ray import tune

        torch.set_num_threads(1)
        if dealt["name"] == WARM_UP:
            for name in digits.MAKE:
                list(digits.before(name, 1e-3, 1e-3, epochs=1, seed=0))
            _wait_for_all(Path(folder))
            tune.report({"nll": float("inf")})
            return
        *_, last = digits.before(**dealt, epochs=epochs)
        tune.report({"nll": last})

    return train


def _wait_for_all(folder: Path) -> None:
    """Until every process is as far; one that has nothing to do meanwhile would be ended."""
    (folder / f"{os.getpid()}.warm").touch()
    while len(list(folder.glob("*.warm"))) < PROCESSES:
        time.sleep(0.01)

"""Asking the sampler at once suggests what Optuna's own way through its storage does."""

from __future__ import annotations

import math

import numpy as np
import optuna
import pytest

from whichopt.service.catalog.optimizer_entry import OptimizerEntry
from whichopt.service.catalog.optimizers import optimizer
from whichopt.service.space import Float
from whichopt.workers.sampler import _from_param, ask, distributions

STARTUP, ASKED = 4, 8
LIKE = math.nextafter(0.1, 1)


def _study(entry: OptimizerEntry, trials: int) -> optuna.Study:
    """With so many trials drawn at random, every seventh of them diverged and every fifth pruned."""
    space = distributions(entry.space)
    drawn = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    draw = np.random.default_rng(2)
    sampler = optuna.samplers.TPESampler(seed=3, n_startup_trials=STARTUP)
    study = optuna.create_study(sampler=sampler)
    for number in range(trials):
        params, value = drawn.ask(space).params, float(draw.random())
        pruned = number % 5 == 4
        study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.PRUNED if pruned else optuna.trial.TrialState.COMPLETE,
                value=None if pruned else float("inf") if number % 7 == 6 else value,
                params=params,
                distributions=space,
                intermediate_values={10: value} if pruned else {},
            )
        )
    return study


@pytest.mark.parametrize("trials", [0, STARTUP - 1, STARTUP, 40])
@pytest.mark.parametrize("name", ["adabelief", "sgd"])
def test_the_same_configs_as_by_ask(name: str, trials: int) -> None:
    """Also those that are asked for beside others of their round, and at random before it knows enough."""
    entry = optimizer(name)
    space = distributions(entry.space)
    ours, optunas = _study(entry, trials), _study(entry, trials)
    found = [ask(ours, space) for _ in range(ASKED)]
    assert found == [optunas.ask(space).params for _ in range(ASKED)]
    assert len({str(params) for params in found}) == ASKED
    assert all(list(params) == list(space) for params in found)


def test_a_range_of_one_value_is_that_value() -> None:
    """As one of neighboring numbers is where one minus each of them rounds to the same."""
    space = distributions({"lr": Float(low=0.1, high=1.0), "beta1": Float(low=0.1, high=LIKE, scale="log1m")})
    assert space["beta1"].single()
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1, n_startup_trials=STARTUP))
    for number in range(ASKED):
        assert ask(study, space)["beta1"] == 0.9
        study.tell(number, float(number))


@pytest.mark.parametrize("width", [2.3e-16, 5e-16, 1e-15, 1e-14, 1e-13, 1e-11])
@pytest.mark.parametrize(
    ("low", "scale"),
    [(1e-12, "log"), (1e-4, "log"), (0.1, "log"), (1e4, "log"), (0.9, "log1m"), (0.1, "linear")],
)
def test_a_range_of_neighboring_numbers_is_searched(low: float, width: float, scale: str) -> None:
    """Whose logarithms are the same or nearly: what is asked for lies within, and TPE learns from it."""
    x = Float(low=low, high=low * (1 + width), scale=scale)
    space = distributions({"x": x, "y": Float(low=1e-3, high=1.0, scale="log")})
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1, n_startup_trials=STARTUP))
    for number in range(24):
        found = ask(study, space)
        assert x.contains(_from_param(x, found["x"]))
        study.add_trial(
            optuna.trial.create_trial(value=float(number * 7 % 11), params=found, distributions=space)
        )
        study.tell(len(study.trials) - 2, state=optuna.trial.TrialState.FAIL)


@pytest.mark.parametrize("value", [math.nan, 0.2 + 1e-16, 0.1 - 1e-16, -1.0, math.inf])
def test_what_a_sampler_rounds_to_outside_of_a_range_is_put_back(value: float) -> None:
    assert Float(low=0.1, high=0.2).contains(_from_param(Float(low=0.1, high=0.2), value))

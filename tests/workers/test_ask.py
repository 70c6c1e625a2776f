"""Asking the sampler at once suggests what Optuna's own way through its storage does."""

from __future__ import annotations

import math

import numpy as np
import optuna
import pytest

from whichopt.service.catalog.optimizers import OptimizerEntry, optimizer
from whichopt.service.space import Float
from whichopt.workers.sampler import ask, distributions

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

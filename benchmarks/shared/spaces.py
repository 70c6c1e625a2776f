"""The optimizers' search spaces, as a user of Optuna writes them."""

from __future__ import annotations

from optuna import Trial
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from whichopt.service.space import Config, Value
from whichopt.service.spec import ResolvedOptimizer
from whichopt.workers.sampler import distributions, to_config, to_params


def suggested(trial: Trial, chosen: ResolvedOptimizer, prefix: str = "") -> Config:
    """The config that `trial` suggests from the optimizer's space; `prefix` goes before its names."""
    params: dict[str, Value] = {}
    for name, known in distributions(chosen.searched).items():
        match known:
            case FloatDistribution():
                params[name] = trial.suggest_float(prefix + name, known.low, known.high, log=known.log)
            case IntDistribution():
                params[name] = trial.suggest_int(prefix + name, known.low, known.high, log=known.log)
            case CategoricalDistribution():
                picked = trial.suggest_categorical(prefix + name, known.choices)
                assert picked is not None
                params[name] = picked
    return configured(chosen, params)


def default_params(chosen: ResolvedOptimizer) -> dict[str, Value]:
    """The default setting as a point of the space, to be tried first."""
    return to_params(chosen.searched, chosen.default)


def configured(chosen: ResolvedOptimizer, params: dict[str, Value]) -> Config:
    """`params` as a config; the default's point stands for the default, which may lie outside the space."""
    return chosen.default if params == default_params(chosen) else to_config(chosen, params)

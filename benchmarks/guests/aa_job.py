"""A job in which one optimizer stands under two names, about a small training function on real data."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from sklearn.datasets import load_breast_cancer
from torch import nn
from torch.nn import functional as F

import whichopt
from whichopt.service.evidence.verdict.recommend import recommend, shown
from whichopt.service.planning.finalists import finalists
from whichopt.service.planning.rounds import next_round
from whichopt.service.seeds import trial_seeds
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase
from whichopt.service.trials import Trial, TrialPlan
from whichopt.service.views import Recommendation
from whichopt.workers.engine import Unwatched, numerics
from whichopt.workers.guests.executor import GuestExecutor
from whichopt.workers.guests.functions import Functions
from whichopt.workers.guests.run import Run
from whichopt.workers.sampler import suggest
from whichopt.workers.tune.asked import spec_of

LABELS = ("one", "other")
OPTIMIZERS = [{"name": "adamw", "label": label} for label in LABELS]
BUDGET: dict[str, Any] = {"trials": 12, "replicates": 3, "epochs": 2, "confirm_seeds": 10}

UID = "a-against-a"

FURTHER = 20
"""Seeds after those of confirm on which a named config is held against the other finalists."""

_TABLE = load_breast_cancer()
_ROWS = torch.tensor(_TABLE.data, dtype=torch.float32)
X = (_ROWS - _ROWS.mean(0)) / _ROWS.std(0)
Y = torch.tensor(_TABLE.target)


def train(run: Run) -> None:
    """Train a small network on the breast cancer table."""
    fitted, validation = run.split(len(Y))
    model = nn.Sequential(nn.Linear(30, 16), nn.Tanh(), nn.Linear(16, 2))
    optimizer = run.optimizer(model)
    rows = torch.tensor(fitted)
    for _ in run.epochs:
        for batch in torch.split(rows[torch.randperm(len(rows))], 64):
            optimizer.zero_grad()
            torch.autograd.backward(F.cross_entropy(model(X[batch]), Y[batch]))
            optimizer.step()
        run.report(nll=_score(model, validation))
    run.test(lambda test: _score(model, test))


@torch.no_grad()
def _score(model: nn.Module, rows: Sequence[int]) -> float:
    return F.cross_entropy(model(X[rows]), Y[rows]).item()


@dataclass(frozen=True)
class AAJob:
    """What came of a job; `config_is_worse` is None if no config was named."""

    seed: int
    optimizer_winner: str | None
    config_winner: str | None
    config_is_worse: bool | None
    fresh_seeds: int
    trials: int
    by_tune: bool


def concluding() -> Callable[[tuple[int, bool]], AAJob]:
    """In a process: concludes the job of that seed; if asked to, by `whichopt.tune` as well."""
    numerics.repeat_to_the_bit()
    functions = Functions(GuestExecutor(isolation="inline"), train, is_own=True)
    rehearsed = functions.rehearsed(_spec(0)).workload

    def conclude(asked: tuple[int, bool]) -> AAJob:
        seed, by_tune = asked
        spec = _spec(seed).model_copy(update={"workload": rehearsed})
        job = _Job(spec, functions)
        recommendation = job.concluded()
        if by_tune:
            with tempfile.TemporaryDirectory(prefix="whichopt-aa-") as folder:
                _check_by_tune(recommendation, seed, folder)
        named = recommendation.optimizer_verdict.optimizer
        is_named = recommendation.verdict == "winner"
        return AAJob(
            seed=seed,
            optimizer_winner=named,
            config_winner=recommendation.optimizer if is_named else None,
            config_is_worse=job.is_worse(recommendation) if is_named else None,
            fresh_seeds=1 + max(trial.plan.number for trial in job.confirmed()),
            trials=len(job.trials),
            by_tune=by_tune,
        )

    return conclude


def _spec(seed: int) -> ResolvedSpec:
    """Return the job as `tune` makes it."""
    workload = {"function": {"name": f"{train.__module__}:{train.__qualname__}"}, "minimize": "nll"}
    return spec_of({"workload": workload, "budget": BUDGET, "seed": seed}, OPTIMIZERS)


class _Job:
    """A job by the planner, the executor and the verdict of the product, without its database."""

    def __init__(self, spec: ResolvedSpec, functions: Functions) -> None:
        self.spec = spec
        self.guest = functions.guest(spec, checkpoint_s=float("inf"))
        self.executor = functions.executor_of(spec)
        self.trials: list[Trial] = []

    def concluded(self) -> Recommendation:
        while (following := next_round(self.spec, self.trials, suggest)) is not None:
            self.trials += self._train([plan for cohort in following.cohorts for plan in cohort])
        return recommend(UID, self.spec, self.trials)

    def confirmed(self) -> Iterator[Trial]:
        return (trial for trial in self.trials if trial.plan.phase is Phase.CONFIRM)

    def is_worse(self, recommendation: Recommendation) -> bool:
        """Tell if another finalist's mean is better on further seeds, which have errors of their own."""
        most = self.spec.budget.confirm_seeds
        arms = finalists(self.spec, self.trials)
        like = next(self.confirmed()).plan
        plans = [
            like.model_copy(
                update={
                    "label": arm.label,
                    "config": arm.config,
                    "number": number,
                    "seeds": trial_seeds(self.spec.seed, Phase.CONFIRM, number),
                }
            )
            for arm in arms
            for number in range(most, most + FURTHER)
        ]
        values = [_value(trial) for trial in self._train(plans)]
        means = [fmean(values[at * FURTHER : (at + 1) * FURTHER]) for at in range(len(arms))]
        named = next(
            mean
            for arm, mean in zip(arms, means, strict=True)
            if arm.label == recommendation.optimizer
            and shown(self.spec, arm.label, arm.config) == recommendation.config
        )
        return min(means) < named

    def _train(self, plans: Sequence[TrialPlan]) -> list[Trial]:
        results = self.executor.run(self.guest, plans, Unwatched())
        return [
            Trial(plan=plan, state=result.state, result=result)
            for plan, result in zip(plans, results, strict=True)
        ]


def _value(trial: Trial) -> float:
    """Return the score on the test split, and infinity if it diverged."""
    assert trial.result is not None
    return math.inf if trial.result.value is None else trial.result.value


def _check_by_tune(recommendation: Recommendation, seed: int, folder: str) -> None:
    """Raise AssertionError if the whole way, with its database and its report, concludes otherwise."""
    best = whichopt.tune(
        train,
        minimize="nll",
        optimizers=OPTIMIZERS,
        seed=seed,
        isolation="inline",
        data=folder,
        say=_nothing,
        **BUDGET,
    )
    ours = (recommendation.verdict, recommendation.optimizer, recommendation.config, recommendation.value)
    told = best.recommendation
    theirs = (told.verdict, told.optimizer, told.config, told.value)
    if ours != theirs or recommendation.optimizer_verdict != told.optimizer_verdict:
        raise AssertionError(f"seed {seed}: tune concludes {told.statement}, not {recommendation.statement}")


def _nothing(_line: str) -> None:
    """Say nothing: the jobs are many."""

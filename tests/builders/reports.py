"""Small jobs that are concluded in this process: their reports are what a worker's would be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import torch

from whichopt.service.evidence.report.document import Report, evidence
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.planning.rounds import next_round
from whichopt.service.records import JobFacts, RecordedTrial
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.service.states import TrialState
from whichopt.service.trials import Trial, TrialPlan, TrialResult
from whichopt.workers import workload
from whichopt.workers.engine import Unwatched
from whichopt.workers.engine.executors import EXECUTORS
from whichopt.workers.sampler import suggest
from whichopt.workers.trained_in import training_environment

UID = "01a00000-0000-7000-8000-000000000001"
SPEC: dict[str, Any] = {
    "name": "wine <script>alert('x')</script> & \"more\"",
    "workload": {"dataset": {"name": "wine"}, "model": {"name": "linear"}},
    "optimizers": ["adam", {"name": "sgd", "label": "sgd-0.9+x"}, "adabelief"],
    "budget": {"trials": 12, "replicates": 3, "epochs": 3, "confirm_seeds": 5},
    "batch_size": 32,
    "executor": "stacked",
}
"""Its name is what a name must not do to a page; its label has all that a label may have."""


Train = Callable[[Sequence[TrialPlan]], Sequence[TrialResult]]
"""Gives the results of a cohort."""


@cache
def trained_report() -> Report:
    """The report of SPEC; trained once a process."""
    return _trained(SPEC)


@cache
def motley_report() -> Report:
    """A report whose search has complete, pruned and diverged trials; trained once a process."""
    report = _trained(
        {
            "workload": {"dataset": {"name": "wine"}, "model": {"name": "mlp", "hidden": [8, 8]}},
            "optimizers": [
                "adam",
                {"name": "sgd", "space": {"lr": {"type": "float", "low": 1e-3, "high": 1e4, "log": True}}},
            ],
            "budget": {"trials": 14, "replicates": 1, "epochs": 6, "confirm_seeds": 3},
            "batch_size": 32,
            "executor": "stacked",
        }
    )
    assert {trial.state for trial in report.trials} >= {TrialState.PRUNED, TrialState.DIVERGED}
    return report


@cache
def growing_report() -> Report:
    """A report of a job in which the batches of one optimizer grow, and another's size is searched."""
    sizes = {"type": "categorical", "choices": [32, 64, 128]}
    return _trained(
        {
            "workload": {"dataset": {"name": "digits"}, "model": {"name": "linear"}},
            "optimizers": ["adadagradnorm", {"name": "sgd", "space": {"batch_size": sizes}}],
            "budget": {"trials": 3, "replicates": 1, "epochs": 4, "confirm_seeds": 3},
            "executor": "stacked",
        }
    )


def _trained(asked: dict[str, Any]) -> Report:
    spec = resolve(JobSpec.model_validate(asked))
    torch.set_num_threads(1)  # as a worker's process has, whatever the process of this test had before
    return concluded_report(
        spec, lambda plans: EXECUTORS["stacked"]().run(workload.build(spec.cataloged), plans, Unwatched())
    )


def concluded_report(spec: ResolvedSpec, train: Train) -> Report:
    """Return the report of a job that is planned round by round, and whose cohorts `train` trains."""
    if not spec.executors:
        solo = any(one.facts.modes or one.facts.needs_closure for one in spec.optimizers)
        spec = spec.with_executor("solo" if solo else "stacked")
    trials: list[RecordedTrial] = []
    while (following := next_round(spec, trials, suggest)) is not None:
        for plans in following.cohorts:
            trials += [
                RecordedTrial(plan=plan, state=result.state, result=result, environment=0)
                for plan, result in zip(plans, train(plans), strict=True)
            ]
    now = datetime(2026, 1, 1, tzinfo=UTC)
    facts = JobFacts(
        id=UID,
        name=spec.name,
        queue="cpu",
        executor=spec.trained_by or "",
        probe=None,
        cut_short=False,
        created_at=now,
        started_at=now,
        finished_at=now,
    )
    return evidence(facts, spec, trials, recommend(UID, spec, trials), [training_environment("cpu")])


def with_trials(report: Report, trials: Sequence[Trial]) -> Report:
    """The report with other raw results, its conclusions and checksum as they were."""
    return report.model_copy(update={"trials": tuple(trials)})

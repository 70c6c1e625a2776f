"""The job spec: what may be asked (`request`), made complete (`resolve`), as it is recorded (`resolved`)."""

from __future__ import annotations

from whichopt.service.spec.budget import MAX_TRIALS, MOST_TRIALS, Budget, TimedPlan
from whichopt.service.spec.executors import only_solo
from whichopt.service.spec.request import (
    DEFAULT_OPTIMIZERS,
    LABEL,
    ExecutorName,
    JobSpec,
    Margin,
    OptimizerChoice,
    Pruning,
)
from whichopt.service.spec.resolve import resolve, resolve_optimizer
from whichopt.service.spec.resolved import ResolvedOptimizer, ResolvedSpec, ResolvedToday
from whichopt.service.spec.today import TODAY, TodaysConfig
from whichopt.service.spec.workloads import (
    FunctionWorkload,
    Named,
    ResolvedFunction,
    ResolvedWorkload,
    WorkloadSpec,
)

__all__ = [
    "DEFAULT_OPTIMIZERS",
    "LABEL",
    "MAX_TRIALS",
    "MOST_TRIALS",
    "TODAY",
    "Budget",
    "ExecutorName",
    "FunctionWorkload",
    "JobSpec",
    "Margin",
    "Named",
    "OptimizerChoice",
    "Pruning",
    "ResolvedFunction",
    "ResolvedOptimizer",
    "ResolvedSpec",
    "ResolvedToday",
    "ResolvedWorkload",
    "TimedPlan",
    "TodaysConfig",
    "WorkloadSpec",
    "only_solo",
    "resolve",
    "resolve_optimizer",
]

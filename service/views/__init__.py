"""The shapes of all answers, which API, pages, commands and client share.

- `jobs`: a job and its trials: state, progress, what was used.
- `recommendation`: the conclusion of a job.
- `verdict`: the conclusion in short, for lists of jobs.
- `today`: keep the config that is used today, or switch.
- `forecast`: what a running job may still tell.
- `catalog`: the names that a job can use.
- `datasets`: a dataset that a person sent.
- `functions`: people's own functions that jobs may train.
- `plugins`: what packages offer that are installed where workers run.
- `checks`: mistakes in a spec, and a setting translated to another optimizer.
- `problems`: the answer to every failure.
- `health`: whether the service can work.
- `view`: the base of them all, and a part of a list.
"""

from __future__ import annotations

from whichopt.service.views.catalog import CatalogEntry, HyperparameterView
from whichopt.service.views.checks import LintFinding, LintReport, Translation
from whichopt.service.views.datasets import DatasetProblem, DatasetProgress, DatasetView
from whichopt.service.views.forecast import ConfirmForecast, Forecast, JobForecast, SearchForecast
from whichopt.service.views.functions import FunctionOffer, FunctionView
from whichopt.service.views.health import Health, Readiness
from whichopt.service.views.jobs import (
    ConfirmProgress,
    JobError,
    JobView,
    LedgerEntry,
    Progress,
    SampleView,
    TrialView,
)
from whichopt.service.views.plan import BudgetFor, JobPlan, LeadChance, PlannedCost, Power
from whichopt.service.views.plugins import PluginOffer, PluginView
from whichopt.service.views.problems import FieldProblem, Problem
from whichopt.service.views.recommendation import (
    Cost,
    CouldHaveSeen,
    Difference,
    Interval,
    JobWarning,
    OptimizerDifference,
    OptimizerVerdict,
    OverExamples,
    RankedOptimizer,
    Recommendation,
    SeenLead,
    Stage,
)
from whichopt.service.views.today import Gain, TodayAnswer
from whichopt.service.views.verdict import JobVerdict
from whichopt.service.views.view import Page, Unreadable

__all__ = [
    "BudgetFor",
    "CatalogEntry",
    "ConfirmForecast",
    "ConfirmProgress",
    "Cost",
    "CouldHaveSeen",
    "DatasetProblem",
    "DatasetProgress",
    "DatasetView",
    "Difference",
    "FieldProblem",
    "Forecast",
    "FunctionOffer",
    "FunctionView",
    "Gain",
    "Health",
    "HyperparameterView",
    "Interval",
    "JobError",
    "JobForecast",
    "JobPlan",
    "JobVerdict",
    "JobView",
    "JobWarning",
    "LeadChance",
    "LedgerEntry",
    "LintFinding",
    "LintReport",
    "OptimizerDifference",
    "OptimizerVerdict",
    "OverExamples",
    "Page",
    "PlannedCost",
    "PluginOffer",
    "PluginView",
    "Power",
    "Problem",
    "Progress",
    "RankedOptimizer",
    "Readiness",
    "Recommendation",
    "SampleView",
    "SearchForecast",
    "SeenLead",
    "Stage",
    "TodayAnswer",
    "Translation",
    "TrialView",
    "Unreadable",
]

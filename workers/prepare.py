"""Decides before a job's first round, by a probe of its trials' cost, what then stays fixed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from whichopt.service.db.jobs import Planning
from whichopt.service.limits import UNLIMITED, Limits
from whichopt.service.planning import minutes
from whichopt.service.planning.guest_minutes import plan_guest_minutes
from whichopt.service.planning.rounds import next_round
from whichopt.service.spec import TODAY, ExecutorName, ResolvedSpec, only_solo
from whichopt.service.states import Agreement
from whichopt.service.trials import TrialPlan
from whichopt.workers import kernels, workload
from whichopt.workers.engine.agree import agreement
from whichopt.workers.engine.probe import TrainingCost, choose, choose_untried, costs
from whichopt.workers.engine.stackable import why_only_solo
from whichopt.workers.guests.functions import Functions
from whichopt.workers.plugins import found
from whichopt.workers.sampler import suggest
from whichopt.workers.workload import Workload


@dataclass(frozen=True)
class PreparedJob:
    """The decisions that are made before a job's first round, and stay.

    `spec` is the job's own with the executors, the agreement of its results, the kernels, and the plan for
    its minutes. `probe` has the seconds of a step of one trial with the job's batch size, by executor, if
    they decided the executors.
    """

    spec: ResolvedSpec
    probe: dict[str, float]


def prepare(
    planned: Planning,
    *,
    blobs: Path | None = None,
    root: Path | None = None,
    functions: Functions | None = None,
    compiling: Callable[[], None] = lambda: None,
    limits: Limits = UNLIMITED,
) -> PreparedJob:
    """Decide how the job's trials are trained, and plan its minutes. After the first round nothing is left
    to decide.

    Every worker plans, whatever it trains on. One without the job's device measures on its own: of executors
    that says nothing, and of minutes something that the first round corrects. `compiling` is called before a
    kernel is compiled; `blobs` is the folder with what is kept of a person's own data, `root` that under
    which folders of images lie, and `functions` runs a person's own function, which is rehearsed in the place
    of a probe. `limits` hold for the network of a plug-in, which nobody could count before.

    Raises:
        BudgetTooShort: the minutes do not suffice for the least of searches.
        DatasetGone: the job's data are not in the folder, or are damaged.
        FunctionFailed: the rehearsal of its function found what spoils the job.
        PluginFailed: a plug-in of the job cannot be used, or not in the way that the job asks for.
    """
    spec = planned.spec
    if planned.round:
        return PreparedJob(spec, {})
    if spec.guest is not None:
        return PreparedJob(_guest(spec, functions, planned.workers), {})
    spec = found.with_found(spec, limits)
    here = planned.queue == "cpu" or torch.cuda.is_available()

    def built() -> Workload:
        device = planned.queue if here else "cpu"
        return workload.build(spec.cataloged, device=device, blobs=blobs, root=root)

    executors, probe, alone = _executors(spec, built, here=here)
    decided = {"executors": executors, "agreement": _agreement(planned, here=here).value, "only_solo": alone}
    spec = spec.model_copy(update=decided)

    def step_seconds() -> dict[str, float]:
        if probe:
            return {label: probe[executor] for label, executor in executors.items()}
        cost, by_label = costs(built(), _first_plans(spec), executors), _by_label(spec)
        size = {label: plan.training.batch_size for label, plan in by_label.items()}
        return {label: cost[label].step * spec.batch_size / size[label] for label in by_label}

    spec = kernels.choose_kernels(
        spec,
        on_cpu=planned.queue == "cpu",
        workers=planned.workers,
        step_seconds=step_seconds,
        compiling=compiling,
    )
    if spec.budget.timed and spec.budget.settled is None:
        spec = _minutes(spec, costs(built(), _first_plans(spec), executors), planned.workers)
    return PreparedJob(spec, probe)


def _executors(
    spec: ResolvedSpec, built: Callable[[], Workload], *, here: bool
) -> tuple[dict[str, ExecutorName], dict[str, float], dict[str, str] | None]:
    """Return the executor of each label, the probe that decided them if one had to, and the labels that can
    only be trained solo, each with the reason.

    What a label can be trained by is a capability, of its optimizer and of the job's model; what the catalog
    does not know of a model is tried. Those that leave a choice are probed together, and have one answer.
    """
    asked = spec.executors
    if asked is None and spec.executor != "auto":
        asked = dict.fromkeys(spec.trained_labels, spec.executor)
    if asked is not None:
        stacked = [label for label, name in asked.items() if name == "stacked"]
        found.check_stackable(spec, stacked, built, _first_plans(spec))
        return asked, {}, spec.only_solo
    alone = only_solo(spec, found.catalog_of(spec))
    executors: dict[str, ExecutorName] = dict.fromkeys(spec.trained_labels, "solo")
    first = _first_plans(spec)
    alone |= found.optimizers_alone(spec, [plan for plan in first if plan.label not in alone])
    plans = [plan for plan in first if plan.label not in alone]
    size = spec.batch_size
    if plans and here and (untried := choose_untried(built(), plans, size=size)) is not None:
        return executors, untried.seconds, alone or None
    if plans and (reason := why_only_solo(built(), plans)) is not None:
        alone |= {plan.label: reason for plan in plans}
        if spec.today is not None:
            alone.setdefault(TODAY, reason)
        plans = []
    if not plans:
        return executors, {}, alone
    choice = choose(built(), plans, measured=here, size=size)
    executors |= {plan.label: choice.executor for plan in plans}
    if spec.today is not None and TODAY not in alone:
        executors[TODAY] = choice.executor  # as what it is held against
    return executors, choice.seconds, alone or None


def _agreement(planned: Planning, *, here: bool) -> Agreement:
    """Return the agreement of the job's results: `close`, if any worker that may train it cannot do better.

    If none is live, this process stands in for them, provided it has the job's device.
    """
    if planned.spec.agreement == "close" or (planned.agreement is None and not here):
        return Agreement.CLOSE
    return planned.agreement or agreement(planned.queue)


def _first_plans(spec: ResolvedSpec) -> list[TrialPlan]:
    """Each study's first trial, and with trials all of its first round."""
    if spec.budget.timed:
        few = {"minutes": None, "trials": spec.budget.replicates}
        spec = spec.model_copy(update={"budget": spec.budget.model_copy(update=few)})
    first = next_round(spec, [], suggest)
    assert first is not None
    return [plan for cohort in first.cohorts for plan in cohort]


def _by_label(spec: ResolvedSpec) -> dict[str, TrialPlan]:
    """The first trial of each label, which is its default."""
    return {plan.label: plan for plan in reversed(_first_plans(spec))}


def _guest(spec: ResolvedSpec, functions: Functions | None, processes: int) -> ResolvedSpec:
    """Return the spec of a function's job with what its rehearsal told, and the plan for its minutes."""
    if spec.guest is not None and spec.guest.rehearsed is None:
        assert functions is not None  # else the job waits for somebody who has them
        spec = functions.rehearsed(spec)
    if spec.budget.timed and spec.budget.settled is None:
        return plan_guest_minutes(spec, processes=max(1, processes))
    return spec


def _minutes(spec: ResolvedSpec, cost: Mapping[str, TrainingCost], workers: int) -> ResolvedSpec:
    plans = _by_label(spec)
    return minutes.plan_minutes(
        spec,
        step_seconds={label: cost[label].step for label in spec.labels},
        trial_seconds={label: cost[label].of(plans[label]) for label in spec.labels},
        processes=max(1, workers),
    )

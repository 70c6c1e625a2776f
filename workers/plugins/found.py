"""What a planner finds of a job's plug-ins before the first round, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from whichopt.service.catalog.built_in import Catalog
from whichopt.service.catalog.origins import Origin
from whichopt.service.errors import PluginChanged, PluginFailed
from whichopt.service.installed import Kind
from whichopt.service.limits import Limits
from whichopt.service.spec import TODAY, ResolvedSpec, only_solo
from whichopt.service.spec.entries import with_recorded
from whichopt.service.spec.origins import origins
from whichopt.service.trials import TrialPlan
from whichopt.workers.engine.entries import optimizer
from whichopt.workers.engine.stackable import why_only_solo, why_optimizer_only_solo
from whichopt.workers.plugins.described import model_of
from whichopt.workers.plugins.loaded import loaded
from whichopt.workers.plugins.networks import tried
from whichopt.workers.plugins.tables import arrays, content
from whichopt.workers.workload import Workload


def with_found(spec: ResolvedSpec, limits: Limits) -> ResolvedSpec:
    """Return the job with what is found of its plug-ins: their sources, the params, the hash of the data.

    Raises:
        PluginFailed: one is not here, is not what the job recorded, or gives what the job cannot use.
        UnknownFunction: the operator of this process does not allow a callable.
    """
    check(spec)
    if spec.guest is not None:
        return spec
    workload = spec.cataloged
    now: dict[str, Any] = {}
    if (of_data := workload.dataset_origin) is not None:
        name, options = workload.dataset.name, workload.dataset.options
        data = arrays(name, of_data, options, workload.shape, workload.task)
        now["dataset_origin"] = _now("dataset", name, of_data, content=content(data))
    if (of_model := workload.model_origin) is not None:
        name = workload.model.name
        now["model_origin"] = _now("model", name, of_model, params=tried(workload, limits))
    return spec.model_copy(update={"workload": workload.model_copy(update=now)}) if now else spec


def check(spec: ResolvedSpec) -> None:
    """Import the job's plug-ins; of its optimizers the facts must be those that it records.

    Raises:
        PluginFailed: one is not here, or is not what the job recorded.
        UnknownFunction: the operator of this process does not allow a callable.
    """
    for kind, name, origin in origins(spec):
        loaded(kind, name, origin)
        if kind == "optimizer":
            _check_facts(spec, name)


def catalog_of(spec: ResolvedSpec) -> Catalog:
    """Return the catalog with the job's plug-ins as they are here, with what they say of stacking."""
    known = with_recorded(spec.cataloged)
    workload = spec.cataloged
    if workload.model_origin is not None:
        model = model_of(loaded("model", workload.model.name, workload.model_origin))
        alone = model.only_solo
        (entry,) = known.models
        known = replace(known, models=(replace(entry, only_solo=lambda _: alone),))
    own = {name: optimizer(name) for kind, name, _ in origins(spec) if kind == "optimizer"}
    return replace(known, optimizers=(*known.optimizers, *own.values()))


def optimizers_alone(spec: ResolvedSpec, plans: Sequence[TrialPlan]) -> dict[str, str]:
    """Return the labels whose plug-in of an optimizer can only be trained solo, each with the reason.

    Args:
        spec: the job.
        plans: the first trials of the labels that are in question; today's config has none, and is asked
            about as well.
    """
    alone = {}
    asked = {plan.label: plan for plan in plans}
    if spec.today is not None and plans:
        today = {"label": TODAY, "optimizer": spec.today.name, "config": spec.today.config}
        asked[TODAY] = plans[0].model_copy(update=today)
    for plan in asked.values():
        if spec.optimizer(plan.label).origin is None:
            continue
        if (reason := why_optimizer_only_solo(plan)) is not None:
            alone[plan.label] = f"the optimizer {plan.optimizer!r} can only be trained solo: {reason}"
    return alone


def check_stackable(
    spec: ResolvedSpec, labels: Sequence[str], built: Callable[[], Workload], plans: Sequence[TrialPlan]
) -> None:
    """Check that labels can be stacked for which a job asks that. Of what is built in the door checks it.

    Raises:
        PluginFailed: they are about plug-ins that cannot.
    """
    own = next(origins(spec), None)
    asked = [plan for plan in plans if plan.label in labels]
    if own is None or not asked:
        return
    alone = only_solo(spec, catalog_of(spec)) | optimizers_alone(spec, asked)
    reasons = [alone[label] for label in labels if label in alone]
    if not reasons and spec.cataloged.model_origin is not None:
        reasons = [reason for reason in (why_only_solo(built(), asked),) if reason is not None]
    if reasons:
        raise PluginFailed(
            f"the job asks for a stack, which it cannot have: {reasons[0]}. With executor 'auto' or 'solo' "
            "it can be trained",
            field="executor",
            value="stacked",
            allowed=["auto", "solo"],
        )


def _check_facts(spec: ResolvedSpec, name: str) -> None:
    """Raise PluginChanged if the optimizer's facts are not those that the job records."""
    here = optimizer(name).facts
    for one in (*spec.optimizers, *(() if spec.today is None else (spec.today,))):
        if one.name == name and replace(one.facts, source=here.source) != here:
            raise PluginChanged(
                f"the optimizer {name!r} has other facts here (space, default or class) than when "
                "the job was sent; send it again",
                value=name,
            )


def _now(kind: Kind, name: str, recorded: Origin, **found: Any) -> Origin:
    """Return the plug-in's place with what was found here."""
    here = loaded(kind, name, recorded).origin
    return recorded.model_copy(
        update={"source": here.source, "package": here.package, "version": here.version, **found}
    )

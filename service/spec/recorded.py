"""Resolves a stored spec anew by what it records, so that this version's catalog need not have it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from whichopt.service.catalog.built_in import built_in
from whichopt.service.catalog.optimizer_entry import OptimizerEntry, OptimizerFacts
from whichopt.service.goal import Goal
from whichopt.service.limits import UNLIMITED
from whichopt.service.spec.entries import with_recorded
from whichopt.service.spec.request import JobSpec
from whichopt.service.spec.resolve import resolve
from whichopt.service.spec.resolved import ResolvedOptimizer, ResolvedSpec
from whichopt.service.spec.workloads import AnyWorkload

ORIGINS = ("dataset_origin", "model_origin")
"""What a workload records of plug-ins, some of it found by workers."""


def resolved_again(spec: ResolvedSpec) -> ResolvedSpec:
    """Return what the spec resolves to, by its own rules, with its optimizers and data as it records them.

    Raises:
        InvalidSpec: no job could have had it.
        ValueError: it records of an optimizer what no entry could have.
    """
    entries = tuple(map(_entry, _recorded_optimizers(spec)))
    asked = JobSpec.model_validate(spec.model_dump(mode="json"))
    known = replace(built_in(), optimizers=entries)
    if spec.guest is None:
        known = with_recorded(spec.cataloged, known)
    again = resolve(asked, known, UNLIMITED)
    places = [one.place for one in spec.optimizers]
    optimizers = tuple(
        one.model_copy(update={"place": place}) for one, place in zip(again.optimizers, places, strict=True)
    )
    workload = _as_found(spec, again.workload.model_copy(update={"goal": _goal(spec.goal, again.goal)}))
    return again.model_copy(
        update={
            "workload": workload,
            "rules": spec.rules,
            "only_solo": spec.only_solo,
            "optimizers": optimizers,
        }
    )


def _as_found(spec: ResolvedSpec, again: AnyWorkload) -> AnyWorkload:
    """Return the workload with what was found out about a function, which its report alone knows."""
    if spec.guest is None:
        return again.model_copy(update={name: getattr(spec.workload, name) for name in ORIGINS})
    found: dict[str, Any] = {"source": spec.guest.source, "rehearsed": spec.guest.rehearsed}
    if spec.guest.rehearsed is not None:
        found["goal"] = again.goal.model_copy(update={"metrics": spec.guest.rehearsed.metrics})
    return again.model_copy(update=found)


def _goal(recorded: Goal, today: Goal) -> Goal:
    """Return the recorded goal if it differs from today's by metrics that stand beside the first alone.

    Earlier versions had fewer of them.
    """
    same = (recorded.metric, recorded.direction) == (today.metric, today.direction)
    return recorded if same and set(recorded.metrics) <= set(today.metrics) else today


def unlike_the_catalog(spec: ResolvedSpec) -> dict[str, list[str]]:
    """Return the names of the facts that this version's catalog has otherwise, by optimizer.

    If the catalog lacks the optimizer, as it lacks those of plug-ins, there are no names to give.
    """
    here = {entry.name: entry for entry in built_in().optimizers}
    unlike = {}
    for chosen in _recorded_optimizers(spec):
        entry = here.get(chosen.name)
        names = [] if entry is None else [one.name for one in fields(OptimizerFacts)]
        other = [name for name in names if getattr(entry, name) != getattr(chosen.facts, name)]
        if entry is None or other:
            unlike[chosen.name] = other
    return unlike


def _recorded_optimizers(spec: ResolvedSpec) -> list[ResolvedOptimizer]:
    """Return the optimizers whose facts the spec records; today's is the last, unless the job searches it."""
    names = {one.name for one in spec.optimizers}
    if spec.today is None or spec.today.name in names:
        return [*spec.optimizers]
    return [*spec.optimizers, spec.today.optimizer]


def _entry(chosen: ResolvedOptimizer) -> OptimizerEntry:
    facts = {one.name: getattr(chosen.facts, one.name) for one in fields(OptimizerFacts)}
    return OptimizerEntry(name=chosen.name, title=chosen.name, origin=chosen.origin, **facts)

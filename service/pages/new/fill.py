"""Fills the form of a new job from a spec, and finds out what of the spec the form cannot show. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from whichopt.service.catalog.built_in import Catalog
from whichopt.service.errors import WhichoptError
from whichopt.service.pages.new.batches import common_of, texts_of_training, with_training
from whichopt.service.pages.new.form import BUDGET, Form, asked
from whichopt.service.pages.new.options import option_fields
from whichopt.service.pages.new.space import space_of, texts_of
from whichopt.service.pages.new.values import written
from whichopt.service.spec import JobSpec, ResolvedSpec
from whichopt.service.spec.augment import Flip
from whichopt.service.spec.batching import Shared
from whichopt.service.spec.request import OptimizerChoice
from whichopt.service.spec.resolve import resolve_optimizer
from whichopt.service.spec.resolved import ResolvedOptimizer
from whichopt.service.states import Direction

Resolve = Callable[[JobSpec], ResolvedSpec]


@dataclass(frozen=True)
class Filled:
    """The form for a spec, and the paths of the spec that the form cannot show."""

    form: Form
    lost: tuple[str, ...]


def filled(spec: ResolvedSpec, catalog: Catalog, resolve: Resolve) -> Filled:
    """Return the form for a spec, and what of the spec is not in it.

    Args:
        spec: the spec with every default written out.
        catalog: the catalog with its dataset.
        resolve: how a spec that is sent is resolved.
    """
    spec = undecided(spec)
    form = form_of(spec, catalog)
    try:
        again = undecided(resolve(JobSpec.model_validate(asked(form, catalog).spec)))
    except ValidationError as error:
        # The spec itself is valid, so what the form made of it has lost something.
        return Filled(
            form, tuple(dict.fromkeys(".".join(map(str, one["loc"][:3])) for one in error.errors()))
        )
    except WhichoptError as error:
        return Filled(form, (error.field or error.detail,))
    return Filled(form, tuple(_different(spec.model_dump(mode="json"), again.model_dump(mode="json"))))


def undecided(spec: ResolvedSpec) -> ResolvedSpec:
    """Return the spec as before its first round: without executors, and without a plan for its minutes."""
    plan = spec.budget.settled
    seeds = spec.budget.confirm_seeds if plan is None else plan.confirm_seeds_asked
    budget = spec.budget.model_copy(update={"settled": None, "confirm_seeds": seeds})
    # A probe decides between `bits` and `close`, whether `bits` was asked for or nothing.
    agreement = "close" if spec.agreement == "close" else "auto"
    decided = {"executors": None, "only_solo": None, "agreement": agreement}
    return spec.model_copy(update={"budget": budget, **decided})


def as_sent(spec: ResolvedSpec, catalog: Catalog) -> dict[str, Any]:
    """Return the spec as somebody would send it: without what the service decides."""
    spec = undecided(spec)
    sent = JobSpec.model_validate(spec.model_dump(mode="json"))
    kept = {
        name: one
        for name, one in sent.model_dump(mode="json").items()
        if name in ("workload", "optimizers", "budget")
        or getattr(sent, name) != JobSpec.model_fields[name].default
    }
    for part in ("workload", "budget"):
        kept[part] = {name: one for name, one in kept[part].items() if one is not None}
    for part in ("task", "dataset", "model"):
        if (named := kept["workload"].get(part)) is not None and list(named) == ["name"]:
            kept["workload"][part] = named["name"]
    kept["optimizers"] = [
        _short(chosen, sent, catalog, common_of(spec))
        for chosen, sent in zip(spec.optimizers, kept["optimizers"], strict=True)
    ]
    first = ("name", "workload", "optimizers", "budget")
    return {name: kept[name] for name in dict.fromkeys((*first, *kept)) if name in kept}


def _short(chosen: ResolvedOptimizer, sent: dict[str, Any], catalog: Catalog, common: Shared | None) -> Any:
    """Return what is enough to send for an optimizer: its name alone if all else is as usual."""
    named = {name: one for name, one in sent.items() if name != "label" or one != sent["name"]}
    entry = next((one for one in catalog.optimizers if one.name == chosen.name), None)
    if entry is None or not entry.space.keys() <= chosen.space.keys():
        return named
    texts = texts_of(entry, chosen.space, chosen.default)
    texts |= texts_of_training(entry, chosen.space, chosen.default, common)
    given = with_training(space_of(entry, texts), entry, texts)
    short = {name: named[name] for name in ("name", "label") if name in named} | given
    again = resolve_optimizer(OptimizerChoice.model_validate(short), "optimizers", catalog, common)
    if (again.space, again.default) != (chosen.space, chosen.default):
        return named
    return short if len(short) > 1 else chosen.name


def form_of(spec: ResolvedSpec, catalog: Catalog) -> Form:
    """Return the form for a spec, as far as it can show it."""
    texts = {
        "kind": "catalog" if spec.guest is None else "function",
        "name": spec.name or "",
        "batch_size": written(spec.batch_size),
        "clip_norm": written(spec.clip_norm),
        "seed": written(spec.seed),
        "schedule": spec.schedule.name,
        "warmup": written(spec.schedule.warmup),
        "decay": written(spec.schedule.decay),
        "milestones": written(spec.schedule.milestones),
        "factor": written(spec.schedule.factor),
        "rungs": written(spec.pruning.rungs),
        "worst": written(spec.pruning.worst),
        "margin": "",
        "margin_unit": "absolute",
        "device": spec.device,
        "executor": spec.executor,
        "kernels": spec.kernels,
        "agreement": spec.agreement,
        "today": "" if spec.today is None else spec.today.name,
        **{name: written(getattr(spec.budget, key)) for name, key in BUDGET.items()},
        **(_workload(spec, catalog) if spec.guest is None else _function(spec)),
    }
    if spec.margin is not None:
        texts["margin"] = written(
            spec.margin.absolute if spec.margin.percent is None else spec.margin.percent
        )
        texts["margin_unit"] = "absolute" if spec.margin.percent is None else "percent"
    if spec.today is not None:
        texts |= {f"today.{spec.today.name}.{name}": written(one) for name, one in spec.today.config.items()}
    chosen = {one.name: one for one in spec.optimizers}
    for entry in catalog.optimizers:
        found = chosen.get(entry.name)
        space, default = (entry.space, entry.default) if found is None else (found.space, found.default)
        texts |= texts_of(entry, space, default)
        texts |= texts_of_training(entry, space, default, common_of(spec))
    return Form(texts, tuple(one.name for one in spec.optimizers))


def _workload(spec: ResolvedSpec, catalog: Catalog) -> dict[str, str]:
    workload = spec.cataloged
    usual = next((one.goal.metric for one in catalog.tasks if one.name == workload.task), None)
    own = next((one.task for one in catalog.datasets if one.name == workload.dataset.name), None)
    texts = {
        "dataset": workload.dataset.name,
        "task": "" if workload.task == own else workload.task,
        "model": workload.model.name,
        "metric": "" if workload.goal.metric == usual else workload.goal.metric,
        "augment": ", ".join(
            one.name if isinstance(one, Flip) else f"{one.name} {one.padding}" for one in workload.augment
        ),
    }
    given: tuple[tuple[str, str, Any, Mapping[str, Any]], ...] = (
        ("dataset", workload.dataset.name, catalog.datasets, workload.dataset.options),
        ("model", workload.model.name, catalog.models, workload.model.options),
        ("task", workload.task, catalog.tasks, {"class_weight": workload.class_weight}),
    )
    for part, name, entries, options in given:
        kind = next((one.options for one in entries if one.name == name), None)
        for one in () if kind is None else option_fields(kind):
            texts[f"{part}.{name}.{one.name}"] = one.write(options.get(one.name))
    return texts


def _function(spec: ResolvedSpec) -> dict[str, str]:
    guest = spec.guest
    assert guest is not None
    return {
        "function": guest.function.name,
        "function.metric": guest.goal.metric,
        "function.direction": "maximize" if guest.goal.direction is Direction.MAXIMIZE else "minimize",
        "function.baseline": written(guest.baseline),
        "function.version": guest.version or "",
    }


def _different(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Yield the paths at which two values of JSON differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in {**one, **other}:
            yield from _different(one.get(key), other.get(key), f"{path}.{key}" if path else key)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for i, (mine, its) in enumerate(zip(one, other, strict=True)):
            yield from _different(mine, its, f"{path}.{i}")
    elif one != other:
        yield path

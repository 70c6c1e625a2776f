"""What a plug-in offers, read from the object behind its entry point: options, shapes, spaces."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import Any

from torch import nn

from whichopt.service import extend
from whichopt.service.catalog.built_in import built_in
from whichopt.service.catalog.plugins import DatasetOffer, ModelOffer, Offer, OptimizerOffer, Option
from whichopt.service.catalog.tasks import TASKS
from whichopt.service.errors import InvalidSpec, PluginFailed
from whichopt.service.installed import Kind
from whichopt.service.plugins import names_of
from whichopt.workers.candidates import candidate
from whichopt.workers.plugins.loaded import Loaded, class_at, loaded, parameters

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Pattern of a plug-in's name, in full: it stands in jobs, in addresses and in tables."""

TYPES = {bool: "boolean", int: "integer", float: "number", str: "text"}

EXAMPLES: Mapping[Kind, str] = {
    "model": "a model is a callable make(shape, **options), or whichopt.extend.Model(make=...)",
    "dataset": "a dataset is whichopt.extend.Dataset(load=..., task=..., shape=Shape(...))",
    "optimizer": "an optimizer is whichopt.extend.Optimizer(target='package.module.Class', default={...}, "
    "space={...})",
}


def described(kind: Kind, name: str) -> Offer:
    """Import the plug-in of that name, and return what it offers.

    Raises:
        PluginFailed: it cannot be imported, or is nothing that jobs could use.
    """
    check_name(kind, name)
    found = loaded(kind, name)
    match kind:
        case "model":
            return model_offer(found)
        case "dataset":
            return _dataset_offer(found)
        case "optimizer":
            return optimizer_offer(found)


def check_name(kind: Kind, name: str) -> None:
    """Raise PluginFailed if no job could name a plug-in so, or would mean a built-in entry by it."""
    if not NAME.fullmatch(name):
        raise PluginFailed(
            f"{name!r} is no name for a {kind}: letters, digits, '_', '.' and '-' are allowed, at most 64"
        )
    if name in names_of(built_in(), kind):
        raise PluginFailed(
            f"whichopt itself has a {kind} {name!r}; offer yours under another name, such as 'our-{name}'"
        )


def model_of(found: Loaded) -> extend.Model:
    """Return a network's plug-in; a callable alone is one.

    Raises:
        PluginFailed: it is none.
    """
    thing = found.thing
    if isinstance(thing, extend.Model):
        return thing
    if not callable(thing) or isinstance(thing, nn.Module):
        raise _no_plugin(found)
    return extend.Model(make=thing, about=" ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split()))


def takes_shape(make: Callable[..., Any]) -> bool:
    """Tell if a network's callable asks for the shape of the data."""
    return "shape" in (parameters(make) or {})


def model_offer(found: Loaded) -> ModelOffer:
    """Return what a network's plug-in offers."""
    model = model_of(found)
    options, is_open = _options(found, model.make, ours=("shape",))
    known = {one.name for one in TASKS}
    if unknown := [task for task in model.tasks if task not in known]:
        raise PluginFailed(
            f"{found.words} is for the task {unknown[0]!r}; there are: {', '.join(sorted(known))}"
        )
    return ModelOffer(
        name=found.name,
        origin=found.origin,
        options=options,
        is_open=is_open,
        title=model.title,
        about=model.about,
        images=model.images,
        least=model.least,
        tasks=model.tasks,
        only_solo=model.only_solo,
    )


def dataset_of(found: Loaded) -> extend.Dataset:
    """Return a dataset's plug-in.

    Raises:
        PluginFailed: it is none.
    """
    if not isinstance(found.thing, extend.Dataset):
        raise _no_plugin(found)
    return found.thing


def _dataset_offer(found: Loaded) -> DatasetOffer:
    data = dataset_of(found)
    options, is_open = _options(found, data.load, ours=())
    if needed := [name for name, one in options.items() if one.required]:
        raise PluginFailed(f"{found.words} cannot be used: its callable has no default for {needed[0]!r}")
    if data.task not in ("classification", "regression"):
        raise PluginFailed(
            f"{found.words} is for the task {data.task!r}; a plug-in's data are for classification or "
            "regression"
        )
    image = data.shape.image
    if image is not None and prod(image) != data.shape.features:
        raise PluginFailed(
            f"{found.words} says that an example is an image {image} and has {data.shape.features} features; "
            f"these must be the {prod(image)} numbers of the image"
        )
    return DatasetOffer(
        name=found.name,
        origin=found.origin,
        options=options,
        is_open=is_open,
        title=data.title,
        task=data.task,
        shape=data.shape,
        source=data.source,
    )


def optimizer_offer(found: Loaded) -> OptimizerOffer:
    """Return what an optimizer's plug-in offers.

    Raises:
        PluginFailed: it is none, or its space, its default and its class do not fit each other.
    """
    given = found.thing
    if not isinstance(given, extend.Optimizer):
        raise _no_plugin(found)
    try:
        made = candidate(
            class_at(given.target),
            space=given.space,
            default=given.default,
            name=found.name,
            state_bytes=given.state_bytes,
        ).entry
    except InvalidSpec as error:
        raise PluginFailed(f"{found.words} cannot be used: {error.detail}") from error
    if made.build.target != given.target and class_at(made.build.target) is not class_at(given.target):
        raise PluginFailed(f"{found.words} cannot be used: its class is not at {made.build.target}")
    return OptimizerOffer(
        name=found.name,
        origin=found.origin,
        title=given.title or made.title,
        facts=replace(made.facts, source=given.source or f"package {found.origin.words}"),
        class_default=made.class_default,
        stackable=given.stackable,
    )


def _options(
    found: Loaded, of: Callable[..., Any], *, ours: tuple[str, ...]
) -> tuple[dict[str, Option], bool]:
    """Return the options that a callable takes by name, and whether it takes any other.

    An option whose default no job could write, such as a class, is none: the callable keeps its own.
    """
    known = parameters(of)
    if known is None:
        return {}, True
    options, is_open = {}, False
    for name, one in known.items():
        if one.kind is inspect.Parameter.VAR_KEYWORD:
            is_open = True
        elif one.kind is inspect.Parameter.POSITIONAL_ONLY:
            if one.default is inspect.Parameter.empty:
                raise PluginFailed(
                    f"{found.words} cannot be used: its callable takes {name!r} by position only, and "
                    "options are given by name"
                )
        elif (
            name not in (*ours, "name")
            and one.kind is not inspect.Parameter.VAR_POSITIONAL
            and (option := _option(one)) is not None
        ):
            options[name] = option
    return options, is_open


def _option(one: inspect.Parameter) -> Option | None:
    if one.default is inspect.Parameter.empty:
        return Option(type=_type(one.annotation), required=True)
    try:
        default = json.loads(json.dumps(one.default, allow_nan=False))
    except (TypeError, ValueError):
        return None
    return Option(type=_type(type(one.default)), default=default)


def _type(kind: Any) -> Any:
    """Return the word for the type of an option; a number may be whole or not unless its default is whole."""
    by_name = {"bool": "boolean", "int": "integer", "float": "number", "str": "text"}
    return by_name.get(kind, "any") if isinstance(kind, str) else TYPES.get(kind, "any")


def _no_plugin(found: Loaded) -> PluginFailed:
    kind = type(found.thing).__name__
    return PluginFailed(
        f"{found.words} cannot be used: {found.origin.target} is of the type {kind}; {EXAMPLES[found.kind]}"
    )

"""Plug-ins as workers tell of them, and the catalog's entries that follow from that. Nothing is imported.

Offer
├── ModelOffer        a network, with the options that its callable takes
├── DatasetOffer      data, with their task and shape
├── OptimizerOffer    an optimizer, with all facts that a job records
└── BrokenOffer       one that cannot be used, with the reason
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, create_model

from whichopt.service.catalog.datasets import DatasetEntry, DatasetOptions
from whichopt.service.catalog.model_entry import SUPERVISED, ModelEntry
from whichopt.service.catalog.model_options import ModelOptions
from whichopt.service.catalog.optimizer_entry import OptimizerEntry, OptimizerFacts, Stepping
from whichopt.service.catalog.origins import Origin
from whichopt.service.catalog.shapes import Shape
from whichopt.service.installed import Kind
from whichopt.service.space import Config

TYPES: dict[str, Any] = {
    "integer": int,
    "number": float,
    "boolean": bool,
    "text": str,
    "any": Any,
}
"""The type of an option by the word for it."""


class Option(BaseModel):
    """An option that a plug-in's callable takes by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["integer", "number", "boolean", "text", "any"] = "any"
    default: JsonValue = None
    required: bool = False


class _Offer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    origin: Origin

    def titled(self, title: str) -> str:
        return title or self.name


class _WithOptions(_Offer):
    """An offer of a callable: `is_open` says that it takes options of any name."""

    options: dict[str, Option] = {}
    is_open: bool = False
    title: str = ""


class ModelOffer(_WithOptions):
    kind: Literal["model"] = "model"
    about: str = ""
    images: bool = False
    least: int = Field(default=1, ge=1)
    tasks: tuple[str, ...] = SUPERVISED
    only_solo: str | None = None

    @property
    def entry(self) -> ModelEntry:
        return _model(self.model_dump_json())


class DatasetOffer(_WithOptions):
    kind: Literal["dataset"] = "dataset"
    task: str
    shape: Shape
    source: str = ""

    @property
    def entry(self) -> DatasetEntry:
        return _dataset(self.model_dump_json())


class OptimizerOffer(_Offer):
    kind: Literal["optimizer"] = "optimizer"
    title: str = ""
    facts: OptimizerFacts
    class_default: Config | None = None
    stackable: bool = True

    @property
    def entry(self) -> OptimizerEntry:
        facts = {name: getattr(self.facts, name) for name in self.facts.__dataclass_fields__}
        return OptimizerEntry(
            name=self.name,
            title=self.titled(self.title),
            stepping=Stepping(stackable=self.stackable, joinable=False),
            class_default=self.class_default,
            origin=self.origin,
            **facts,
        )


class BrokenOffer(_Offer):
    """A plug-in that is installed and cannot be used; `problem` says why, in words."""

    kind: Literal["broken"] = "broken"
    of: Kind
    problem: str


Offer = Annotated[ModelOffer | DatasetOffer | OptimizerOffer | BrokenOffer, Field(discriminator="kind")]
OFFER: TypeAdapter[Offer] = TypeAdapter(Offer)
OFFERS: TypeAdapter[list[Offer]] = TypeAdapter(list[Offer])


def kind_of(offer: Offer) -> Kind:
    """Return what the offer is of, broken or not."""
    return offer.of if isinstance(offer, BrokenOffer) else offer.kind


def allowed_model(name: str, source: str | None) -> ModelEntry:
    """Return the entry of a network whose callable the operator allows by that name.

    Which options the callable takes is only known to workers that import it.
    """
    offer = ModelOffer(
        name=name,
        origin=Origin(target=name, source=source),
        is_open=True,
        about="A callable that the operator allows by its name.",
    )
    return offer.entry


@lru_cache(maxsize=256)
def _model(offer: str) -> ModelEntry:
    """Return the entry, the same one for the same offer: workloads are kept by it."""
    told = ModelOffer.model_validate_json(offer)
    return ModelEntry(
        name=told.name,
        title=told.titled(told.title),
        params=lambda _, __: 0,
        about=told.about or f"A network from {told.origin.words}.",
        options=_options(told, ModelOptions),
        needs_image=told.images,
        least=lambda _, __: told.least,
        only_solo=lambda _: told.only_solo,
        tasks=told.tasks,
        origin=told.origin,
    )


@lru_cache(maxsize=256)
def _dataset(offer: str) -> DatasetEntry:
    told = DatasetOffer.model_validate_json(offer)
    return DatasetEntry(
        name=told.name,
        title=told.titled(told.title),
        task=told.task,
        shape=lambda _: told.shape,
        source=told.source or f"package {told.origin.words}",
        options=_options(told, DatasetOptions),
        origin=told.origin,
    )


def _options(told: _WithOptions, base: type[Any]) -> type[Any]:
    fields: dict[str, Any] = {
        name: (
            TYPES[one.type] | None if one.default is None and not one.required else TYPES[one.type],
            ... if one.required else one.default,
        )
        for name, one in told.options.items()
    }
    config = ConfigDict(frozen=True, extra="allow" if told.is_open else "forbid", protected_namespaces=())
    kind = type(base.__name__, (base,), {"model_config": config, "__module__": __name__})
    return create_model("PluginOptions", __base__=kind, **fields)

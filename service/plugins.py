"""The plug-ins that live workers offer, and what jobs may name of them. Nothing here imports any of them.

A name is a plug-in's own (an entry point of a package that is installed where workers run) or, of a network,
`module:callable`, which the operator must allow by exactly that name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from whichopt.service.allowed import check_allowed
from whichopt.service.catalog.built_in import Catalog, built_in
from whichopt.service.catalog.models import ModelEntry
from whichopt.service.catalog.origins import Origin
from whichopt.service.catalog.plugins import BrokenOffer, Offer, allowed_model, kind_of
from whichopt.service.errors import PluginChanged, PluginFailed, PluginMissing
from whichopt.service.installed import Kind, installed
from whichopt.service.spec import FunctionWorkload, JobSpec, ResolvedSpec
from whichopt.service.spec.origins import origins
from whichopt.service.views.plugins import PluginOffer, PluginView

if TYPE_CHECKING:
    from whichopt.service.db import Transaction
    from whichopt.service.settings import Settings

MODEL_FIELD = "workload.model.name"


@dataclass(frozen=True)
class Named:
    """A name that a job gives, of which kind it is, and where in the job it stands."""

    kind: Kind
    name: str
    field: str


def offered(tx: Transaction, *, within_s: float) -> Catalog:
    """Return the built-in catalog with the plug-ins that live workers offer, each as it is on the first.

    A plug-in with the name of a built-in entry is none: nobody could tell which of the two a job means.
    """
    known = built_in()
    found: dict[Kind, dict[str, Offer]] = {"model": {}, "dataset": {}, "optimizer": {}}
    for _, _, offer in tx.workers.plugins(within_s=within_s):
        if not isinstance(offer, BrokenOffer) and offer.name not in names_of(known, kind_of(offer)):
            found[kind_of(offer)].setdefault(offer.name, offer)
    return replace(
        known,
        models=(*known.models, *(one.entry for one in found["model"].values() if one.kind == "model")),
        datasets=(
            *known.datasets,
            *(one.entry for one in found["dataset"].values() if one.kind == "dataset"),
        ),
        optimizers=(
            *known.optimizers,
            *(one.entry for one in found["optimizer"].values() if one.kind == "optimizer"),
        ),
    )


def names_of(catalog: Catalog, kind: Kind) -> set[str]:
    """Return the names of the catalog's entries of that kind."""
    match kind:
        case "model":
            return {entry.name for entry in catalog.models}
        case "dataset":
            return {entry.name for entry in catalog.datasets}
        case "optimizer":
            return {entry.name for entry in catalog.optimizers}


def known_name(tx: Transaction, kind: Kind, name: str, *, within_s: float) -> str:
    """Return the name of a model or an optimizer that jobs can name, or have named before it was uninstalled.

    Raises:
        UnknownName: there is none, and was none; the field is its kind.
    """
    known = offered(tx, within_s=within_s)
    if name in names_of(known, kind) or tx.past.named(kind, name):
        return name
    find = known.model if kind == "model" else known.optimizer
    return find(name, field=kind).name


def catalog_for(tx: Transaction, spec: JobSpec, settings: Settings) -> Catalog:
    """Return the catalog with all that the job names and this service knows of.

    Raises:
        UnknownFunction: it names a network that the operator does not allow.
        PluginFailed: a plug-in that it names cannot be used.
        PluginChanged: live workers have different ones of that name.
        PluginMissing: a plug-in that it names is installed here, but no live worker offers it.
    """
    within_s = settings.worker_alive_s
    known = offered(tx, within_s=within_s)
    for named in _named(spec):
        if named.kind == "model" and ":" in named.name:
            known = replace(known, models=(*known.models, _allowed(tx, named, settings)))
        elif named.kind == "dataset" and tx.datasets.named(named.name) is not None:
            continue  # a person's own of that name is meant, as before there was the plug-in
        elif named.name not in names_of(built_in(), named.kind):
            _check_usable(tx, named, within_s=within_s)
    return known


def check_unchanged(tx: Transaction, spec: ResolvedSpec, *, queue: str, within_s: float) -> None:
    """Raise PluginChanged if workers that may train the job have another plug-in than it began with."""
    told = [
        (worker, kind_of(offer), offer)
        for worker, of_queue, offer in tx.workers.plugins(within_s=within_s)
        if of_queue == queue and not isinstance(offer, BrokenOffer)
    ]
    for kind, name, origin in origins(spec):
        begun = {"when the job began": origin} if origin.source is not None else {}
        here = {worker: one.origin for worker, of, one in told if (of, one.name) == (kind, name)}
        check_same(kind, name, {**begun, **here})


def check_same(kind: Kind, name: str, places: dict[str, Origin], *, field: str | None = None) -> None:
    """Raise PluginChanged if the plug-in's source differs, by worker or by whatever has it."""
    by_source: dict[tuple[str | None, str], list[str]] = {}
    for holder, origin in places.items():
        by_source.setdefault((origin.source, origin.words), []).append(holder)
    if len({source for source, _ in by_source}) < 2:
        return
    holders = "; ".join(
        f"{words}, source {(source or 'unknown')[:16]} ({', '.join(sorted(of)[:3])})"
        for (source, words), of in by_source.items()
    )
    raise PluginChanged(
        f"the {kind} {name!r} is not the same everywhere: it is {holders}. Bring all workers to one version "
        "of its package, restart them, and send the job again",
        field=field,
        value=name,
    )


def views(tx: Transaction, *, within_s: float) -> list[PluginView]:
    """Return each plug-in that is installed where live workers run, or beside this service."""
    told: dict[tuple[Kind, str], list[tuple[str, str, Offer]]] = {}
    for worker, queue, offer in tx.workers.plugins(within_s=within_s):
        told.setdefault((kind_of(offer), offer.name), []).append((worker, queue, offer))
    for one in installed():
        told.setdefault((one.kind, one.name), [])
    return [_view(kind, name, of) for (kind, name), of in sorted(told.items())]


def _view(kind: Kind, name: str, told: list[tuple[str, str, Offer]]) -> PluginView:
    offers = [
        PluginOffer(
            worker=worker,
            queue=queue,
            package=offer.origin.package,
            version=offer.origin.version,
            target=offer.origin.target,
            source=offer.origin.source,
            problem=offer.problem if isinstance(offer, BrokenOffer) else None,
        )
        for worker, queue, offer in told
    ]
    sources = {one.source for one in offers if one.problem is None}
    here = next((one for one in installed() if (one.kind, one.name) == (kind, name)), None)
    usual = offers[0].package if offers else here and here.package
    return PluginView(kind=kind, name=name, package=usual, workers=offers, same=len(sources) <= 1)


def _named(spec: JobSpec) -> Iterator[Named]:
    if not isinstance(spec.workload, FunctionWorkload):
        yield Named("dataset", spec.workload.dataset.name, "workload.dataset.name")
        yield Named("model", spec.workload.model.name, MODEL_FIELD)
    for i, chosen in enumerate(spec.optimizers):
        yield Named("optimizer", chosen.name, f"optimizers.{i}.name")
    if spec.today is not None:
        yield Named("optimizer", spec.today.name, "today.name")


def _allowed(tx: Transaction, named: Named, settings: Settings) -> ModelEntry:
    """Return the entry of a network whose callable the operator allows."""
    check_allowed(named.name, settings.allowed_functions, field=named.field, what="model")
    told = {
        worker: Origin(target=of, source=source)
        for worker, _, of, source in tx.workers.offers(within_s=settings.worker_alive_s)
        if of == named.name
    }
    check_same("model", named.name, told, field=named.field)
    first = next(iter(told.values()), None)
    return allowed_model(named.name, None if first is None else first.source)


def _check_usable(tx: Transaction, named: Named, *, within_s: float) -> None:
    """Raise what is in the way of a plug-in of that name, if there is one; an unknown name passes."""
    told = [
        (worker, offer)
        for worker, _, offer in tx.workers.plugins(within_s=within_s)
        if (kind_of(offer), offer.name) == (named.kind, named.name)
    ]
    sound = {worker: offer.origin for worker, offer in told if not isinstance(offer, BrokenOffer)}
    if sound:
        check_same(named.kind, named.name, sound, field=named.field)
        return
    for _, offer in told:
        assert isinstance(offer, BrokenOffer)
        raise PluginFailed(
            f"the {named.kind} {named.name!r} from {offer.origin.words} cannot be used: {offer.problem}",
            field=named.field,
            value=named.name,
        )
    for one in installed():
        if (one.kind, one.name) == (named.kind, named.name):
            raise PluginMissing(
                f"the {named.kind} {named.name!r} is from the package {one.package}, which no live worker "
                "offers: install it where the workers run and restart them; one that has just started needs "
                "a moment to import it",
                field=named.field,
                value=named.name,
            )

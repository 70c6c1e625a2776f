"""The functions that an operator allows, and which workers offer them. Nothing here imports any of them.

A name is allowed exactly as the operator wrote it: `module:function`, without a wildcard, a path or a chain
of attributes. Whoever trains it checks it again, before it is imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from whichopt.service import datasets, plugins
from whichopt.service.allowed import check_allowed
from whichopt.service.errors import FunctionChanged
from whichopt.service.spec import FunctionWorkload, JobSpec, ResolvedSpec, resolve
from whichopt.service.views import FunctionOffer, FunctionView

if TYPE_CHECKING:
    from whichopt.service.db import Store, Transaction
    from whichopt.service.settings import Settings

FIELD = "workload.function.name"


def resolved(store: Store, spec: JobSpec, settings: Settings) -> ResolvedSpec:
    """Return a spec that was sent with every default written out; nothing that it names is imported.

    Its dataset may be one that was sent, its function one that the operator allows, and each of its names one
    of a plug-in.

    Raises:
        InvalidSpec: something is unknown or out of bounds.
        UnknownFunction: the operator allows no such function.
        FunctionChanged: the live workers that offer it have different ones.
        DatasetNotReady: its dataset is not ready for a job.
        PluginFailed: a plug-in that it names cannot be used, differs between workers, or is on none.
    """
    if isinstance(spec.workload, FunctionWorkload):
        check_allowed(spec.workload.function.name, settings.allowed_functions, field=FIELD)
    with store.read() as tx:
        known = plugins.catalog_for(tx, spec, settings)
        offers = tx.workers.offers(within_s=settings.worker_alive_s)
    if not isinstance(spec.workload, FunctionWorkload):
        return datasets.resolved(store, spec, settings.limits, known)
    name = spec.workload.function.name
    asked = resolve(spec, known)
    sources = {worker: source for worker, _, of, source in offers if of == name}
    check_same(name, sources)
    source = next(iter(sources.values()), None)
    assert asked.guest is not None
    return asked.model_copy(update={"workload": asked.guest.model_copy(update={"source": source})})


def check_same(name: str, sources: Mapping[str, str]) -> None:
    """Raise FunctionChanged if the function has different sources, by worker or by whatever has them."""
    by_source: dict[str, list[str]] = {}
    for holder, source in sources.items():
        by_source.setdefault(source, []).append(holder)
    if len(by_source) < 2:
        return
    holders = "; ".join(f"{source[:16]} {_listed(of)}" for source, of in by_source.items())
    raise FunctionChanged(
        f"the function {name!r} is not the same everywhere: its source is {holders}. Bring all workers to "
        "one version of its code, restart them, and send the job again",
        field=FIELD,
        value=name,
        allowed=list(by_source),
    )


def check_unchanged(tx: Transaction, spec: ResolvedSpec, *, queue: str, within_s: float) -> None:
    """Raise FunctionChanged if workers that may train the job have another function than it began with.

    Args:
        tx: a transaction that may read.
        spec: the job.
        queue: the queue that its trials are taken from.
        within_s: how recently, in seconds, a worker must have been seen to count.
    """
    if spec.guest is None:
        return
    name, begun = spec.guest.function.name, spec.guest.source
    sources = {
        worker: source
        for worker, of_queue, of, source in tx.workers.offers(within_s=within_s)
        if of == name and of_queue == queue
    }
    check_same(name, sources if begun is None else {"when the job began": begun, **sources})


def all_functions(tx: Transaction, allowed: Iterable[str], *, within_s: float) -> list[FunctionView]:
    """Return each function that the operator allows, with the live workers that offer it."""
    offers = tx.workers.offers(within_s=within_s)
    views = []
    for name in allowed:
        own = [
            FunctionOffer(worker=worker, queue=queue, source=source)
            for worker, queue, of, source in offers
            if of == name
        ]
        views.append(FunctionView(name=name, workers=own, same=len({one.source for one in own}) <= 1))
    return views


def _listed(holders: list[str]) -> str:
    shown = ", ".join(sorted(holders)[:3])
    return f"({shown}{' and more' if len(holders) > 3 else ''})"

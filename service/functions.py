"""The functions that an operator allows, and which workers offer them. Nothing here imports any of them.

A name is allowed exactly as the operator wrote it: `module:function`, without a wildcard, a path or a chain
of attributes. Whoever trains it checks it again, before it is imported.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from whichopt.service import datasets
from whichopt.service.errors import FunctionChanged, UnknownFunction
from whichopt.service.function_names import ALLOWED_NAME
from whichopt.service.spec import FunctionWorkload, JobSpec, ResolvedSpec, resolve
from whichopt.service.views import FunctionOffer, FunctionView

if TYPE_CHECKING:
    from whichopt.service.db import Store, Transaction
    from whichopt.service.settings import Settings

FIELD = "workload.function.name"


def check_allowed(name: str, allowed: Collection[str], *, field: str = FIELD) -> None:
    """Raise UnknownFunction unless the operator allows the function by exactly this name."""
    if name in allowed:
        return
    near = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
    if not re.fullmatch(ALLOWED_NAME, name):
        said = f"{name[:100]!r} is no name of a function, as in 'ourlab.train:fit'"
    else:
        said = f"the operator allows no function {name!r}"
    hint = f"did you mean {near[0]!r}?" if near else _there_are(allowed)
    raise UnknownFunction(
        f"{said}; {hint}",
        field=field,
        value=name,
        allowed=list(allowed),
        nearest=near[0] if near else None,
    )


def _there_are(allowed: Collection[str]) -> str:
    if allowed:
        return f"choose one of: {', '.join(allowed)}"
    return "none is allowed: the operator sets WHICHOPT_ALLOW for the API and the workers"


def resolved(store: Store, spec: JobSpec, settings: Settings) -> ResolvedSpec:
    """Return a spec that was sent with every default written out; nothing that it names is imported.

    Its dataset may be one that was sent, its function one that the operator allows.

    Raises:
        InvalidSpec: something is unknown or out of bounds.
        UnknownFunction: the operator allows no such function.
        FunctionChanged: the live workers that offer it have different ones.
        DatasetNotReady: its dataset is not ready for a job.
    """
    if not isinstance(spec.workload, FunctionWorkload):
        return datasets.resolved(store, spec, settings.limits)
    name = spec.workload.function.name
    check_allowed(name, settings.allowed_functions)
    asked = resolve(spec)
    with store.read() as tx:
        offers = tx.workers.offers(within_s=settings.worker_alive_s)
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

"""The plug-ins that a job is about, as it records them."""

from __future__ import annotations

from collections.abc import Iterator

from whichopt.service.catalog.origins import Origin
from whichopt.service.installed import Kind
from whichopt.service.spec.resolved import ResolvedSpec


def origins(spec: ResolvedSpec) -> Iterator[tuple[Kind, str, Origin]]:
    """Yield the plug-ins of a job: what each is of, its name and its place."""
    if spec.guest is None:
        workload = spec.cataloged
        if workload.dataset_origin is not None:
            yield "dataset", workload.dataset.name, workload.dataset_origin
        if workload.model_origin is not None:
            yield "model", workload.model.name, workload.model_origin
    for one in (*spec.optimizers, *(() if spec.today is None else (spec.today,))):
        if one.origin is not None:
            yield "optimizer", one.name, one.origin

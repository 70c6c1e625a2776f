"""The catalog's entries that a resolved workload records by itself: of a person's own data, of plug-ins."""

from __future__ import annotations

from dataclasses import replace

from whichopt.service.catalog.built_in import Catalog, built_in
from whichopt.service.catalog.datasets import DatasetEntry, DatasetOptions
from whichopt.service.catalog.models import ModelEntry
from whichopt.service.catalog.plugins import DatasetOffer, ModelOffer
from whichopt.service.spec.workloads import ResolvedWorkload


def with_recorded(workload: ResolvedWorkload, catalog: Catalog | None = None) -> Catalog:
    """Return the catalog in which the workload's names stand for what it records of them.

    A name that is neither a person's own dataset nor a plug-in's keeps its entry.
    """
    known = built_in() if catalog is None else catalog
    if (data := recorded_dataset(workload)) is not None:
        known = replace(known, datasets=(data,))
    if (model := recorded_model(workload)) is not None:
        known = replace(known, models=(model,))
    return known


def recorded_dataset(workload: ResolvedWorkload) -> DatasetEntry | None:
    """Return the entry of a dataset of which the workload alone knows; None if it is built in."""
    origin = workload.dataset_origin
    if origin is not None:
        offer = DatasetOffer(
            name=workload.dataset.name,
            origin=origin.asked(),
            is_open=True,
            task=workload.task,
            shape=workload.shape,
        )
        return replace(offer.entry, own_sizes=workload.sizes)
    if workload.upload is None:
        return None
    return DatasetEntry(
        name=workload.dataset.name,
        title=workload.dataset.name,
        task=workload.task,
        shape=lambda _: workload.shape,
        source="uploaded",
        options=DatasetOptions,
        upload=workload.upload,
        content=workload.content,
        own_sizes=workload.sizes,
    )


def recorded_model(workload: ResolvedWorkload) -> ModelEntry | None:
    """Return the entry of a model of which the workload alone knows; None if it is built in."""
    origin = workload.model_origin
    if origin is None:
        return None
    offer = ModelOffer(name=workload.model.name, origin=origin.asked(), is_open=True, tasks=(workload.task,))
    return offer.entry

"""The datasets and models of the catalog that can be trained together in a stack."""

from __future__ import annotations

import itertools

from whichopt.service.catalog.datasets import DATASETS, DatasetEntry
from whichopt.service.catalog.model_entry import SUPERVISED
from whichopt.service.catalog.models import MODELS, ModelEntry

STACKABLE = [
    entry
    for entry in MODELS
    if entry.only_solo(entry.options()) is None and set(SUPERVISED) & set(entry.tasks)
]


def pairs() -> list[tuple[DatasetEntry, ModelEntry]]:
    """The datasets and models that go together.

    Networks of many layers are for images with a height: of a row they leave one pixel, of which batch
    normalization takes differences that are rounding alone. They are held against each other in float64
    (`tests/workers/engine/stacked/test_deep_networks.py`).
    """
    return [
        (data, model)
        for data, model in itertools.product(DATASETS, STACKABLE)
        if data.task in SUPERVISED and data.task in model.tasks and _height(data) >= _least_height(model)
    ]


def _height(data: DatasetEntry) -> int:
    image = data.shape(data.options()).image
    return 0 if image is None else image[1]


def _least_height(model: ModelEntry) -> int:
    return 2 if model.small else int(model.needs_image)

"""The catalog that comes with the package, as one value that is handed to what looks something up.

Who has entries of their own hands on another: `replace(built_in(), datasets=(*built_in().datasets, mine))`.
"""

from __future__ import annotations

from dataclasses import dataclass

from whichopt.service.catalog import datasets, find, models, optimizers, tasks
from whichopt.service.catalog.datasets import DatasetEntry
from whichopt.service.catalog.models import ModelEntry
from whichopt.service.catalog.optimizer_entry import OptimizerEntry
from whichopt.service.catalog.tasks import TaskEntry


@dataclass(frozen=True)
class Catalog:
    """The entries that a job can name. Another name raises UnknownName, with `field` and the nearest name."""

    tasks: tuple[TaskEntry, ...]
    datasets: tuple[DatasetEntry, ...]
    models: tuple[ModelEntry, ...]
    optimizers: tuple[OptimizerEntry, ...]

    def task(self, name: str, *, field: str | None = None) -> TaskEntry:
        return find("task", name, self.tasks, field=field)

    def dataset(self, name: str, *, field: str | None = None) -> DatasetEntry:
        return find("dataset", name, self.datasets, field=field)

    def model(self, name: str, *, field: str | None = None) -> ModelEntry:
        return find("model", name, self.models, field=field)

    def optimizer(self, name: str, *, field: str | None = None) -> OptimizerEntry:
        return find("optimizer", name, self.optimizers, field=field)


def built_in() -> Catalog:
    """Return the package's own entries, in their order."""
    return Catalog(tasks.TASKS, datasets.DATASETS, models.MODELS, optimizers.OPTIMIZERS)

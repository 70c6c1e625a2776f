"""The tabs of the catalog's pages."""

from __future__ import annotations

from whichopt.service.catalog import datasets, models, optimizers, tasks


def tabs(functions: int) -> list[tuple[str, str, int]]:
    """Return the tabs: what the address says, the word, and how many entries there are."""
    return [
        ("optimizers", "Optimizers", len(optimizers.OPTIMIZERS)),
        ("datasets", "Datasets", len(datasets.DATASETS)),
        ("models", "Models", len(models.MODELS)),
        ("tasks", "Tasks", len(tasks.TASKS)),
        ("functions", "Functions", functions),
    ]

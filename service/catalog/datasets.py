"""The datasets: their shapes and sizes, so that a job can be judged before anything is loaded."""

from __future__ import annotations

from pydantic import Field

from whichopt.service.catalog import find, generation
from whichopt.service.catalog.dataset_entry import DatasetEntry, DatasetOptions, fixed
from whichopt.service.catalog.label_noise import LabelNoiseOptions
from whichopt.service.catalog.language import UNICODE_NAMES, TextOptions, of_text
from whichopt.service.catalog.shapes import Shape
from whichopt.service.catalog.yardsticks import YARDSTICKS
from whichopt.service.texts import Text
from whichopt.service.uploads import Choices, File, Table

__all__ = [
    "DATASETS",
    "DatasetEntry",
    "DatasetOptions",
    "Friedman1Options",
    "dataset",
    "own_options",
    "source_of",
    "uploaded",
]


class Friedman1Options(DatasetOptions):
    examples: int = Field(default=1000, ge=100, le=100_000)
    features: int = Field(default=10, ge=5, le=1000)
    noise: float = Field(default=1.0, ge=0, le=100, allow_inf_nan=False)


def _friedman1(options: DatasetOptions) -> Shape:
    assert isinstance(options, Friedman1Options)
    return Shape(options.examples, options.features, 1)


DATASETS = (
    DatasetEntry(
        name="digits",
        title="Handwritten digits, 8x8",
        task="classification",
        shape=fixed(Shape(1797, 64, 10, image=(1, 8, 8))),
        source="scikit-learn load_digits (UCI Optical Recognition of Handwritten Digits)",
        options=LabelNoiseOptions,
        handed=True,
        also=("generation", "autoencoding"),
    ),
    DatasetEntry(
        name="breast_cancer",
        title="Breast cancer, Wisconsin",
        task="classification",
        shape=fixed(Shape(569, 30, 2)),
        source="scikit-learn load_breast_cancer (UCI WDBC)",
        options=LabelNoiseOptions,
    ),
    DatasetEntry(
        name="wine",
        title="Wine cultivars",
        task="classification",
        shape=fixed(Shape(178, 13, 3)),
        source="scikit-learn load_wine (UCI Wine)",
        options=LabelNoiseOptions,
    ),
    DatasetEntry(
        name="diabetes",
        title="Diabetes progression",
        task="regression",
        shape=fixed(Shape(442, 10, 1)),
        source="scikit-learn load_diabetes (Efron et al. 2004, Least Angle Regression)",
    ),
    DatasetEntry(
        name="friedman1",
        title="Friedman 1, generated",
        task="regression",
        shape=_friedman1,
        source="scikit-learn make_friedman1 (Friedman 1991, Multivariate Adaptive Regression Splines)",
        options=Friedman1Options,
    ),
    UNICODE_NAMES,
    *YARDSTICKS,
    generation.RING,
)


ALSO_OF_IMAGES = ("generation", "autoencoding")
"""Tasks that a person's own images can be used for besides the one that was found."""


def uploaded(
    name: str, table: Table, file: File, content: str, choices: Choices | None = None
) -> DatasetEntry:
    """Return the entry of a person's own dataset.

    Args:
        name: the name that jobs give.
        table: what the reader found in the file.
        file: the file that was sent.
        content: the hash of the columns that are kept of it.
        choices: what was said about the file.
    """
    return DatasetEntry(
        name=name,
        title=name,
        task=table.task,
        shape=fixed(table.shape) if table.text is None else of_text(table.text),
        source=source_of(file),
        options=own_options(table.task, table.text),
        upload=table.upload(file, choices),
        content=content,
        own_sizes=table.sizes if table.text is None else None,
        also=() if table.images is None else ALSO_OF_IMAGES,
    )


def own_options(task: str, text: Text | None) -> type[DatasetOptions]:
    """Return the options that a job may give of a person's own data, which are a text or are not."""
    if text is not None:
        return TextOptions
    return LabelNoiseOptions if task == "classification" else DatasetOptions


def source_of(file: File) -> str:
    """Say where a person's own dataset is from."""
    if file.name and file.name.startswith("folder:"):
        return f"{file.name}, read where it lies"
    return f"uploaded as {file.name}" if file.name else "uploaded"


def dataset(name: str, *, field: str | None = None) -> DatasetEntry:
    return find("dataset", name, DATASETS, field=field)

"""Label noise: the option of a classification dataset by which some of its training labels are wrong."""

from __future__ import annotations

from pydantic import Field

from whichopt.service.catalog.dataset_entry import DatasetOptions

NOISE_SEED = 20
"""Seed of the draws that say which rows are mislabeled first, and as what; the same for every job."""


class LabelNoiseOptions(DatasetOptions):
    label_noise: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        allow_inf_nan=False,
        exclude_if=lambda share: share == 0,
        description="Share of the training labels that are replaced by another class. Rows and classes are "
        "drawn by a seed that never changes; validation and test keep their labels.",
    )

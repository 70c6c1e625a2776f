"""Label noise: its share of the training labels, the same rows in every division, and no other label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from whichopt.service.errors import InvalidSpec
from whichopt.service.spec import JobSpec, resolve
from whichopt.workers.workload import Workload, build
from whichopt.workers.workload.label_noise import mislabeled


def _workload(**options: Any) -> Workload:
    dataset = {"name": "digits", **options}
    body = {"workload": {"dataset": dataset, "model": "linear"}}
    return build(resolve(JobSpec.model_validate(body)).cataloged)


def test_that_share_of_the_training_labels_is_another_class() -> None:
    clean, noisy = _workload().splits(3), _workload(label_noise=0.2).splits(3)
    wrong = (clean.train.targets != noisy.train.targets).sum().item()
    assert wrong == round(0.2 * len(clean.train))
    assert set(noisy.train.targets.tolist()) == set(range(10))
    for name in ("train", "validation", "test"):
        assert torch.equal(clean.named(name).inputs, noisy.named(name).inputs)
    for name in ("validation", "test"):
        assert torch.equal(clean.named(name).targets, noisy.named(name).targets)


def test_a_row_that_is_mislabeled_is_so_as_the_same_class_in_every_division() -> None:
    labels = np.arange(1000) % 7
    random = np.random.default_rng(5)
    one, other = (np.sort(random.permutation(1000)[:600]) for _ in range(2))
    first, second = mislabeled(labels, one, 0.3), mislabeled(labels, other, 0.3)
    both = np.intersect1d(one, other)
    changed = (first != labels)[both] & (second != labels)[both]
    assert (first[both] == second[both])[changed].all()
    # Only the last ones to be mislabeled depend on how many rows before them train.
    assert ((first != labels)[both] != (second != labels)[both]).mean() < 0.05


def test_other_classes_are_drawn_alike() -> None:
    labels = np.zeros(100_000, dtype=np.int64)
    labels[-1] = 4
    taught = mislabeled(labels, np.arange(99_999), 0.5)
    counts = np.bincount(taught)
    assert counts[0] == pytest.approx(50_000, abs=1)
    assert counts[1:4] == pytest.approx(np.full(3, 12_500), rel=0.05)  # 5 standard deviations of a count


def test_a_smaller_share_is_part_of_a_larger_one() -> None:
    labels, rows = np.arange(500) % 3, np.arange(500)
    few, many = mislabeled(labels, rows, 0.1) != labels, mislabeled(labels, rows, 0.4) != labels
    assert (few & ~many).sum() == 0


def test_an_earlier_spec_keeps_its_bytes() -> None:
    body = {"workload": {"dataset": "digits", "model": "linear"}}
    raw = resolve(JobSpec.model_validate(body)).model_dump(mode="json")
    assert raw["workload"]["dataset"] == {"name": "digits"}


def test_it_is_recorded() -> None:
    body = {"workload": {"dataset": {"name": "wine", "label_noise": 0.25}, "model": "linear"}}
    spec = resolve(JobSpec.model_validate(body))
    assert spec.cataloged.dataset.options == {"label_noise": 0.25}
    assert resolve(JobSpec.model_validate_json(spec.model_dump_json())) == spec


@pytest.mark.parametrize("share", [-0.1, 1, "0.2", True])
def test_a_share_is_a_number_below_one(share: Any) -> None:
    body = {"workload": {"dataset": {"name": "wine", "label_noise": share}, "model": "linear"}}
    with pytest.raises(InvalidSpec) as refused:
        resolve(JobSpec.model_validate(body))
    assert refused.value.field == "workload.dataset.label_noise"

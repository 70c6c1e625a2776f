"""The yardstick of samples: distances against other formulas, modes and quality of made-up samples."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch

from whichopt.service.catalog.datasets import DatasetOptions
from whichopt.service.catalog.generation import RingOptions
from whichopt.service.spec import JobSpec, resolve
from whichopt.workers.workload import Examples, build
from whichopt.workers.workload.data import TABLES
from whichopt.workers.workload.generation import metrics, ring, shown
from whichopt.workers.workload.judge import (
    CLOSEST,
    MOST_EXAMPLES,
    REACH,
    Judge,
    bures,
    clusters,
    judge,
    sliced_wasserstein,
)

OPTIONS = RingOptions(modes=5, radius=3, deviation=0.2, examples=5000)
CENTERS = 3 * np.stack([np.cos(2 * np.pi * np.arange(5) / 5), np.sin(2 * np.pi * np.arange(5) / 5)], axis=1)


@pytest.fixture(scope="module")
def of_ring() -> Judge:
    table = ring(OPTIONS)
    return judge(torch.from_numpy(table.features), torch.from_numpy(table.labels))


@pytest.fixture(scope="module")
def digits() -> tuple[torch.Tensor, torch.Tensor]:
    table = TABLES["digits"](DatasetOptions())
    rows = np.random.default_rng(0).permutation(len(table.labels))
    return torch.from_numpy(table.features[rows] / 16), torch.from_numpy(table.labels[rows])


def _normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


# -- distances -------------------------------------------------------------------------------------------


def test_on_a_line_it_is_scipys_distance() -> None:
    """Of numbers on a line each direction is + or - 1."""
    one, other = _normal(300, 1), 2 * _normal(300, 1, seed=1) + 1
    found = sliced_wasserstein(one, other).item()
    assert found == pytest.approx(scipy.stats.wasserstein_distance(one[:, 0], other[:, 0]), rel=1e-10)


def test_a_shift_moves_each_sample_by_its_part_along_a_line() -> None:
    """The mean of |cos| over directions in the plane is 2 / pi; of 128 random ones to 3 standard errors."""
    points = _normal(500, 2)
    found = sliced_wasserstein(points + torch.tensor([4.0, 0.0]), points).item()
    assert found == pytest.approx(4 * 2 / math.pi, abs=4 * 3 * 0.31 / math.sqrt(128))
    assert sliced_wasserstein(points.flip(0), points).item() == 0


@pytest.mark.parametrize("rank", [2, 6])
def test_the_frechet_distance_is_that_of_a_matrix_root(rank: int) -> None:
    """Also if a covariance is singular, as that of one repeated sample is."""
    root = _normal(6, rank)
    one, other = root @ root.t(), torch.cov(_normal(6, 50, seed=2))
    cross = scipy.linalg.sqrtm((one @ other + 1e-12 * torch.eye(6)).numpy()).real
    wanted = one.trace().item() + other.trace().item() - 2 * np.trace(cross)
    # The reference's root of a singular product is good to about the root of float64's precision.
    assert bures(one, other).item() == pytest.approx(wanted, abs=1e-4)
    assert bures(other, other).item() == pytest.approx(0, abs=1e-8)


def test_gaussians_are_as_far_apart_as_their_means_and_deviations(of_ring: Judge) -> None:
    one = _normal(2000, 2)
    one = (one - one.mean(dim=0)) @ torch.linalg.inv(
        torch.linalg.cholesky(torch.cov(one.t(), correction=0))
    ).t()
    other = 3 * one + torch.tensor([1.0, 2.0])
    assert of_ring.frechet(one, other).item() == pytest.approx(1 + 4 + 2 * (3 - 1) ** 2, rel=1e-9)


# -- modes and quality -----------------------------------------------------------------------------------


def test_a_mode_of_points_is_a_gaussian_of_the_data(of_ring: Judge) -> None:
    """1000 points a mode: their mean is off by 0.2 / sqrt(1000), and their deviation by a fiftieth of it."""
    order = np.argsort(np.arctan2(*of_ring.centers.numpy().T[::-1]) % (2 * np.pi - 0.1))
    assert np.allclose(of_ring.centers[order], CENTERS, atol=4 * 0.2 / math.sqrt(1000))
    assert np.allclose(of_ring.reach, REACH * 0.2, rtol=0.1)
    assert of_ring.shares.tolist() == pytest.approx([0.2] * 5)


def test_modes_are_counted_by_their_share_of_the_samples(of_ring: Judge) -> None:
    """With 100 samples a mode needs a fifth of its share of them: 4, up to rounding."""
    centers = torch.from_numpy(CENTERS)
    away = torch.zeros(1, 2).double()
    for own, found in ((5, 2), (3, 1)):
        samples = torch.cat(
            [centers[:1].expand(60, 2), centers[1:2].expand(own, 2), away.expand(40 - own, 2)]
        )
        assert of_ring.modes(samples).item() == found
        assert of_ring.high_quality(samples).item() == pytest.approx((60 + own) / 100)


def test_real_points_are_of_high_quality(of_ring: Judge) -> None:
    """Within 3 deviations of a Gaussian in the plane: 1 - exp(-4.5); 5000 of them, to 3 standard errors."""
    points = torch.from_numpy(ring(OPTIONS).features)
    assert of_ring.modes(points).item() == 5
    assert of_ring.high_quality(points).item() == pytest.approx(1 - math.exp(-4.5), abs=3 * 0.0015)


def test_classes_of_images_are_modes(digits: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Fitted on most of the digits it tells the others apart, and counts what a generator leaves out."""
    images, labels = digits
    by = judge(images[:1400], labels[:1400])
    others, known = images[1400:], labels[1400:]
    nearest, _ = by.near(others)
    assert (nearest == known).double().mean() > 0.9
    assert by.modes(others).item() == 10
    assert by.modes(others[known < 4]).item() == 4
    # Of 397, to 3 standard errors of 0.011; and classes of 35 examples tell their reach to 0.02.
    assert by.high_quality(others).item() == pytest.approx(CLOSEST, abs=0.05)
    gray = torch.full((100, 64), 0.5).double()
    noise = torch.from_numpy(np.random.default_rng(0).random((100, 64)))
    for samples in (gray, noise):
        assert by.modes(samples).item() == 0
        assert by.high_quality(samples).item() == 0
        assert by.frechet(samples, others) > 10 * by.frechet(images[1000:1400], others)


def test_it_is_the_same_each_time(digits: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, labels = digits
    one, other = (judge(images[:600], labels[:600]) for _ in range(2))
    assert torch.equal(one.features(images[:50]), other.features(images[:50]))
    assert torch.equal(one.reach, other.reach)


def test_without_classes_clusters_stand_in_for_them(digits: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, _ = digits
    by = judge(images, None)
    assert by.modes(images).item() == len(by.centers) == 10
    groups = torch.cat([center + 0.1 * _normal(40, 3, seed=i) for i, center in enumerate(9 * torch.eye(3))])
    found = clusters(groups)
    assert all(
        len(set(own.tolist()) & set(other.tolist())) == 0 for own, other in pairwise(torch.split(found, 40))
    )


def test_samples_that_are_not_finite_have_no_metric(of_ring: Judge) -> None:
    names = ("sliced_wasserstein", "frechet", "modes", "high_quality")
    points = _normal(50, 2)
    broken = points.clone()
    broken[3, 1] = math.nan
    found = metrics(broken, points, 1.0, names, by=of_ring)
    assert all(math.isnan(value.item()) for value in found.values())
    whole = metrics(points, points, 1.0, names, by=of_ring)
    assert all(math.isfinite(value.item()) for value in whole.values())


# -- the ring --------------------------------------------------------------------------------------------


def test_a_ring_has_its_options() -> None:
    table = ring(RingOptions(modes=4, radius=10, deviation=1e-3, examples=401))
    assert sorted(np.bincount(table.labels)) == [100, 100, 100, 101]
    assert np.abs(np.linalg.norm(table.features, axis=1) - 10).max() < 6e-3
    quarters = np.round(np.arctan2(table.features[:, 1], table.features[:, 0]) / (np.pi / 2)) % 4
    assert np.array_equal(quarters, table.labels)
    again = ring(RingOptions(modes=4, radius=10, deviation=1e-3, examples=401))
    assert np.array_equal(table.features, again.features)


@pytest.mark.parametrize(
    ("dataset", "model", "modes"),
    [({"name": "ring", "modes": 3, "examples": 500}, "gan", 3), ("digits", "gan", 10)],
)
def test_a_workload_brings_the_yardstick_of_its_data(dataset: Any, model: str, modes: int) -> None:
    """Of real examples it finds all modes, in whatever units the data are; of the constant predictor at most
    one."""
    body = {"task": "generation", "dataset": dataset, "model": model, "metric": "modes"}
    workload = build(resolve(JobSpec.model_validate({"workload": body})).cataloged)
    splits = workload.splits(4)
    names = workload.goal.metrics
    found = workload.criteria.metrics(splits.test.inputs, splits.test.targets, 1.0, names)
    assert found["modes"].item() == modes
    assert found["high_quality"].item() > 0.9
    assert found["frechet"].item() == pytest.approx(0, abs=1e-6)
    assert found["sliced_wasserstein"].item() == 0
    reference = workload.reference(splits)
    assert reference["modes"] <= 1
    assert reference["sliced_wasserstein"] > 0.1


def test_of_many_examples_a_part_is_the_yardstick() -> None:
    """A random one, as those of a folder may stand class by class."""
    labels = torch.arange(5).repeat_interleave(MOST_EXAMPLES // 2)
    many = Examples(labels.unsqueeze(1).expand(-1, 3).double(), labels, 1.0)
    some = shown(many)
    assert len(some) == MOST_EXAMPLES
    assert torch.equal(some.inputs[:, 0], some.targets.double())
    # Of each class a fifth: to 4 standard errors of 40.
    assert (torch.bincount(some.targets) - MOST_EXAMPLES / 5).abs().max() < 160
    few = Examples(many.inputs[:7], labels[:7], 1.0)
    assert shown(few) is few

"""Splits, scaling, and the order of the examples."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn import datasets

from whichopt.service.catalog.datasets import DatasetOptions, dataset
from whichopt.service.catalog.shapes import Sizes
from whichopt.service.splits import RANDOM, divided
from whichopt.service.trials import Schedule, Training
from whichopt.workers.workload import Workload, batches, data, order
from whichopt.workers.workload.data import TABLES
from whichopt.workers.workload.table import FARTHEST, Table, standardized
from whichopt.workers.workload.tasks import CRITERIA

CPU = torch.device("cpu")
SIZES = Sizes(60, 20, 20)


def _table(examples: int = 100, seed: int = 0) -> Table:
    random = np.random.default_rng(seed)
    return Table(random.normal(3, 2, (examples, 4)), random.normal(50, 10, examples))


@pytest.mark.parametrize("strata", [None, np.arange(100) % 3])
def test_splits_are_disjoint_and_complete(strata: np.ndarray | None) -> None:
    parts = divided(RANDOM, strata, 100, SIZES, seed=5)
    assert Sizes(*map(len, parts)) == SIZES
    assert sorted(np.concatenate(parts)) == list(range(100))


@pytest.mark.parametrize("strata", [None, np.arange(100) % 3])
def test_a_split_seed_redraws_train_and_validation_but_never_test(strata: np.ndarray | None) -> None:
    draws = [divided(RANDOM, strata, 100, SIZES, seed) for seed in (0, 1, 2**53 - 1)]
    assert len({test.tobytes() for _, _, test in draws}) == 1
    assert len({train.tobytes() for train, _, _ in draws}) == 3
    again = divided(RANDOM, strata, 100, SIZES, 1)
    assert all(np.array_equal(one, other) for one, other in zip(draws[1], again, strict=True))


@pytest.mark.parametrize("name", ["digits", "wine", "breast_cancer"])
def test_every_class_has_its_share_of_every_split(name: str) -> None:
    entry = dataset(name)
    labels = TABLES[name](entry.options()).labels
    sizes = entry.sizes(entry.options())
    for part in divided(RANDOM, labels, len(labels), sizes, seed=3):
        counts = Counter(labels[part])
        for label, total in Counter(labels).items():
            # The test split is off by less than one example, and so is validation of what it left, and
            # train takes up both.
            assert abs(counts[label] - total * len(part) / len(labels)) < 2


def test_scaling_uses_the_training_split_alone() -> None:
    table, criteria = _table(), CRITERIA["regression"]
    train, validation, test = divided(RANDOM, None, 100, SIZES, seed=1)
    splits = table.splits(criteria, SIZES, 1, CPU)
    # float32 of numbers of size 1, averaged.
    torch.testing.assert_close(splits.train.inputs.mean(dim=0), torch.zeros(4), atol=1e-6, rtol=0)
    torch.testing.assert_close(splits.train.inputs.std(dim=0, correction=0), torch.ones(4), atol=1e-6, rtol=0)
    assert abs(splits.train.targets.mean().item()) < 1e-6
    others = np.concatenate([validation, test])
    table.features[others] *= 100
    table.labels[others] -= 1000
    changed = table.splits(criteria, SIZES, 1, CPU)
    assert torch.equal(changed.train.inputs, splits.train.inputs)
    assert torch.equal(changed.train.targets, splits.train.targets)
    assert changed.train.unit == splits.train.unit == float(table.labels[train].std())


def test_constant_and_nearly_constant_columns_stay_bounded() -> None:
    training = np.array([[7.1, 0.0, 1e9], [7.1, 0.0, 1e9], [7.1, 1e-6, 1e9]])
    elsewhere = np.array([[8.0, 5.0, 0.0]])
    assert standardized(training, training)[:, [0, 2]].tolist() == [[0, 0]] * 3
    assert standardized(elsewhere, training).tolist() == [[0, FARTHEST, 0]]


@pytest.mark.parametrize("name", TABLES)
def test_no_feature_is_far_away(name: str, make_workload: Callable[..., Workload]) -> None:
    for seed in range(3):
        splits = make_workload(name).splits(seed)
        for part in (splits.train, splits.validation, splits.test):
            assert part.inputs.isfinite().all()
            assert part.inputs.abs().max() <= FARTHEST


def test_the_stream_is_one_permutation_after_another() -> None:
    stream = order(9, 10, 0, 50).reshape(5, 10)
    assert all(sorted(epoch.tolist()) == list(range(10)) for epoch in stream)
    assert len({tuple(epoch.tolist()) for epoch in stream}) == 5
    assert not torch.equal(order(8, 10, 0, 50), stream.flatten())


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (0, 10), (9, 11), (10, 20), (13, 48), (49, 50)])
def test_any_part_of_the_stream_depends_on_its_position_alone(start: int, stop: int) -> None:
    assert torch.equal(order(9, 10, start, stop), order(9, 10, 0, 50)[start:stop])


@pytest.mark.parametrize("size", [1, 7, 60])
def test_batches_only_cut_the_stream(size: int) -> None:
    train = _table().splits(CRITERIA["regression"], SIZES, 1, CPU).train
    training = Training(batch_size=size, schedule=Schedule(), clip_norm=None)
    cut = list(batches(train, 4, 7, training.cuts(7, 200)))
    assert len(cut) == training.steps(7, 200)
    rows = order(4, len(train), 7, 200)
    assert torch.equal(torch.cat([batch.inputs for batch in cut]), train.inputs[rows])
    assert torch.equal(torch.cat([batch.targets for batch in cut]), train.targets[rows])
    counts = [len(batch.targets) for batch in cut]
    assert set(counts[:-1]) == {size}
    assert 0 < counts[-1] <= size


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "wine"])
def test_a_shipped_table_is_what_scikit_learn_reads_from_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = data.TABLES[name](DatasetOptions())
    theirs = Table(*getattr(datasets, f"load_{name}")(return_X_y=True))
    monkeypatch.setattr(data, "find_spec", lambda _: None)
    fallback = data.TABLES[name](DatasetOptions())
    for one in (ours, fallback):
        assert one.features.tobytes() == theirs.features.tobytes()
        assert one.features.strides == theirs.features.strides, "sums over it add in the same order"
        assert one.labels.dtype == theirs.labels.dtype
        assert one.labels.tolist() == theirs.labels.tolist()


def test_a_shipped_table_is_read_without_scikit_learn() -> None:
    script = (
        "import sys; from whichopt.workers.workload.data import TABLES;"
        "from whichopt.service.catalog.datasets import DatasetOptions;"
        "[TABLES[name](DatasetOptions()) for name in ('digits', 'breast_cancer', 'wine')];"
        "print([name for name in sys.modules if name.startswith(('sklearn', 'scipy.stats'))])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"

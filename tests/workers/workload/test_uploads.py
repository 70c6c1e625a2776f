"""A person's own data as a workload: found by hash, divided by its rule, prepared by training rows alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.neural_network import MLPClassifier

from tests.builders.uploads import FILE, forget_data, upload
from tests.builders.watches import Onlooker
from whichopt.service.catalog.built_in import built_in
from whichopt.service.catalog.datasets import DatasetEntry
from whichopt.service.spec import JobSpec, ResolvedWorkload, resolve
from whichopt.service.splits import divided
from whichopt.service.trials import TrialPlan
from whichopt.workers import workload
from whichopt.workers.engine.executors import EXECUTORS
from whichopt.workers.workload import DatasetGone, build
from whichopt.workers.workload.uploads import read

ROWS = 120
SPLITS = {
    "random": None,
    "column:c": np.repeat([0, 1, 2], [70, 20, 30]),
    "group:c": np.arange(ROWS) // 4,
    "time:c": np.arange(ROWS)[::-1],
}


def resolved(entry: DatasetEntry, model: str = "linear", **changes: Any) -> ResolvedWorkload:
    asked = {"workload": {"dataset": {"name": entry.name}, "model": {"name": model}}, **changes}
    return resolve(JobSpec.model_validate(asked), replace(built_in(), datasets=(entry,))).cataloged


def _columns(seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    x = random.normal(5, 3, ROWS)
    x[::7] = np.nan
    return {
        "x": x,
        "town": random.choice(["a", "b", "c"], ROWS, p=[0.6, 0.3, 0.1]).tolist(),
        "z": random.normal(0, 1, ROWS),
    }


def _tensors(splits: workload.Splits) -> list[bytes]:
    parts = (splits.train, splits.validation, splits.test)
    return [tensor.numpy().tobytes() for part in parts for tensor in (part.inputs, part.targets)]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("classes", [True, False])
def test_changing_every_test_row_changes_no_training_tensor(
    split: str, classes: bool, tmp_path: Path
) -> None:
    """Of what is kept; `test_own_file.py` has the same for a file that is sent."""
    columns = _columns()
    target: Any = np.arange(ROWS) % 3 if classes else columns["z"] * 3 + 100
    spec = resolved(upload(tmp_path, columns, target, split=split, split_by=SPLITS[split]))
    before = build(spec, blobs=tmp_path).splits(3)
    assert spec.content is not None
    kept = read(tmp_path / spec.content)
    strata = np.asarray(target) if classes else None
    test = divided(kept.table.split, strata, ROWS, spec.sizes, 3, **kept.split_by)[2]
    columns["x"][test] = 1e6 + np.arange(len(test))
    columns["z"][test] = -1e6
    columns["town"] = ["a" if row in test else town for row, town in enumerate(columns["town"])]
    if not classes:
        target = np.where(np.isin(np.arange(ROWS), test), 1e9, target)
    entry = upload(tmp_path, columns, target, split=split, split_by=SPLITS[split])
    after = build(resolved(entry), blobs=tmp_path).splits(3)
    assert entry.content != spec.content
    assert _tensors(after)[:4] == _tensors(before)[:4], "inputs and targets of training and validation"
    assert _tensors(after)[4] != _tensors(before)[4]
    assert after.train.unit == before.train.unit


def test_targets_are_standardized_by_training_rows(tmp_path: Path) -> None:
    columns = _columns()
    splits = build(resolved(upload(tmp_path, columns, columns["z"] * 3 + 100)), blobs=tmp_path).splits(0)
    # float32 of numbers of size 1, averaged.
    assert splits.train.targets.shape == (72, 1)
    assert splits.train.targets.mean().item() == pytest.approx(0, abs=1e-6)
    assert splits.train.targets.std(correction=0).item() == pytest.approx(1, abs=1e-6)
    assert abs(splits.test.targets.mean().item()) > 1e-6


@pytest.mark.parametrize("split", SPLITS)
def test_parts_have_the_sizes_that_the_spec_promises(split: str, tmp_path: Path) -> None:
    spec = resolved(upload(tmp_path, _columns(), np.arange(ROWS) % 2, split=split, split_by=SPLITS[split]))
    built = build(spec, blobs=tmp_path)
    for seed in range(3):
        splits = built.splits(seed)
        sizes = spec.sizes
        assert [len(splits.train), len(splits.validation), len(splits.test)] == [
            sizes.train,
            sizes.validation,
            sizes.test,
        ]
        assert splits.train.inputs.shape[1] == spec.shape.features
        assert splits.train.inputs.dtype == torch.float32
        assert splits.train.targets.dtype == torch.int64


def test_a_dataset_is_found_by_its_hash_whatever_its_name(tmp_path: Path) -> None:
    one = upload(tmp_path, _columns(), np.arange(ROWS) % 2, name="one")
    other = upload(tmp_path, _columns(), np.arange(ROWS) % 2, name="wine")
    assert one.content == other.content, "the name is no part of the content"
    built = [build(resolved(entry), blobs=tmp_path) for entry in (one, other)]
    assert _tensors(built[0].splits(1)) == _tensors(built[1].splits(1))


def test_data_that_are_gone_or_damaged_are_told_in_words(tmp_path: Path) -> None:
    entry = upload(tmp_path, _columns(), np.arange(ROWS) % 2)
    spec = resolved(entry)
    assert entry.content is not None
    blob = tmp_path / entry.content
    content = blob.read_bytes()
    blob.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    for wrong in ("damaged", "gone"):
        forget_data()
        with pytest.raises(DatasetGone, match=wrong) as found:
            build(spec, blobs=tmp_path)
        for part in ("'own'", entry.content, FILE.name, FILE.sha256):
            assert str(part) in str(found.value)
        blob.unlink(missing_ok=True)
    forget_data()
    with pytest.raises(DatasetGone, match="not at hand"):
        build(spec)


@pytest.mark.parametrize("split", ["random", "group:c"])
def test_stacked_and_solo_agree(split: str, tmp_path: Path, make_plan: Callable[..., TrialPlan]) -> None:
    columns = _columns()
    entry = upload(tmp_path, columns, np.arange(ROWS) % 3, split=split, split_by=SPLITS[split])
    built = build(resolved(entry, "mlp"), blobs=tmp_path)
    plans = [make_plan(name, split=seed) for seed in (3, 4) for name in ("adam", "sgd")]
    solo, stacked = (EXECUTORS[name]().run(built, plans, Onlooker()) for name in ("solo", "stacked"))
    for one, other in zip(solo, stacked, strict=True):
        assert one.value is not None
        assert one.value == pytest.approx(other.value, rel=1e-4), "kernels differ in the last bits"


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_numbers_alone_become_what_the_built_in_dataset_has(task: str, tmp_path: Path) -> None:
    """The same table through both doors: the same examples, but for rounding."""
    load, name = {
        "classification": (load_breast_cancer, "breast_cancer"),
        "regression": (load_diabetes, "diabetes"),
    }[task]
    features, target = load(return_X_y=True)
    columns = {f"x{place}": features[:, place] for place in range(features.shape[1])}
    ours = build(resolved(upload(tmp_path, columns, target)), blobs=tmp_path).splits(5)
    asked = {"workload": {"dataset": {"name": name}, "model": {"name": "linear"}}}
    theirs = build(resolve(JobSpec.model_validate(asked)).cataloged).splits(5)
    for part in ("train", "validation", "test"):
        torch.testing.assert_close(ours.named(part).inputs, theirs.named(part).inputs, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(ours.named(part).targets, theirs.named(part).targets)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer. Maximum iterations")
def test_scores_lie_within_noise_of_scikit_learns_network(
    tmp_path: Path, make_plan: Callable[..., TrialPlan]
) -> None:
    features, target = load_breast_cancer(return_X_y=True)
    columns: dict[str, Any] = {f"x{place}": features[:, place] for place in range(features.shape[1])}
    columns["size"] = np.where(features[:, 0] > 15, "large", "small").tolist()
    built = build(resolved(upload(tmp_path, columns, target), "mlp"), blobs=tmp_path)
    epochs, ours, theirs = 30, [], []
    for seed in range(5):
        splits = built.splits(seed)
        length = epochs * len(splits.train)
        plan = make_plan(
            "adam",
            config={"lr": 1e-3},
            split=seed,
            init=seed,
            order=seed,
            length=length,
            evaluations=(length,),
        )
        model = MLPClassifier(
            (64, 64), batch_size=16, max_iter=epochs, alpha=0, random_state=seed, n_iter_no_change=epochs
        )
        model.fit(splits.train.inputs.numpy(), splits.train.targets.numpy())
        theirs.append(model.score(splits.validation.inputs.numpy(), splits.validation.targets.numpy()))
        (result,) = EXECUTORS["solo"]().run(built, [plan], Onlooker())
        ours.append(result.metrics["validation"]["accuracy"])
    spread = np.std(ours) + np.std(theirs)
    assert abs(np.mean(ours) - np.mean(theirs)) <= spread

"""A person's own images as a workload: standardized by training images alone, kept as levels, pinned."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.builders.images import SIDE, encoded, files, folder_of, picture, zip_of
from tests.builders.tables import taken
from tests.builders.uploads import FILE, forget_data
from whichopt.service.catalog.built_in import built_in
from whichopt.service.catalog.datasets import DatasetEntry, uploaded
from whichopt.service.spec import JobSpec, ResolvedWorkload, resolve
from whichopt.service.uploads import Choices
from whichopt.workers.intake.taken import Taken, take
from whichopt.workers.workload import DatasetGone, build
from whichopt.workers.workload.images import Images, level_counts, scaled_levels, standard_levels
from whichopt.workers.workload.tasks import CRITERIA
from whichopt.workers.workload.uploads import read

EACH = 20


def kept(blobs: Path, found: Taken, name: str = "own") -> DatasetEntry:
    """Keep what was taken in as the service does; return the entry of the dataset."""
    blobs.mkdir(exist_ok=True)
    part, content = found.keep(blobs)
    part.rename(blobs / content)
    return uploaded(name, found.table, FILE, content)


def resolved(entry: DatasetEntry, model: str = "cnn", **workload: Any) -> ResolvedWorkload:
    asked = {"workload": {"dataset": entry.name, "model": model, **workload}, "batch_size": 4}
    return resolve(JobSpec.model_validate(asked), replace(built_in(), datasets=(entry,))).cataloged


@pytest.fixture
def entry(tmp_path: Path) -> DatasetEntry:
    return kept(tmp_path / "blobs", taken(tmp_path, zip_of(files(each=EACH)), "zip"))


def test_channels_are_standardized_by_training_images(entry: DatasetEntry, tmp_path: Path) -> None:
    spec = resolved(entry)
    splits = build(spec, blobs=tmp_path / "blobs").splits(3)
    train = splits.train.inputs
    assert train.shape == (spec.sizes.train, 3 * SIDE**2)
    assert train.dtype == torch.float32
    by_channel = train.reshape(-1, 3, SIDE**2).double()
    assert by_channel.mean(dim=(0, 2)).abs().max() < 1e-6
    assert (by_channel.std(dim=(0, 2), correction=0) - 1).abs().max() < 1e-6
    assert splits.test.inputs.reshape(-1, 3, SIDE**2).double().mean(dim=(0, 2)).abs().max() > 1e-6
    sizes = [len(part) for part in (splits.train, splits.validation, splits.test)]
    assert sizes == [spec.sizes.train, spec.sizes.validation, spec.sizes.test]
    assert splits.train.targets.bincount().tolist() == [spec.sizes.train // 2] * 2, "by strata"


def test_images_meet_their_classes(entry: DatasetEntry, tmp_path: Path) -> None:
    splits = build(resolved(entry), blobs=tmp_path / "blobs").splits(0)
    for part in (splits.train, splits.validation, splits.test):
        assert torch.equal(part.inputs.mean(dim=1) > 0, part.targets == 1), "light ones are of class 1"


def test_the_memory_is_a_byte_a_value_and_four_of_a_division(entry: DatasetEntry, tmp_path: Path) -> None:
    assert entry.content is not None
    loaded = read(tmp_path / "blobs" / entry.content)
    values = 2 * EACH * 3 * SIDE**2
    assert isinstance(loaded, Images)
    assert loaded.pixels.nbytes == values
    splits = build(resolved(entry), blobs=tmp_path / "blobs").splits(0)
    assert sum(part.inputs.nbytes for part in (splits.train, splits.validation, splits.test)) == 4 * values


def test_standard_levels_are_those_of_all_pixels() -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (9, 3, 4, 5), dtype=np.uint8)
    pixels[:, 1] = 77  # a channel of one level
    rows = np.array([1, 3, 4, 8])
    levels = standard_levels(level_counts(pixels, rows))
    for channel in (0, 2):
        values = pixels[rows, channel].astype(np.float64)
        wanted = (np.arange(256) - values.mean()) / values.std()
        assert np.allclose(levels[channel], np.clip(wanted, -10, 10), rtol=1e-12, atol=1e-12)
    assert not levels[1].any()


def test_a_task_may_scale_levels_itself() -> None:
    def to_one(features: np.ndarray, training: np.ndarray) -> np.ndarray:
        low, high = training.min(axis=0), training.max(axis=0)
        scaled: np.ndarray = np.clip((features - low) / (high - low), 0, 1)
        return scaled

    pixels = np.array([[[[10, 20]]], [[[30, 110]]]], dtype=np.uint8)
    criteria = replace(CRITERIA["classification"], scaled=to_one)
    levels = scaled_levels(level_counts(pixels, np.array([0, 1])), criteria)
    assert levels[0, [0, 10, 60, 110, 200]].tolist() == [0, 0, 0.5, 1, 1]


def test_a_scale_of_a_task_sees_all_channels() -> None:
    pixels = np.array([[[[10]], [[60]]], [[[20]], [[210]]]], dtype=np.uint8)

    def as_one(features: np.ndarray, training: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = (features - training.min()) / (training.max() - training.min())
        return scaled

    levels = scaled_levels(
        level_counts(pixels, np.array([0, 1])), replace(CRITERIA["classification"], scaled=as_one)
    )
    assert levels[0].tolist() == levels[1].tolist()
    assert levels[0, [10, 110, 210]].tolist() == [0, 0.5, 1]


def test_given_parts_are_the_splits(tmp_path: Path) -> None:
    entries = {
        f"{part}/{name}/{i}.png": encoded(picture(shade, seed=i))
        for part, each in (("train", 12), ("test", 4))
        for name, shade in (("dark", 60), ("light", 190))
        for i in range(each)
    }
    entry = kept(tmp_path / "blobs", taken(tmp_path, zip_of(entries), "zip"))
    spec = resolved(entry)
    assert (spec.sizes.train, spec.sizes.validation, spec.sizes.test) == (18, 6, 8)
    splits = [build(spec, blobs=tmp_path / "blobs").splits(seed) for seed in (0, 1)]
    assert len(splits[0].test) == 8
    assert not torch.equal(splits[0].validation.inputs, splits[1].validation.inputs)


@pytest.mark.parametrize("model", ["cnn", "mlp", "linear"])
def test_networks_take_them(model: str, entry: DatasetEntry, tmp_path: Path) -> None:
    built = build(resolved(entry, model), blobs=tmp_path / "blobs")
    net = built.model(0).eval()
    scores = built.evaluate(net, built.splits(0).test)
    assert all(torch.isfinite(value) for value in scores.values())


@pytest.mark.parametrize(("task", "model"), [("generation", "gan"), ("autoencoding", "vae")])
def test_tasks_that_learn_the_images_themselves_take_them(
    task: str, model: str, entry: DatasetEntry, tmp_path: Path
) -> None:
    built = build(resolved(entry, model, task=task, augment=["flip"]), blobs=tmp_path / "blobs")
    train = built.splits(0).train
    assert (train.inputs.min().item(), train.inputs.max().item()) == (0, 1)
    assert torch.equal(train.inputs, train.targets)
    scores = built.evaluate(built.model(0).eval(), built.splits(0).validation)
    assert all(torch.isfinite(value) for value in scores.values())


BARRED = """
import sys

class Barred:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("pyarrow", "PIL"):
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Barred())
import whichopt.workers.jobs
"""


def test_workers_start_without_what_reads_files() -> None:
    """Workers alone are installed without Arrow, and need Pillow for folders of images only."""
    subprocess.run([sys.executable, "-c", BARRED], check=True)


# -- folders -------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "root" / "pets", files(each=EACH))


def in_folder(folder: Path, tmp_path: Path) -> ResolvedWorkload:
    return resolved(kept(tmp_path / "blobs", take(folder, "folder", Choices())))


def test_a_folder_has_the_bits_of_the_same_zip(folder: Path, entry: DatasetEntry, tmp_path: Path) -> None:
    spec = in_folder(folder, tmp_path)
    found = build(spec, blobs=tmp_path / "blobs", root=folder.parent).splits(1)
    wanted = build(resolved(entry), blobs=tmp_path / "blobs").splits(1)
    assert torch.equal(found.train.inputs, wanted.train.inputs)
    assert torch.equal(found.test.targets, wanted.test.targets)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("other", r"dark/3\.png is another file"),
        ("new", r"dark/new\.png is new"),
        ("gone", r"dark/3\.png is gone"),
        ("away", "no folder 'pets'"),
        ("rootless", "no WHICHOPT_DATA_ROOT"),
    ],
)
def test_a_folder_that_changed_is_refused_in_words(
    change: str, said: str, folder: Path, tmp_path: Path
) -> None:
    spec = in_folder(folder, tmp_path)
    forget_data()
    root: Path | None = folder.parent
    match change:
        case "other":
            (folder / "dark" / "3.png").write_bytes(encoded(picture(61)))
        case "new":
            (folder / "dark" / "new.png").write_bytes(encoded(picture(61)))
        case "gone":
            (folder / "dark" / "3.png").unlink()
        case "away":
            folder.rename(folder.with_name("elsewhere"))
        case "rootless":
            root = None
    with pytest.raises(
        DatasetGone, match=f"folder:pets is not as it was when it was added as 'own': .*{said}"
    ):
        build(spec, blobs=tmp_path / "blobs", root=root)

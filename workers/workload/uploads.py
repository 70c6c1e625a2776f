"""A person's own data: the columns that are kept of a file, found by the hash of their content.

They are one safetensors file, named by its SHA-256, with the table's description in its metadata
(`whichopt.service.uploads.Table`) and these tensors: `numbers` float64 and `codes` int16
(`whichopt.workers.workload.columns.Rows`), `target` int64 or float64, and what a split goes by: `part` int8,
`group` int32 or `time` float64. Images have `images` uint8 (N, channels, height, width) in place of columns;
if they lie in a folder, they have the `paths` and `digests` of its files. Of a text there is one: `text`, its
bytes in UTF-8.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open

from whichopt.service.catalog.language import TextOptions
from whichopt.service.catalog.shapes import Sizes
from whichopt.service.spec import ResolvedWorkload
from whichopt.service.splits import divided
from whichopt.service.uploads import Table
from whichopt.workers.workload.columns import Rows, learned
from whichopt.workers.workload.criteria import Criteria
from whichopt.workers.workload.gone import DatasetGone
from whichopt.workers.workload.images import FolderChanged, Images, of_folder
from whichopt.workers.workload.label_noise import mislabeled
from whichopt.workers.workload.stream import Examples, Splits
from whichopt.workers.workload.table import Parts
from whichopt.workers.workload.texts import Windows, of_bytes, of_characters

FoundT = TypeVar("FoundT")

METADATA = "whichopt"
"""Key of the table's description in the metadata."""

SPLIT_COLUMNS = {"part": "given", "group": "group", "time": "time"}
"""Tensors that a split goes by, and how `divided` calls them."""


@dataclass(frozen=True)
class Kept:
    """What is kept of a file: its columns, the target, and what its split goes by; `label_noise` is the share
    of the training labels that are replaced by another class."""

    table: Table
    rows: Rows
    target: npt.NDArray[Any]
    split_by: Mapping[str, npt.NDArray[Any]]
    label_noise: float = 0.0

    @property
    def nbytes(self) -> int:
        arrays: tuple[npt.NDArray[Any], ...] = (*self.rows, self.target, *self.split_by.values())
        return sum(array.nbytes for array in arrays)

    def parts(self, criteria: Criteria, sizes: Sizes, seed: int) -> Parts:
        """Return the rows of training, validation and test that `seed` draws."""
        strata = criteria.strata(self.target)
        return divided(self.table.split, strata, self.table.rows, sizes, seed, **self.split_by)

    def taught(self, training: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Return the targets, of which those of these rows are as a network is taught them."""
        return mislabeled(self.target, training, self.label_noise) if self.label_noise else self.target

    def splits(self, criteria: Criteria, sizes: Sizes, seed: int, device: torch.device) -> Splits:
        """Return the splits that `seed` draws, prepared by what their training rows tell."""
        parts = self.parts(criteria, sizes, seed)
        prepared = learned(self.table.features, self.rows, parts[0])
        taught = self.taught(parts[0])
        training = taught[parts[0]]

        def examples(part: npt.NDArray[np.int64]) -> Examples:
            inputs = torch.from_numpy(prepared.transform(self.rows, part))
            targets, unit = criteria.targets(taught[part], training, inputs)
            return Examples(inputs.to(device), targets.to(device), unit)

        return Splits(*map(examples, parts))


def load(spec: ResolvedWorkload, blobs: Path | None, root: Path | None = None) -> Kept | Images:
    """Return the columns, or the images, of the dataset that `spec` names by their hash.

    Args:
        spec: the workload.
        blobs: the folder with what is kept of uploads.
        root: the folder under which folders of images lie.

    Raises:
        DatasetGone: they are not in the folder `blobs`, or are damaged; or a folder of images has changed.
    """
    return _found(spec, blobs, partial(read, root=root))


def load_text(spec: ResolvedWorkload, blobs: Path | None) -> Windows:
    """Return the text that `spec` names by its hash, cut into windows as the job says.

    Raises:
        DatasetGone: it is not in the folder `blobs`, or is damaged.
    """
    return _found(spec, blobs, partial(read_text, options=TextOptions(**spec.dataset.options)))


def _found(spec: ResolvedWorkload, blobs: Path | None, opened_by: Callable[[Path], FoundT]) -> FoundT:
    """Return what is read of the file with the content that `spec` names."""
    assert spec.content is not None
    assert spec.upload is not None
    file = spec.upload.file
    which = f"the data of {spec.dataset.name!r} (content {spec.content})"
    again = f"send {file.name or 'the file'} (SHA-256 {file.sha256}) once more, and submit the job again"
    if blobs is None:
        raise DatasetGone(f"{which} are not at hand: {again}")
    path = blobs / spec.content
    try:
        with path.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
        if found != spec.content:
            raise DatasetGone(
                f"{which} are damaged in the folder of blobs, as their hash is another: {again}"
            )
        return opened_by(path)
    except FolderChanged as error:
        assert spec.upload.images is not None
        name = f"folder:{spec.upload.images.folder}"
        raise DatasetGone(
            f"{name} is not as it was when it was added as {spec.dataset.name!r}: {error}. Put it back as it "
            "was; or add it under another name, and submit the job again"
        ) from error
    except FileNotFoundError as error:
        raise DatasetGone(f"{which} are gone from the folder of blobs: {again}") from error
    except SafetensorError as error:
        raise DatasetGone(f"{which} are no columns that this version can read ({error}): {again}") from error


def read_text(path: Path, options: TextOptions) -> Windows:
    """Return the text in that file, whatever its name, cut by the options."""
    with safe_open(path, framework="numpy") as opened:
        facts = Table.model_validate_json(opened.metadata()[METADATA]).text
        text = opened.get_tensor("text").tobytes()
    assert facts is not None
    if options.tokens == "bytes":
        return of_bytes(text, options)
    return of_characters(text.decode(), facts.vocabulary, options)


def read(path: Path, root: Path | None = None) -> Kept | Images:
    """Return the columns or the images in that file, whatever its name; `root` is as for `load`.

    Raises:
        FolderChanged: the images lie in a folder that is not as it was.
    """
    with safe_open(path, framework="numpy") as opened:
        table = Table.model_validate_json(opened.metadata()[METADATA])
        names = set(opened.keys())
        target = opened.get_tensor("target")
        split_by = {
            called: opened.get_tensor(name) for name, called in SPLIT_COLUMNS.items() if name in names
        }
        if table.images is None:
            rows = Rows(opened.get_tensor("numbers"), opened.get_tensor("codes"))
            return Kept(table=table, rows=rows, target=target, split_by=split_by)
        if table.images.folder is None:
            return Images(table, opened.get_tensor("images"), target, split_by)
        if root is None:
            raise FolderChanged("this worker has no WHICHOPT_DATA_ROOT, under which it lies; set it")
        paths, digests = opened.get_tensor("paths"), opened.get_tensor("digests")
    return Images(table, of_folder(table, paths, digests, root), target, split_by)

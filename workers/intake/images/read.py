"""Reads images into one array of levels (N, channels, height, width), with their classes as a column."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
from PIL import Image

from whichopt.service.uploads import ImageFacts, Split
from whichopt.workers.intake.images import Pixels, decoded
from whichopt.workers.intake.images.arranged import Arranged, arranged
from whichopt.workers.intake.images.decoded import Seen
from whichopt.workers.intake.images.folder import Folder
from whichopt.workers.intake.images.kept import CLASS
from whichopt.workers.intake.images.levels import Array, channels_first, levels
from whichopt.workers.intake.images.zipped import Zipped
from whichopt.workers.intake.limits import Limits
from whichopt.workers.intake.problems import TooLarge
from whichopt.workers.intake.progress import Progress
from whichopt.workers.intake.raw import Images, Raw
from whichopt.workers.intake.together import CORES

LARGEST_COMMON = 64
USUAL = 32
"""Width and height of images that have different sizes, or larger ones than LARGEST_COMMON."""

PART = "part"
AT_ONCE = 256
"""Files between two lines of progress."""
LARGE = 8_000_000
"""Pixels of an image beyond which one is decoded at a time, as each takes dozens of megabytes."""
LOOKED = 0.3
"""Share of the work that looking at the headers is."""

PerPath = tuple[str, ...]


class Place(Protocol):
    """Where files lie."""

    files: list[PerPath]
    folders: set[PerPath]
    left_out: int

    def read(self, path: PerPath, /) -> bytes: ...


def zipped(path: Path, limits: Limits, progress: Progress, size: int | None) -> Raw:
    """Return the images of a zip.

    Raises:
        Problem: it cannot be read, and which of its files is to blame.
    """
    return _read(Zipped(path, limits), limits, progress, size)


def folder(path: Path, limits: Limits, progress: Progress, size: int | None) -> Raw:
    """Return the images of a folder, and what pins them: the path and the hash of each.

    Raises:
        Problem: it cannot be read, and which of its files is to blame.
    """
    place = Folder(path, path.parent, limits.images)
    raw = _read(place, limits, progress, size)
    assert raw.images is not None
    digests = b"".join(hashlib.sha256(place.read(one)).digest() for one in place.files)
    raw.images.facts["folder"] = path.name
    raw.images.facts["pixels"] = hashlib.sha256(raw.images.pixels.data).hexdigest()
    raw.images.pinned = {
        "paths": np.frombuffer(json.dumps(place.files).encode(), dtype=np.uint8),
        "digests": np.frombuffer(digests, dtype=np.uint8).reshape(-1, 32),
    }
    return raw


def of_array(array: Array, name: str, limits: Limits, size: int | None) -> tuple[Images, list[str]]:
    """Return the images of an array, and notes on them.

    Raises:
        Problem: they are no images, or too many.
    """
    array = channels_first(array, name)
    count, channels, height, width = array.shape
    if count > limits.images:
        raise TooLarge(
            f"{name} has {count:,} images; at most {limits.images:,} are allowed (WHICHOPT_MAX_IMAGES)"
        )
    pixels, note = levels(array, name)
    sizes = [Seen(width, height, channels == 1)]
    wide, high, how = _size(sizes, size)
    if (wide, high) != (width, height):
        _check_kept(count, channels, wide, high, limits)
        shapes = (one[0] if channels == 1 else one.transpose(1, 2, 0) for one in pixels)
        made = [decoded.resized(Image.fromarray(np.ascontiguousarray(one)), wide, high) for one in shapes]
        pixels = np.stack(made)
    facts = _facts(sizes, count if (wide, high) != (width, height) else 0)
    return Images(pixels, facts), [f"{name} has {count:,} images: {note}", how]


def _read(place: Place, limits: Limits, progress: Progress, size: int | None) -> Raw:
    found = arranged(place.files, place.folders)
    sizes = _seen(place, limits, progress)
    gray = all(one.gray for one in sizes)
    width, height, how = _size(sizes, size)
    pixels = _decoded(place, sizes, width, height, gray=gray, limits=limits, progress=progress)
    resized = sum((one.width, one.height) != (width, height) for one in sizes)
    notes = ["the folder of an image is its class", how, _colors(sizes, gray=gray)]
    if place.left_out:
        notes.append(f"{place.left_out:,} hidden files that systems leave behind are left out")
    columns = _columns(found)
    return Raw(
        columns,
        len(pixels),
        1,
        notes,
        split=None if found.parts is None else Split(kind="column", column=PART),
        images=Images(pixels, _facts(sizes, resized), names=["/".join(path) for path in place.files]),
    )


def _columns(found: Arranged) -> dict[str, pa.ChunkedArray]:
    columns = {CLASS: pa.chunked_array([pa.array(found.classes, pa.string())])}
    if found.parts is not None:
        columns[PART] = pa.chunked_array([pa.array(found.parts, pa.string())])
    return columns


def _seen(place: Place, limits: Limits, progress: Progress) -> list[Seen]:
    """Return what the headers say, if the images are not too large together."""
    sizes, total = list[Seen](), 0
    for start in range(0, len(place.files), AT_ONCE):
        for path in place.files[start : start + AT_ONCE]:
            name = "/".join(path)
            one = decoded.seen(place.read(path), name, limits.image_pixels)
            total += one.width * one.height
            if total > limits.pixels:
                raise TooLarge(
                    f"the images have more than {limits.pixels:,} pixels in all, with {name!r} "
                    "(WHICHOPT_MAX_PIXELS); send fewer or smaller ones"
                )
            sizes.append(one)
        progress.at(None, LOOKED * len(sizes) / len(place.files))
    return sizes


def _decoded(
    place: Place,
    sizes: Sequence[Seen],
    width: int,
    height: int,
    *,
    gray: bool,
    limits: Limits,
    progress: Progress,
) -> Pixels:
    channels = 1 if gray else 3
    _check_kept(len(sizes), channels, width, height, limits)
    pixels = np.empty((len(sizes), channels, height, width), dtype=np.uint8)
    large = max(one.width * one.height for one in sizes) > LARGE

    def decode(path: PerPath) -> Pixels:
        return decoded.pixels(place.read(path), "/".join(path), width, height, gray=gray)

    with ThreadPoolExecutor(1 if large else CORES) as pool:
        for start, stop in _stretches(len(sizes)):
            for i, one in enumerate(pool.map(decode, place.files[start:stop]), start):
                pixels[i] = one
            progress.at(stop, LOOKED + (1 - LOOKED) * stop / len(sizes))
    return pixels


def _stretches(count: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + AT_ONCE, count)) for start in range(0, count, AT_ONCE))


def _check_kept(count: int, channels: int, width: int, height: int, limits: Limits) -> None:
    size = count * channels * width * height
    if size > limits.table_bytes:
        raise TooLarge(
            f"{count:,} images of {width} x {height} would have {size:,} bytes; at most "
            f"{limits.table_bytes:,} are allowed (WHICHOPT_MAX_TABLE_BYTES); send fewer, or ask for a "
            "smaller size"
        )


def _size(sizes: Sequence[Seen], asked: int | None) -> tuple[int, int, str]:
    """Return width and height of all images, and how they were decided."""
    shapes = {(one.width, one.height) for one in sizes}
    if asked is not None:
        return asked, asked, f"images are {asked} x {asked}, as was asked"
    width, height = next(iter(shapes))
    if len(shapes) == 1 and max(width, height) <= LARGEST_COMMON:
        return width, height, f"all images are {width} x {height}, and stay so"
    why = "have different sizes" if len(shapes) > 1 else f"are {width} x {height}"
    return USUAL, USUAL, f"the images {why}, so they are resized to {USUAL} x {USUAL}; size=N says otherwise"


def _colors(sizes: Sequence[Seen], *, gray: bool) -> str:
    if gray:
        return "all images are gray: one channel"
    few = sum(one.gray for one in sizes)
    return "images have three channels, red, green and blue" + (f"; {few:,} gray ones, too" if few else "")


def _facts(sizes: Sequence[Seen], resized: int) -> dict[str, object]:
    widths, heights = [one.width for one in sizes], [one.height for one in sizes]
    return ImageFacts(
        resized=resized, smallest=(min(widths), min(heights)), largest=(max(widths), max(heights))
    ).model_dump()

"""Images as files: PNG and JPEG, zips of them, and folders; and as they are taken in."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE = 12


def picture(shade: int, seed: int = 0, side: int = SIDE, channels: int = 3) -> npt.NDArray[np.uint8]:
    """Return an image (side, side, 3), or (side, side) of one channel: noise around a shade."""
    noise = np.random.default_rng(seed).integers(-20, 21, (side, side, channels))
    return (
        np.clip(noise + shade, 0, 255).astype(np.uint8).reshape(side, side, *([] if channels == 1 else [3]))
    )


def encoded(image: npt.NDArray[np.uint8] | Image.Image, form: str = "PNG", **options: Any) -> bytes:
    """Return the file of an image."""
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, form, **options)
    return file.getvalue()


def files(each: int = 10, side: int = SIDE, channels: int = 3, top: str = "") -> dict[str, bytes]:
    """Return files by path: so many dark and light images each."""
    return {
        f"{top}{name}/{i}.png": encoded(picture(shade, seed=100 * shade + i, side=side, channels=channels))
        for name, shade in (("dark", 60), ("light", 190))
        for i in range(each)
    }


def zip_of(entries: Mapping[str, bytes] | list[tuple[str | zipfile.ZipInfo, bytes]]) -> bytes:
    """Return a zip with these entries, in this order; a path that ends with / is a folder."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in entries.items() if isinstance(entries, Mapping) else entries:
            archive.writestr(path, content)
    return file.getvalue()


def folder_of(folder: Path, entries: Mapping[str, bytes]) -> Path:
    """Write the files under the folder."""
    for path, content in entries.items():
        at = folder / path
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_bytes(content)
    return folder


def claiming_png(width: int, height: int) -> bytes:
    """Return a PNG of a kilobyte that claims to have that size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100_000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts

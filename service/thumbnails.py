"""Images of a dataset to look at: some of a class side by side, as a PNG."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whichopt.service.uploads import SHOWN_IMAGES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

GAP = 2
"""Pixels between two images."""


def strip(path: Path, label: int) -> bytes | None:
    """Return images of a class as a PNG, side by side; None if none are kept to be shown.

    Args:
        path: the blob of the dataset.
        label: the number of the class.

    Raises:
        OSError: the blob is gone.
    """
    import numpy as np
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as opened:
        names = set(opened.keys())
        target = opened.get_tensor("target")
        if "images" in names:
            rows = np.flatnonzero(target == label)[:SHOWN_IMAGES]
            images = opened.get_slice("images")
            found = [images[int(row) : int(row) + 1][0] for row in rows]
        elif "shown" in names:
            chosen = target[opened.get_tensor("shown_rows")] == label
            found = list(opened.get_tensor("shown")[chosen])
        else:
            return None
    return _png(_side_by_side(found)) if found else None


def _side_by_side(images: list[npt.NDArray[Any]]) -> npt.NDArray[np.uint8]:
    """Return the images (channels, height, width) as one (height, all widths, 4): between them is nothing."""
    import numpy as np

    _, height, width = images[0].shape
    whole = np.zeros((height, len(images) * (width + GAP) - GAP, 4), dtype=np.uint8)
    for i, image in enumerate(images):
        left = i * (width + GAP)
        part = whole[:, left : left + width]
        part[..., :3] = image.transpose(1, 2, 0)  # gray goes into all three
        part[..., 3] = 255
    return whole


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return pixels (height, width, 4) as a PNG."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

"""What a trained network makes, as people are shown it: points, images as one picture, and text.

`bounded` keeps a sample small before it is recorded. All else reads one that is recorded, and says by a
ValueError what is wrong with it, as nobody who shows a report should trust its numbers.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from whichopt.service.trials import Sample

MOST_POINTS, MOST_IMAGES, MOST_CHARACTERS = 512, 64, 2000
"""Most that is kept of a sample: it is there to be looked at, and a job keeps one for each finalist."""

MOST_BYTES = 1 << 16
"""Bytes that images may take in all; a larger one is kept alone."""

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY_AND_ALPHA, COLOR_AND_ALPHA = 4, 6
"""Types of color in a PNG, by the number of bytes of a pixel: 2 and 4."""

GAP = 1
"""Pixels between two images, through which the page is seen."""

HIDDEN = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
"""Categories of characters that are not seen, or that move others."""


class Maker(NamedTuple):
    """A finalist whose network has made something of that kind; `trial` identifies the run that trained it.

    `replicate` is the study that chose its config; None for a default, and for today's config.
    """

    trial: str
    optimizer: str
    replicate: int | None
    kind: Literal["text", "points", "images"]


def bounded(sample: Sample) -> Sample:
    """Return the sample as it is recorded: cut to what is kept of one.

    Text is recorded as it is shown, as no database keeps every character that a network may write.
    """
    if sample.kind == "text":
        return sample.model_copy(update={"content": text(sample)})
    count, *rest = sample.shape
    each = math.prod(rest) * (4 if sample.kind == "points" else 1)
    most = MOST_POINTS if sample.kind == "points" else min(MOST_IMAGES, max(1, MOST_BYTES // max(1, each)))
    if count <= most:
        return sample
    content = base64.b64encode(base64.b64decode(sample.content)[: most * each]).decode("ascii")
    return sample.model_copy(update={"content": content, "shape": (most, *rest)})


def points(sample: Sample) -> list[tuple[float, float]]:
    """Return the points; those that are not finite are left out.

    Raises:
        ValueError: the sample is not of points, or not as large as it says.
    """
    content = _content(sample, "points", lambda shape: len(shape) == 2 and shape[1] == 2, bytes_of_each=4)
    return [(x, y) for x, y in struct.iter_unpack("<2f", content) if math.isfinite(x) and math.isfinite(y)]


def png(sample: Sample) -> bytes:
    """Return the images side by side as one PNG, in about as many rows as columns.

    Raises:
        ValueError: the sample is not of images, or not as large as it says, or has neither 1 nor 3 channels.
    """
    content = _content(
        sample, "images", lambda shape: len(shape) == 4 and shape[1] in (1, 3), bytes_of_each=1
    )
    count, channels, height, width = sample.shape
    columns = math.isqrt(count - 1) + 1
    rows = -(-count // columns)
    whole = (width + GAP) * columns - GAP, (height + GAP) * rows - GAP
    pixel, size = channels + 1, channels * height * width
    clear = bytes(pixel)
    lines: list[bytes] = []
    for row in range(rows):
        images = [content[i * size : (i + 1) * size] for i in range(row * columns, (row + 1) * columns)]
        for y in range(height):
            parts = [_line(image, channels, height, width, y) or clear * width for image in images]
            lines.append((clear * GAP).join(parts))
        if row < rows - 1:
            lines += [clear * whole[0]] * GAP
    kind = GRAY_AND_ALPHA if channels == 1 else COLOR_AND_ALPHA
    head = struct.pack(">2I5B", *whole, 8, kind, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + line for line in lines), 9)  # 0: no filter
    return SIGNATURE + b"".join(_chunk(*one) for one in ((b"IHDR", head), (b"IDAT", body), (b"IEND", b"")))


def size(sample: Sample) -> tuple[int, int]:
    """Return width and height in pixels of the picture that `png` makes of images."""
    count, _, height, width = sample.shape
    columns = math.isqrt(count - 1) + 1
    return (width + GAP) * columns - GAP, (height + GAP) * -(-count // columns) - GAP


def text(sample: Sample) -> str:
    """Return the text with characters that are not seen written as Python does, but for the ends of lines.

    Raises:
        ValueError: the sample is not of text.

    Example:
        >>> from whichopt.service.samples import text
        >>> from whichopt.service.trials import Sample
        >>> print(text(Sample(kind="text", content="a" + chr(9) + "b")))
        a\\tb
    """
    if sample.kind != "text":
        raise ValueError(f"it is of {sample.kind}, not text")
    return "".join(_seen(sample.content[:MOST_CHARACTERS]))[:MOST_CHARACTERS]


def problem(sample: Sample) -> str | None:
    """Return what is wrong with a sample; None if it can be shown."""
    readers: dict[str, Callable[[Sample], object]] = {"points": points, "images": png, "text": text}
    try:
        readers[sample.kind](sample)
    except ValueError as error:
        return str(error)
    return None


def _content(
    sample: Sample, kind: str, fits: Callable[[tuple[int, ...]], bool], *, bytes_of_each: int
) -> bytes:
    if sample.kind != kind:
        raise ValueError(f"it is of {sample.kind}, not {kind}")
    if not fits(sample.shape) or min(sample.shape) < 1:
        raise ValueError(f"{kind} cannot have the shape {sample.shape}")
    wanted = math.prod(sample.shape) * bytes_of_each
    try:
        content = base64.b64decode(sample.content, validate=True)
    except binascii.Error as error:
        raise ValueError(f"its content is no base64 ({error})") from None
    if len(content) != wanted:
        raise ValueError(
            f"its content has {len(content):,} bytes, where {kind} of shape {sample.shape} have {wanted:,}"
        )
    return content


def _line(image: bytes, channels: int, height: int, width: int, y: int) -> bytes:
    """Return a line of an image with full alpha; nothing if there is no image."""
    if not image:
        return b""
    line = bytearray(b"\xff" * (width * (channels + 1)))
    for channel in range(channels):
        start = (channel * height + y) * width
        line[channel :: channels + 1] = image[start : start + width]
    return bytes(line)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _seen(found: str) -> Iterator[str]:
    for one in found:
        if one == "\n" or unicodedata.category(one) not in HIDDEN:
            yield one
        else:
            yield one.encode("unicode_escape").decode("ascii")

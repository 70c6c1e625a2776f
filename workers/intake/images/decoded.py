"""Decodes PNG and JPEG files within limits: by what they are, whatever they call themselves."""

from __future__ import annotations

import io
import struct
import zlib
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFile, ImageOps, JpegImagePlugin, PngImagePlugin

from whichopt.workers.intake.images import Pixels
from whichopt.workers.intake.problems import TooLarge, Unreadable, shown

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
OTHERS = (
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP"),
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
    (b"RIFF", "a WebP"),
    (b"PK\x03\x04", "a zip"),
    (b"\x1f\x8b", "a gzip file"),
    (b"%PDF", "a PDF"),
    (b"<", "text, such as SVG"),
)
"""What files of other kinds begin with."""

BROKEN = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error, zlib.error)
"""What Pillow raises for files that are damaged."""

GRAY = ("1", "L", "LA", "I;16", "I;16B", "I")
ON_ITS_SIDE = (5, 6, 7, 8)
"""Values of EXIF's orientation that swap width and height."""
ORIENTATION = 0x0112


class Seen(NamedTuple):
    """An image as its header has it: its size as it is to be looked at, and whether it is gray."""

    width: int
    height: int
    gray: bool


def seen(data: bytes, name: str, most_pixels: int) -> Seen:
    """Return what the header of an image says; no pixel is decoded.

    Args:
        data: the file.
        name: how a problem names it.
        most_pixels: the most pixels that it may have.

    Raises:
        Unreadable: it is no PNG or JPEG, or is damaged.
        TooLarge: it claims more pixels.
    """
    try:
        image = _opened(data, name)
        orientation = image.getexif().get(ORIENTATION, 1) if "exif" in image.info else 1
    except BROKEN as error:
        raise _damaged(name, error) from None
    width, height = image.size
    if width * height > most_pixels:
        raise TooLarge(
            f"{shown(name, 120)} has {width:,} x {height:,} pixels; an image may have {most_pixels:,} at "
            "most (WHICHOPT_MAX_IMAGE_PIXELS): make it smaller, or take it out"
        )
    if width < 1 or height < 1:
        raise Unreadable(f"{shown(name, 120)} has no pixels: take it out")
    if orientation in ON_ITS_SIDE:
        width, height = height, width
    return Seen(width, height, image.mode in GRAY)


def pixels(data: bytes, name: str, width: int, height: int, *, gray: bool) -> Pixels:
    """Return the pixels (channels, height, width) of an image that `seen` has passed, resized to that size.

    Args:
        data: the file.
        name: how a problem names it.
        width: the width that it is to have.
        height: the height that it is to have.
        gray: whether it becomes one channel, else three.

    Raises:
        Unreadable: it is damaged.
    """
    try:
        image = _opened(data, name)
        image.draft(image.mode, (2 * width, 2 * height))  # a large JPEG is decoded at a fraction of its size
        upright = ImageOps.exif_transpose(image)
        plain = _plain(upright, gray=gray)
    except BROKEN as error:
        raise _damaged(name, error) from None
    return resized(plain, width, height)


def resized(image: Image.Image, width: int, height: int) -> Pixels:
    """Return the pixels (channels, height, width) of a gray or a color image, resized if need be."""
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    found = np.asarray(image, dtype=np.uint8)
    return np.ascontiguousarray(found[None] if found.ndim == 2 else found.transpose(2, 0, 1))


def _opened(data: bytes, name: str) -> ImageFile.ImageFile:
    """Return the image of which nothing but the header is read.

    The classes of the two formats are called themselves: Pillow's own door would try dozens of others, and
    has a limit of its own.
    """
    if data.startswith(PNG):
        return PngImagePlugin.PngImageFile(io.BytesIO(data))
    if data.startswith(JPEG):
        return JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    kind = next((words for start, words in OTHERS if data.startswith(start)), None)
    if kind == "a zip":
        raise Unreadable(f"{shown(name, 120)} is a zip inside the zip; put the folders in it in its place")
    what = "is empty" if not data else f"is {kind}" if kind else "is no image that can be read"
    raise Unreadable(
        f"{shown(name, 120)} {what}; images are PNG or JPEG, whatever their names: convert it, or take it out"
    )


def _plain(image: Image.Image, *, gray: bool) -> Image.Image:
    """Return the image in eight bits a channel, gray or in color, without alpha."""
    if image.mode.startswith("I"):  # sixteen bits
        high = np.asarray(image).astype(np.int64) >> 8
        image = Image.fromarray(high.clip(0, 255).astype(np.uint8))
    if image.mode == "P":
        image = image.convert("RGBA")  # as a palette may have an alpha of its own
    mode = "L" if gray else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _damaged(name: str, error: Exception) -> Unreadable:
    return Unreadable(
        f"{shown(name, 120)} is damaged and cannot be decoded ({str(error)[:120] or type(error).__name__}); "
        "replace it, or take it out"
    )

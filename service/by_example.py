"""The values of a metric on single test examples, if its value is their mean: which are kept, and how.

A confirm run keeps them at its last step, as float32 in little-endian order. In JSON they are that in base64.
All runs of a job keep those of the same examples, in the order of the test split.
"""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Values = npt.NDArray[np.float64]

MOST_EXAMPLES = 10_000
"""Examples of a test split whose values are kept, by a draw that the size of the split alone decides."""

BYTES = 4
"""Bytes of a value."""


def kept_count(size: int) -> int:
    """Return the number of examples that are kept of a test split of that size."""
    return min(size, MOST_EXAMPLES)


@lru_cache(maxsize=8)
def kept_examples(size: int) -> npt.NDArray[np.int64]:
    """Return the places of the examples that are kept, ascending, in a test split of that size.

    They are those with the least hashes: `splitmix64` (Steele, Lea and Flood 2014, OOPSLA) of the place. It
    is arithmetic of whole numbers, so no version of a library draws others.

    Example:
        >>> from whichopt.service.by_example import kept_examples
        >>> kept_examples(4).tolist(), len(kept_examples(12_000))
        ([0, 1, 2, 3], 10000)
    """
    import numpy as np

    if size <= MOST_EXAMPLES:
        return np.arange(size)
    word = np.arange(1, size + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        word = (word ^ (word >> np.uint64(shift))) * np.uint64(factor)
    word ^= word >> np.uint64(31)
    return np.sort(np.argsort(word, kind="stable")[:MOST_EXAMPLES])


def packed(content: bytes) -> str:
    """Return the bytes of the values as JSON has them."""
    return base64.b64encode(content).decode("ascii")


def unpacked(text: str) -> bytes:
    """Return the bytes of the values.

    Raises:
        ValueError: the text is not base64, or not of whole values.
    """
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError as error:  # a `binascii.Error`, or of other letters than ASCII's
        raise ValueError(f"its values by example are not base64 ({error})") from None
    if len(content) % BYTES:
        raise ValueError(f"its values by example are {len(content)} bytes, no multiple of {BYTES}")
    return content


def written(values: npt.ArrayLike) -> str | None:
    """Return values as JSON has them; None if one of them is no finite float32."""
    import numpy as np

    with np.errstate(over="ignore"):
        found = np.asarray(values).astype("<f4")
    return packed(found.tobytes()) if np.isfinite(found).all() else None


def read(text: str) -> Values:
    """Return the values.

    Raises:
        ValueError: the text has none.
    """
    import numpy as np

    with np.errstate(invalid="ignore"):  # a signaling NaN, as a broken file may have one
        return np.frombuffer(unpacked(text), dtype="<f4").astype(np.float64)

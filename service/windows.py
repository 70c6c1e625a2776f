"""The windows that a text is cut into, and their division into training, validation and test.

A window is `length` tokens, each of which is to be followed by the next one: the last token of a window is
the first of the next window's inputs. Test are the last windows of the text, the same for every seed. Of the
rest a seed draws where the stretch begins that validates. Windows stay in the order of the text, so that a
state can be carried along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from whichopt.service.catalog.shapes import Shape, Sizes
from whichopt.service.uploads import Split

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Rows = npt.NDArray[np.int64]

IN_ORDER = Split(kind="in_order")

LENGTH = 64
"""Tokens of a window, unless a job says otherwise."""

FEWEST = 5
"""Windows of the shortest text that can be learned from: of fewer, no part would have what it is to show."""


def count_of(tokens: int, length: int) -> int:
    """Return how many windows of that length so many tokens have.

    >>> count_of(65, 64), count_of(64, 64)
    (1, 0)
    """
    return max(0, tokens - 1) // length


def windowed(size: int, tokens: int, length: int) -> Shape:
    """Return the shape of a text of that size, of which each token is one of so many."""
    return Shape(count_of(size, length), length, tokens, tokens=tokens)


def divided(sizes: Sizes, seed: int) -> tuple[Rows, Rows, Rows]:
    """Return the windows of training, validation and test, each in the order in which they are read.

    The stretch that validates may run over the end of what is not test, and goes on at the beginning.
    Training begins behind it, and ends before it.

    >>> [part.tolist() for part in divided(Sizes(3, 1, 1), seed=0)]
    [[0, 1, 2], [3], [4]]
    """
    import numpy as np

    rest = sizes.train + sizes.validation
    begin = int(np.random.default_rng(seed).integers(rest))
    rows = (begin + np.arange(rest)) % rest
    return rows[sizes.validation :], rows[: sizes.validation], rest + np.arange(sizes.test)

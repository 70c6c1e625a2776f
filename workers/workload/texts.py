"""Texts as data: their tokens, cut into windows that follow one another."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whichopt.service.catalog.dataset_entry import DatasetOptions
from whichopt.service.catalog.language import NAMES_VOCABULARY, NamesOptions, TextOptions
from whichopt.service.catalog.shapes import Sizes
from whichopt.service.windows import count_of, divided
from whichopt.workers.workload.criteria import Criteria
from whichopt.workers.workload.gone import DatasetGone
from whichopt.workers.workload.stream import Examples, Splits

NAMES_SHA256 = "a46a07e65d3b74a1034ebd3e7f8e0823c012b8404fde93510ec064dc2ab35109"
HIGHEST = 0xE0100
"""Code behind the last character that has a name in Unicode 3.2."""

UNNAMED = ("CJK UNIFIED IDEOGRAPH-", "CJK COMPATIBILITY IDEOGRAPH-", "HANGUL SYLLABLE ")
"""Beginnings of names that are made by rule, which are many and alike."""

UNKNOWN = "\N{REPLACEMENT CHARACTER}"
"""What is written for a token that stands for all rare characters."""

Tokens = npt.NDArray[np.uint8] | npt.NDArray[np.int16]


@dataclass(frozen=True)
class Windows:
    """A text as tokens, of which each window has `length` and the one that follows.

    `written` turns tokens into the text that they stand for.
    """

    tokens: Tokens
    length: int
    written: Callable[[Tensor], str]

    @property
    def nbytes(self) -> int:
        return self.tokens.nbytes

    def splits(self, criteria: Criteria, sizes: Sizes, seed: int, device: torch.device) -> Splits:  # noqa: ARG002
        """Return the splits that `seed` draws: windows in the order of the text, a byte or two a token."""
        windows = count_of(len(self.tokens), self.length)
        end = windows * self.length
        inputs = torch.from_numpy(self.tokens[:end].reshape(windows, self.length))
        targets = torch.from_numpy(self.tokens[1 : end + 1].reshape(windows, self.length))
        parts = (torch.from_numpy(rows) for rows in divided(sizes, seed))
        return Splits(
            *(
                Examples(
                    inputs[rows].to(device),
                    targets[rows].to(device),
                    1.0,
                    in_lanes=True,
                    written=self.written,
                )
                for rows in parts
            )
        )


def of_bytes(text: bytes, options: TextOptions) -> Windows:
    """Return the text as bytes."""

    def written(tokens: Tensor) -> str:
        return tokens.to(torch.uint8).numpy().tobytes().decode("utf-8", "replace")

    return Windows(np.frombuffer(text, np.uint8).copy(), options.length, written)


def of_characters(text: str, vocabulary: str, options: TextOptions) -> Windows:
    """Return the text as characters of the vocabulary; any other becomes the token behind its last."""
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    known = np.frombuffer(vocabulary.encode("utf-32-le"), np.uint32)
    places = np.searchsorted(known, codes).clip(max=len(known) - 1)
    found = np.where(known[places] == codes, places, len(known))
    tokens: Tokens = found.astype(np.uint8) if len(known) < 256 else found.astype(np.int16)
    every = vocabulary + UNKNOWN

    def written(tokens: Tensor) -> str:
        return "".join(every[token] for token in tokens.tolist())

    return Windows(tokens, options.length, written)


def unicode_names(options: DatasetOptions) -> Windows:
    """Load the names of Unicode 3.2, of which Python keeps a frozen copy.

    Raises:
        DatasetGone: it is not the text that the catalog means.
    """
    assert isinstance(options, NamesOptions)
    text = names()
    found = hashlib.sha256(text.encode()).hexdigest()
    if found != NAMES_SHA256:
        raise DatasetGone(
            f"the names of Unicode 3.2 are another text here (SHA-256 {found}) than every Python known to "
            f"whichopt has ({NAMES_SHA256}): run the job with CPython, or send the text that you mean by "
            "'whichopt dataset add FILE --task language'"
        )
    used = text[: options.characters]
    if options.tokens == "bytes":
        return of_bytes(used.encode(), options)
    return of_characters(used, NAMES_VOCABULARY, options)


def names() -> str:
    """Return the names, a line each, in an order that their hashes draw: so all parts are alike."""
    name = unicodedata.ucd_3_2_0.name
    found = (name(chr(code), "") for code in range(HIGHEST))
    kept = [one for one in found if one and not one.startswith(UNNAMED)]
    kept.sort(key=lambda one: hashlib.sha256(one.encode()).digest())
    return "\n".join(kept) + "\n"

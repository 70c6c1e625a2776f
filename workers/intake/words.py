"""Words as tables have them: for a value that is missing, for yes and no, and the categories of a column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from whichopt.workers.intake.raw import MISSING, as_numpy

Codes = npt.NDArray[np.int64]

YES_AND_NO = (("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"), ("off", "on"))
"""Pairs of words, in small letters, for a column of two values: the first is 0."""


@dataclass(frozen=True)
class Coded:
    """Text by its distinct words: `codes` (rows,) is each row's word, -1 if it is missing."""

    words: pa.StringArray
    codes: Codes

    def counts_in(self, rows: npt.NDArray[np.bool_] | None = None) -> Codes:
        """Return of how many of the rows (None: of all) each is the word."""
        codes = self.codes if rows is None else self.codes[rows]
        counted: Codes = np.bincount(codes + 1, minlength=len(self.words) + 1)[1:]
        return counted

    def first_row(self, word: int) -> int:
        """Return the first row, from 0, that has that word (-1: that has none)."""
        return int(np.argmax(self.codes == word))

    def spread(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return for each row the value of its word, NaN if it is missing."""
        return np.append(values, np.nan)[self.codes]


def coded(data: pa.ChunkedArray) -> Coded:
    """Return the text by its words, without blanks around them."""
    if not pa.types.is_dictionary(data.type):
        data = data.dictionary_encode()
    whole = data.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # combine_chunks of none, or of several that do not fit into one
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], whole.type)
    codes = as_numpy(whole.indices, -1).astype(np.int64)
    words = pc.utf8_trim_whitespace(whole.dictionary.cast(pa.string()))
    missing = pc.is_in(words, pa.array(sorted(MISSING)))
    merged = pc.if_else(missing, pa.scalar(None, pa.string()), words).dictionary_encode()
    again = as_numpy(merged.indices, -1).astype(np.int64)
    codes = np.append(again, -1)[codes]
    return _used(merged.dictionary, codes)


def _used(words: pa.StringArray, codes: Codes) -> Coded:
    """Return the words that rows have: a file may list others."""
    used = np.bincount(codes + 1, minlength=len(words) + 1)[1:] > 0
    if used.all():
        return Coded(words, codes)
    new = np.append(np.cumsum(used) - 1, -1)
    return Coded(words.filter(pa.array(used)), new[codes])


def most_frequent(found: Coded, most: int, rows: npt.NDArray[np.bool_]) -> list[str]:
    """Return at most so many words of the rows, the most frequent first, ties in the alphabet's order."""
    counts = found.counts_in(rows)
    if len(counts) > most:
        least = np.partition(counts, -most)[-most]
        candidates = np.flatnonzero(counts >= least)
    else:
        candidates = np.arange(len(counts))
    if len(candidates) > 2 * most:  # many ties at the end: the first of them by the alphabet
        certain = np.flatnonzero(counts > least)
        ties = candidates[counts[candidates] == least]
        order = as_numpy(pc.sort_indices(found.words.take(pa.array(ties))))[:most]
        candidates = np.concatenate([certain, ties[order]])
    named = zip(candidates.tolist(), found.words.take(pa.array(candidates)).to_pylist(), strict=True)
    ordered = sorted(named, key=lambda pair: (-counts[pair[0]], pair[1]))
    return [word for i, word in ordered if counts[i]][:most]


def yes_or_no(found: Coded) -> tuple[str, str] | None:
    """Return the words for 0 and 1 if the two words are a no and a yes, else None."""
    if len(found.words) != 2:
        return None
    words = {word.lower(): word for word in found.words.to_pylist()}
    pair = next((pair for pair in YES_AND_NO if set(pair) == set(words)), None)
    if pair is None or pair[0] == "false":  # which programs write in several ways
        return pair
    return words[pair[0]], words[pair[1]]

"""Reads a text that is to be learned from: its characters, which of them are tokens, and its bytes."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from whichopt.service.splits import sizes_of
from whichopt.service.texts import BEGINNING, LANGUAGE, MOST_CHARACTERS, VOCABULARY_SHARE
from whichopt.service.texts import Text as Facts
from whichopt.service.uploads import Choices, Remark, Table, Written
from whichopt.service.windows import FEWEST, IN_ORDER, LENGTH, windowed
from whichopt.workers.intake.kept import Kept
from whichopt.workers.intake.limits import Limits
from whichopt.workers.intake.problems import Unreadable
from whichopt.workers.intake.progress import Progress, silent
from whichopt.workers.intake.text import Text

PART = "part-text.safetensors"
CODES = 0x110000
AT_ONCE = 1 << 20
"""Bytes of the text that are decoded at once."""

MANY_RARE = 0.01
"""Share of rare characters above which they are remarked on."""

NEXT = "the next token"
"""What is predicted of a text, where a table has the name of a column."""


@dataclass(frozen=True)
class TakenText:
    """A text, and what is kept of it."""

    table: Table
    kept: KeptText

    def remarked(self) -> Table:
        """Return what was found, with remarks on what the text shows."""
        assert self.table.text is not None
        return self.table.model_copy(update={"remarks": tuple(_remarks(self.table.text))})

    def keep(self, folder: Path) -> tuple[Path, str]:
        """Write what is kept to a file in the folder; return it and the hash of its bytes."""
        path = folder / PART
        plain = self.table.model_copy(update={"notes": (), "remarks": (), "written": None})
        return path, self.kept.write(path, plain.canonical())


class KeptText(Kept):
    """A text as it is kept: its bytes in UTF-8, as the one tensor `text`."""

    def __init__(self, text: npt.NDArray[np.uint8]) -> None:
        super().__init__(len(text), [], [], {"text": text})

    def _shapes(self) -> list[tuple[str, np.dtype[Any], tuple[int, ...]]]:
        return [(name, values.dtype, values.shape) for name, values in self.others.items()]


def take_text(
    path: Path, choices: Choices, limits: Limits | None = None, progress: Progress | None = None
) -> TakenText:
    """Take a text in.

    Args:
        path: the file.
        choices: what a person says about it.
        limits: the limits on it.
        progress: is told how far it is.

    Raises:
        Problem: it cannot be read, and why.
    """
    limits, progress = limits or Limits(), progress or silent()
    _check(choices)
    source = Text(path, limits.table_bytes, table=False)
    text, again = _read(source, progress)
    codes = np.frombuffer(text, np.uint8)
    characters = int(np.count_nonzero(codes & 0xC0 != 0x80))  # all but those that continue one
    needed = FEWEST * LENGTH + 1
    if characters < needed:
        raise Unreadable(
            f"the file has {characters:,} character{'s' if characters != 1 else ''}; a text to learn from "
            f"needs at least {needed}: send a longer one"
        )
    vocabulary, rare, distinct = _vocabulary(text, characters)
    if distinct == 1:
        raise Unreadable(
            f"the file is the character {vocabulary!r} again and again, of which there is nothing to learn; "
            "is it the file that you meant?"
        )
    facts = Facts(
        characters=characters,
        bytes=len(text),
        lines=text.count(b"\n") + (not text.endswith(b"\n")),
        vocabulary=vocabulary,
        rare=rare,
        beginning=text[: 4 * BEGINNING].decode("utf-8", "ignore")[:BEGINNING],
    )
    shape = windowed(characters, facts.tokens, LENGTH)
    table = Table(
        rows=shape.examples,
        columns=(),
        target=NEXT,
        task=LANGUAGE,
        split=IN_ORDER,
        shape=shape,
        sizes=sizes_of(IN_ORDER, shape.examples),
        notes=tuple(_notes(facts, distinct, source, again=again)),
        written=Written(format="plain", header=False, encoding=source.encoding),
        text=facts,
    )
    return TakenText(table, KeptText(codes))


def _check(choices: Choices) -> None:
    """Raise Unreadable if something is said about columns."""
    for name in ("target", "split", "header", "columns"):
        if getattr(choices, name) not in (getattr(Choices(), name), IN_ORDER):
            raise Unreadable(
                f"a text has no columns, so there is nothing that {name} could be about: leave {name} out, "
                "or leave task=language out if the file is a table"
            )


def _read(source: Text, progress: Progress) -> tuple[bytes, bool]:
    """Return the text in UTF-8, with a line feed at the end of each line, and if some ended otherwise."""
    whole = bytearray()
    for chunk in source.chunks():
        whole += chunk
        progress.at(whole.count(b"\n", max(0, len(whole) - len(chunk))), source.share)
    if b"\r" not in whole:
        return bytes(whole), False
    return bytes(whole).replace(b"\r\n", b"\n").replace(b"\r", b"\n"), True


def _vocabulary(text: bytes, characters: int) -> tuple[str, int, int]:
    """Return the characters that are tokens, how often the text has others, and how many kinds it has.

    What tests the networks says nothing about it: only the beginning of the text does.
    """
    first = np.zeros(CODES, dtype=np.int64)
    every = np.zeros(CODES, dtype=np.int64)
    left = max(1, int(characters * VOCABULARY_SHARE))
    for codes in _decoded(text):
        first += np.bincount(codes[:left], minlength=CODES)
        every += np.bincount(codes, minlength=CODES)
        left = max(0, left - len(codes))
    known = np.flatnonzero(first)
    most = known[np.argsort(-first[known], kind="stable")][:MOST_CHARACTERS]
    vocabulary = "".join(map(chr, sorted(most.tolist())))
    return vocabulary, int(characters - every[most].sum()), int(np.count_nonzero(every))


def _decoded(text: bytes) -> Iterator[npt.NDArray[np.uint32]]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(text), AT_ONCE):
        piece = decoder.decode(text[start : start + AT_ONCE], final=start + AT_ONCE >= len(text))
        yield np.frombuffer(piece.encode("utf-32-le"), np.uint32)


def _notes(facts: Facts, distinct: int, source: Text, *, again: bool) -> Iterator[str]:
    yield "task language was asked for: the file is read as a text, not as a table"
    yield f"the text is {source.encoding.upper()}{', compressed by gzip' if source.gzipped else ''}"
    if again:
        yield "lines that end with a carriage return end with a line feed now"
    if not facts.rare:
        yield f"each of its {distinct:,} different characters is a token"
    else:
        kinds = distinct - len(facts.vocabulary)
        yield (
            f"{len(facts.vocabulary):,} characters are tokens of their own, the most frequent of the first "
            f"{VOCABULARY_SHARE:.0%} of the text, at most {MOST_CHARACTERS:,}; the rest ({kinds:,}, which "
            f"make {facts.rare:,} of all {facts.characters:,}) share one token"
        )
    yield (
        "the last fifth of the text tests; a stretch of a quarter of the rest validates, and the seed of a "
        "trial draws where it lies"
    )


def _remarks(facts: Facts) -> Iterator[Remark]:
    if facts.rare > MANY_RARE * facts.characters:
        yield Remark(
            code="rare_characters",
            what=f"{facts.rare / facts.characters:.1%} of the characters have no token of their own",
            why="a network cannot tell them from each other, and is not judged by which of them comes",
            instead="set tokens to bytes in the job's dataset: then every character can be written",
        )

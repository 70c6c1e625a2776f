"""The text of a file as UTF-8 from its start: inflated, decoded and checked while it is read."""

from __future__ import annotations

import codecs
import io
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from whichopt.workers.intake.problems import TooLarge, Unreadable

CHUNK = 1 << 20
GZIP = b"\x1f\x8b"
SIGNATURES = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


class Text:
    """A text file that can be read from its start again and again; a gzip file is inflated.

    Raises, while it is read:
        Unreadable: its bytes are no text in UTF-8, or in UTF-16 with a mark at its start.
        TooLarge: it has more than `most_bytes` once it is inflated.

    If it is no `table`, problems name lines instead of rows.
    """

    def __init__(self, path: Path, most_bytes: int, *, table: bool = True) -> None:
        self._path = path
        self._table = table
        self._most_bytes = most_bytes
        self.compressed = path.stat().st_size
        with path.open("rb") as file:
            self.gzipped = file.read(2) == GZIP
        start = next(self._inflated(), b"")[:3]
        mark = next((mark for mark in SIGNATURES if start.startswith(mark)), b"")
        self._mark = len(mark)
        self.encoding = SIGNATURES.get(mark, "utf-8")
        self.done = 0
        """Bytes of the file that the last reader has read."""

    @property
    def share(self) -> float:
        """Share of the file that the last reader has read."""
        return self.done / max(1, self.compressed)

    def chunks(self) -> Iterator[bytes]:
        """Yield the text from its start, in UTF-8."""
        decoder = codecs.getincrementaldecoder(self.encoding)()
        skip, plain = self._mark, self.encoding == "utf-8"
        for i, chunk in enumerate(self._inflated()):
            text, skip = chunk[skip:], 0
            if not (plain and text.isascii() and not decoder.getstate()[0]):  # decoding takes longer
                try:
                    decoded = decoder.decode(text)
                except UnicodeDecodeError as error:
                    raise self._undecodable(error, i, len(text)) from None
                if not plain:
                    text = decoded.encode("utf-8", "surrogatepass")
            if (nul := text.find(b"\0")) >= 0:
                place = self._place(i, text[:nul])
                if not self._table:
                    raise Unreadable(
                        f"line {place.line:,} has a NUL character, so the file is no text; is it UTF-16 "
                        "without a mark at its start (save it as UTF-8), or something else than text?",
                        row=place.line,
                    )
                raise Unreadable(
                    f"{place} has a NUL character, so the file is no table in text; is it another format "
                    "(say which), or UTF-16 without a mark at its start (save it as UTF-8)?",
                    row=place.row,
                )
            yield text
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            raise Unreadable("the file ends in the middle of a character; is it whole?") from None

    def _place(self, chunks: int, ahead: bytes) -> Place:
        """Return the place after so many chunks and what is read of the next one."""
        place = Place()
        for chunk in islice(self.chunks(), chunks):
            place.go(chunk)
        place.go(ahead)
        return place

    def _undecodable(self, error: UnicodeDecodeError, chunks: int, size: int) -> Unreadable:
        kept = len(error.object) - size  # bytes of the chunk before, which ended within a character
        good = error.object[kept : max(kept, error.start)]
        place = self._place(chunks, good.decode(self.encoding, "ignore").encode())
        found = error.object[error.start : error.start + 4].hex(" ")
        if not self._table:
            return Unreadable(
                f"line {place.line:,} is no text in {self.encoding.upper()}: it has the bytes {found}. Save "
                "the file as UTF-8 (in Python: encoding='utf-8') and send it again; if it is no text at all, "
                "it cannot be learned from",
                row=place.line,
            )
        return Unreadable(
            f"{place} is no text in {self.encoding.upper()}: it has the bytes {found}. Save the file as "
            "UTF-8 (in a spreadsheet: 'CSV UTF-8'; in Python: encoding='utf-8') and send it again",
            row=place.row,
        )

    def _inflated(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            self.done = size = 0
            for chunk in _members(file) if self.gzipped else iter(lambda: file.read(CHUNK), b""):
                self.done = file.tell()
                size += len(chunk)
                if size > self._most_bytes:
                    inflated = "inflates to" if self.gzipped else "has"
                    fewer = "send fewer rows or columns" if self._table else "send a part of it"
                    raise TooLarge(
                        f"the file {inflated} more than {self._most_bytes:,} bytes of text "
                        f"(WHICHOPT_MAX_TABLE_BYTES); {fewer}"
                    )
                yield chunk


def _members(file: BinaryIO) -> Iterator[bytes]:
    """Inflate a gzip file of one member or several, never more than a chunk at once."""
    inflater, rest = zlib.decompressobj(31), b""
    ended = False
    try:
        while rest or (rest := file.read(CHUNK)):
            if ended:
                if not rest.strip(b"\0"):  # padding
                    rest = b""
                    continue
                inflater, ended = zlib.decompressobj(31), False
            piece = inflater.decompress(rest, CHUNK)
            ended = inflater.eof
            rest = inflater.unused_data if ended else inflater.unconsumed_tail
            if piece:
                yield piece
    except zlib.error as error:
        raise Unreadable(f"the file is damaged: it cannot be inflated as gzip ({error})") from None
    if not ended:
        raise Unreadable("the file ends in the middle of its gzip data; is it whole?")


class Place:
    """A place in a text: its row, which may have several lines as a newline may stand in quotes.

    Rows are counted as they are read: an empty line is none, and only at the start of a field begins a quote.
    """

    def __init__(self) -> None:
        self.row = 1
        self.line = 1
        self.quote: int | None = None
        """Row in which a quote began that has not ended yet."""
        self._empty = True  # so far the row is
        self._last = b"\n"

    def __str__(self) -> str:
        return f"row {self.row}" if self.row == self.line else f"row {self.row} (line {self.line})"

    def go(self, text: bytes) -> None:
        """Go on by that text."""
        for i, piece in enumerate(text.split(b'"')):
            if i:
                begins = self._last in b',;\t|\r\n"'
                self.quote = self.row if self.quote is None and begins else None
                self._empty, self._last = False, b'"'
            self.line += piece.count(b"\n")
            if self.quote is None:
                for j, line in enumerate(piece.split(b"\n")):
                    if j and not self._empty:
                        self.row += 1
                        self._empty = True
                    self._empty = self._empty and not line.rstrip(b"\r")
            self._last = piece[-1:] or self._last


class Readable(io.RawIOBase):
    """The text as a file that Arrow reads."""

    def __init__(self, text: Text) -> None:
        super().__init__()
        self._text = text
        self._chunks = text.chunks()
        self._rest = b""
        self._begun = False
        self.shares = list[float]()
        """Share of the file that was read after each block, as Arrow reads ahead."""
        self.problem: Exception | None = None
        """What ended the reading, as Arrow may hide it."""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        parts, room = [self._rest], (size if size >= 0 else 1 << 62) - len(self._rest)
        try:
            while room > 0 and (chunk := next(self._chunks, b"")):
                if not self._begun:  # Arrow would take empty lines before the header for it
                    chunk = chunk.lstrip(b"\r\n")
                    self._begun = bool(chunk)
                parts.append(chunk)
                room -= len(chunk)
        except Exception as error:
            self.problem = error
            raise
        data = b"".join(parts)
        self.shares.append(self._text.share)
        if size < 0 or len(data) <= size:
            self._rest = b""
            return data
        self._rest = data[size:]
        return data[:size]

"""A zip of images: its entries are checked before any is inflated, and none is written anywhere."""

from __future__ import annotations

import re
import stat
import zipfile
from pathlib import Path

from whichopt.workers.intake.archives import BROKEN, HIGHEST_RATIO
from whichopt.workers.intake.images.paths import hidden
from whichopt.workers.intake.limits import Limits
from whichopt.workers.intake.problems import TooLarge, Unreadable, shown

DRIVE = re.compile(r"^[A-Za-z]:")


class Zipped:
    """The files of a zip, by their paths. It is thread-safe.

    Raises:
        Unreadable: it is no zip, or an entry is one that nobody sends in good faith.
        TooLarge: it has more files or bytes than allowed.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        try:
            self._archive = zipfile.ZipFile(path)
        except BROKEN as error:
            raise Unreadable(f"the file is no zip that can be read: {str(error)[:300]}") from None
        self._entries = dict[tuple[str, ...], zipfile.ZipInfo]()
        self.folders = set[tuple[str, ...]]()
        self.left_out = 0
        """The number of files that systems leave behind."""
        inflated = 0
        for entry in self._archive.infolist():
            place = self._place(entry)
            if hidden(place):
                self.left_out += not entry.is_dir()
                continue
            if entry.is_dir():
                self.folders.add(place)
                continue
            if place in self._entries:
                raise Unreadable(
                    f"two files have the name {_said(entry)}; rename one of them, or take it out"
                )
            if len(self._entries) >= limits.images:
                raise TooLarge(
                    f"the zip has more than {limits.images:,} files, the next of which is {_said(entry)} "
                    "(WHICHOPT_MAX_IMAGES); send fewer"
                )
            inflated += entry.file_size
            if inflated > limits.table_bytes:
                raise TooLarge(
                    f"the files have more than {limits.table_bytes:,} bytes once they are inflated, with "
                    f"{_said(entry)} (WHICHOPT_MAX_TABLE_BYTES); send fewer or smaller images"
                )
            self._entries[place] = entry
        self.files = sorted(self._entries)

    def read(self, path: tuple[str, ...]) -> bytes:
        """Return the content of a file.

        Raises:
            Unreadable: it is damaged, or has more bytes than it claims.
        """
        entry = self._entries[path]
        try:
            with self._archive.open(entry) as file:
                data = file.read(entry.file_size + 1)
        except BROKEN as error:
            raise Unreadable(
                f"{_said(entry)} cannot be unpacked: {str(error)[:200]}; pack the zip anew"
            ) from None
        if len(data) != entry.file_size:
            raise Unreadable(
                f"{_said(entry)} claims {entry.file_size:,} bytes and has others; the zip is damaged, or "
                "made to harm: pack it anew"
            )
        return data

    def _place(self, entry: zipfile.ZipInfo) -> tuple[str, ...]:
        """Return the parts of an entry's path, if it stays inside and can be read."""
        name = entry.filename.replace("\\", "/")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/") or DRIVE.match(name) or ".." in parts:
            raise Unreadable(f"{_said(entry)} climbs out of the zip; pack it anew from inside its folder")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise Unreadable(f"{_said(entry)} is a link; put the file itself in its place")
        if entry.flag_bits & 0x1:
            raise Unreadable(f"{_said(entry)} is encrypted; pack the zip anew without a password")
        if entry.file_size > HIGHEST_RATIO * max(1, entry.compress_size) + 1000:
            raise Unreadable(
                f"{_said(entry)} claims {entry.file_size:,} bytes in {entry.compress_size:,}, which no "
                "compression reaches; the zip is damaged, or made to harm: pack it anew"
            )
        return tuple(parts)


def _said(entry: zipfile.ZipInfo) -> str:
    return shown(entry.filename, 120)

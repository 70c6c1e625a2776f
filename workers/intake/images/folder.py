"""A folder of images that is read where it lies; nothing outside its root is."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from whichopt.service.uploads import DEEPEST
from whichopt.workers.intake.images.paths import hidden
from whichopt.workers.intake.problems import TooLarge, Unreadable, shown

LARGEST_FILE = 1 << 28
"""Most bytes of a file: what 40 million pixels have if nothing is compressed."""


class Folder:
    """The files of a folder, by their paths. It is thread-safe.

    Args:
        path: the folder.
        root: the folder that nothing may lie outside of.
        most: the most files.

    Raises:
        Unreadable: it is no folder, or a link leads out of the root.
        TooLarge: it has more files.
    """

    def __init__(self, path: Path, root: Path, most: int) -> None:
        self._path = path
        self._root = root.resolve()
        self._most = most
        self.files = list[tuple[str, ...]]()
        self.folders = set[tuple[str, ...]]()
        self.left_out = 0
        """The number of files that systems leave behind."""
        if not self._inside(path) or not path.is_dir():
            raise Unreadable(
                f"there is no folder {shown(path.name)} under WHICHOPT_DATA_ROOT; put it there, with a "
                "folder for each class in it"
            )
        self._list(())
        self.files.sort()

    def read(self, path: tuple[str, ...]) -> bytes:
        """Return the content of a file.

        Raises:
            Unreadable: it cannot be read, or is no file any more.
            TooLarge: it has more bytes than an image.
        """
        try:
            handle = os.open(
                self._path.joinpath(*path).resolve(), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            )
            with os.fdopen(handle, "rb") as file:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise Unreadable(f"{_said(path)} is no file; take it out")
                data = file.read(LARGEST_FILE + 1) if os.fstat(handle).st_size <= LARGEST_FILE else None
        except (OSError, RuntimeError) as error:  # the latter of links that lead to themselves
            raise Unreadable(f"{_said(path)} cannot be read: {_reason(error)}") from None
        if data is None or len(data) > LARGEST_FILE:
            raise TooLarge(
                f"{_said(path)} has more than {LARGEST_FILE:,} bytes; make it smaller, or take it out"
            )
        return data

    def _list(self, within: tuple[str, ...]) -> None:
        try:
            entries = sorted(os.scandir(self._path.joinpath(*within)), key=lambda entry: entry.name)
        except OSError as error:
            raise Unreadable(f"folder {_said(within)} cannot be read: {_reason(error)}") from None
        for entry in entries:
            place = (*within, entry.name)
            if not entry.name.isascii():
                _check_name(place)
            if hidden(place):
                self.left_out += 1
                continue
            if entry.is_symlink() and (not self._inside(Path(entry.path)) or entry.is_dir()):
                raise Unreadable(
                    f"{_said(place)} is a link to a folder, to itself, or out of WHICHOPT_DATA_ROOT; put "
                    "what it leads to in its place"
                )
            if entry.is_dir():
                if len(place) > DEEPEST:
                    raise Unreadable(
                        f"folder {_said(place)} lies in {DEEPEST} others; images lie in a folder for each "
                        "class: take it out"
                    )
                self.folders.add(place)
                self._list(place)
                continue
            if len(self.files) >= self._most:
                raise TooLarge(
                    f"the folder has more than {self._most:,} files, the next of which is {_said(place)} "
                    "(WHICHOPT_MAX_IMAGES); take some out"
                )
            self.files.append(place)

    def _inside(self, path: Path) -> bool:
        try:
            return path.resolve().is_relative_to(self._root)
        except (OSError, RuntimeError):  # it leads to itself
            return False


def _check_name(path: tuple[str, ...]) -> None:
    """Raise Unreadable if a name has bytes that are no text, which neither jobs nor databases could keep."""
    try:
        "/".join(path).encode()
    except UnicodeEncodeError:
        raise Unreadable(f"the name of {_said(path)} is no text in UTF-8; rename it") from None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _said(path: tuple[str, ...]) -> str:
    return shown("/".join(path), 120)

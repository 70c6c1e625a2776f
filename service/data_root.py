"""Folders of images under WHICHOPT_DATA_ROOT, which jobs can be about without their being sent."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from whichopt.service.errors import InvalidQuery, NotFound
from whichopt.service.uploads import DEEPEST

FIELD = "folder"
PREFIX = "folder:"
"""Begins what a person gives in place of a file: `folder:NAME`."""
FOLDER = "folder"
"""What such data are called among the formats of files."""


@dataclass(frozen=True)
class Lying:
    """A folder that stays where it lies: its files' size together, and the SHA-256 of their listing (paths,
    sizes and times), by which it is known whether it is worth to be read again."""

    path: Path
    bytes: int
    sha256: str

    @property
    def held(self) -> int:
        """The bytes that it takes in the blob folder."""
        return 0

    def remove(self) -> None:
        """Leave it where it lies: it is not ours."""


def lying(name: str, root: Path | None, *, most: int) -> Lying:
    """Return the folder of that name under the root.

    Args:
        name: the folder's name, which is no path.
        root: the setting WHICHOPT_DATA_ROOT; None if it is not set.
        most: the most files that are listed; what has more, or lies deeper than DEEPEST, is refused by the
            reader.

    Raises:
        InvalidQuery: the service has no such root, or the name is a path.
        NotFound: there is no such folder.
    """
    if root is None:
        raise InvalidQuery(
            "this service reads no folders, as its WHICHOPT_DATA_ROOT is not set; send the images as a zip, "
            "or have it set to the folder in which folders of images lie",
            field=FIELD,
            value=name,
        )
    if Path(name).name != name or name.startswith(".") or "\\" in name or not name.isprintable():
        raise InvalidQuery(
            f"{name!r} is no name of a folder right under WHICHOPT_DATA_ROOT; give the name alone",
            field=FIELD,
            value=name,
        )
    path = root / name
    known = _folders(root)
    if name not in known or not path.resolve().is_relative_to(root.resolve()):
        raise NotFound(
            f"there is no folder {name!r} under WHICHOPT_DATA_ROOT; there "
            + (f"are {', '.join(known[:20])}" if known else "is none at all"),
            field=FIELD,
            value=name,
            allowed=known[:20],
        )
    size, digest, files = 0, hashlib.sha256(), 0
    for place, folders, names in os.walk(path):
        folders.sort()
        if len(Path(place).relative_to(path).parts) > DEEPEST:
            folders.clear()
        for one in sorted(names):
            at = Path(place, one)
            try:
                facts = at.lstat()
            except FileNotFoundError:  # it has gone since it was listed
                continue
            size += facts.st_size
            digest.update(
                f"{at.relative_to(path)}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode("utf-8", "replace")
            )
            files += 1
        if files > most:
            break
    return Lying(path.absolute(), size, digest.hexdigest())


def name_of(folder: str) -> str:
    """Return the name of the dataset in a folder: the folder's, without what names of datasets lack.

    >>> name_of("My pets (2)")
    'My-pets-2'
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "-", folder).strip("-._")[:64] or "images"


def _folders(root: Path) -> list[str]:
    try:
        return sorted(
            one.name for one in os.scandir(root) if not one.name.startswith(".") and Path(one).is_dir()
        )
    except OSError as error:
        raise InvalidQuery(
            f"WHICHOPT_DATA_ROOT cannot be read: {error.strerror or error}; have it mended", field=FIELD
        ) from None

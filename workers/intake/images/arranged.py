"""The classes and the parts of images, from the paths of their files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from whichopt.workers.intake.division import PARTS
from whichopt.workers.intake.images.paths import Path
from whichopt.workers.intake.problems import Unreadable, shown
from whichopt.workers.intake.raw import MISSING
from whichopt.workers.intake.target import FEWEST_ROWS, LONGEST_CLASS

FORM = "class_name/image.png, or train/class_name/image.png and so on"


@dataclass(frozen=True)
class Arranged:
    """The class of each file, by its path's place among those that were given, and its part if it has one."""

    classes: tuple[str, ...]
    parts: tuple[str, ...] | None


def arranged(files: Sequence[Path], folders: Collection[Path]) -> Arranged:
    """Return the classes and the parts of files.

    Args:
        files: the paths of the images, by their parts.
        folders: the paths of the folders, of which some may be empty.

    Raises:
        Unreadable: a file lies elsewhere than in its class's folder, a class is empty or has too few, or
            there is only one.
    """
    if not files:
        raise Unreadable(f"there is no image; images lie in a folder for each class: {FORM}")
    cut = _common(files)
    inner = [path[cut:] for path in files]
    parted = all(len(path) > 2 and path[0].lower() in PARTS for path in inner)
    depth = 2 if parted else 1
    for path, within in zip(files, inner, strict=True):
        if len(within) != depth + 1:
            raise Unreadable(f"{_said(path)} does not lie in the folder of its class; a file lies as {FORM}")
    classes = tuple(path[depth - 1] for path in inner)
    parts = tuple(path[0].lower() for path in inner) if parted else None
    _check_names(dict(zip(reversed(classes), reversed(files), strict=True)))
    _check_empty([path[cut:] for path in folders if path[:cut] == files[0][:cut]], depth, inner)
    _check_counts(classes, parts, files)
    return Arranged(classes, parts)


def _common(files: Sequence[Path]) -> int:
    """Return 1 if all lie in one folder at the top that is no class, else 0."""
    return int(len({path[0] for path in files}) == 1 and all(len(path) > 2 for path in files))


def _check_names(first: dict[str, Path]) -> None:
    for name, path in first.items():
        if name.strip() in MISSING or not name.isprintable() or len(name) > LONGEST_CLASS:
            raise Unreadable(
                f"{_said(path)} lies in folder {shown(name)}, which is no name of a class: a name has at "
                f"most {LONGEST_CLASS} printable characters, and is no word for a missing value; rename it"
            )


def _check_empty(folders: Sequence[Path], depth: int, files: Sequence[Path]) -> None:
    full = {path[:depth] for path in files}
    for path in sorted(folders):
        if len(path) == depth and path not in full:
            raise Unreadable(f"folder {_said(path)} of a class has no image; add some, or take it out")


def _check_counts(classes: Sequence[str], parts: Sequence[str] | None, files: Sequence[Path]) -> None:
    counts = Counter(classes)
    if len(counts) < 2:
        raise Unreadable(
            f"all images are of one class, {shown(classes[0])}, such as {_said(files[0])}, so there is "
            f"nothing to predict; each class has a folder: {FORM}"
        )
    name, least = min(counts.items(), key=lambda pair: (pair[1], pair[0]))
    first = files[classes.index(name)]
    if least < FEWEST_ROWS:
        few = "1 image" if least == 1 else f"{least} images"
        raise Unreadable(
            f"class {shown(name)} has {few}, {'' if least == 1 else 'the first of them '}{_said(first)}; a "
            f"class needs {FEWEST_ROWS}: add some, join it with another, or take it out"
        )
    if parts is None:
        return
    trained = {name for name, part in zip(classes, parts, strict=True) if PARTS[part] == 0}
    for name, path in zip(classes, files, strict=True):
        if name not in trained:
            raise Unreadable(
                f"{_said(path)} is of class {shown(name)}, of which no image is in train; add some there, or "
                "take the class out"
            )


def _said(path: Path) -> str:
    return shown("/".join(path), 120)

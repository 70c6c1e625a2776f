"""The formats of files, each read by a module of its own.

Nothing here takes long to import, so that a file is read while the rest of the reader is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from whichopt.workers.intake.limits import Limits
from whichopt.workers.intake.problems import Unreadable
from whichopt.workers.intake.progress import Progress
from whichopt.workers.intake.raw import AS_TEXT, Raw


def read(
    path: Path,
    form: str,
    limits: Limits,
    progress: Progress,
    *,
    header: bool | None,
    kinds: Mapping[str, str],
    size: int | None = None,
) -> Raw:
    """Return the table of a file, or its images, before anything is inferred.

    Args:
        path: the file.
        form: its format: `csv`, `tsv`, `parquet`, `npz`, `npy`, `zip`, or `folder` for one that is read where
            it lies.
        limits: the limits on it.
        progress: is told how far it is.
        header: whether the first row of a text has the names of the columns; None: find out.
        kinds: what a person says that columns are, or `leave_out`.
        size: the width and height that images are to have.

    Raises:
        Problem: it cannot be read, and why.
    """
    try:
        raw = _read(path, form, limits, progress, header, kinds, size)
    except OSError as error:
        raise Unreadable(f"the file cannot be read: {str(error)[:300]}") from error
    progress.at(raw.rows, 0.999)  # of the file; what follows is in memory
    return raw


def _read(
    path: Path,
    form: str,
    limits: Limits,
    progress: Progress,
    header: bool | None,
    kinds: Mapping[str, str],
    size: int | None,
) -> Raw:
    if form in ("csv", "tsv"):
        from whichopt.workers.intake import delimited

        words = {name for name, kind in kinds.items() if kind in AS_TEXT}
        return delimited.read(path, limits, progress, header=header, tabs=form == "tsv", as_text=words)
    if form == "parquet":
        from whichopt.workers.intake import parquet

        dropped = {name for name, kind in kinds.items() if kind == "leave_out"}
        return parquet.read(path, limits, progress, dropped=dropped)
    if form in ("npz", "npy"):
        from whichopt.workers.intake import arrays

        return arrays.read(path, limits, zipped=form == "npz", size=size)
    if form in ("zip", "folder"):
        from whichopt.workers.intake.images import read as images

        return (images.zipped if form == "zip" else images.folder)(path, limits, progress, size)
    raise Unreadable(f"{form!r} is no format of data; it is one of csv, tsv, parquet, npz, npy, zip")

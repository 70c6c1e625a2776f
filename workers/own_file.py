"""A person's own file, read once more for what was trained on it: by the same reader and choices."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from whichopt.service import reading
from whichopt.service.client.files import opened
from whichopt.service.errors import UnreadableDataset, UnsupportedMedia
from whichopt.service.intake import FORMATS
from whichopt.service.settings import Settings
from whichopt.service.spec import ResolvedWorkload


@contextmanager
def blobs_of(spec: ResolvedWorkload, file: Path | None, settings: Settings) -> Iterator[Path]:
    """Yield a folder that has the data of the workload: what the file holds, or else the service's blobs.

    Args:
        spec: the workload of a job; nothing is read for a built-in dataset.
        file: the file that the dataset was made of.
        settings: the service's settings, with the folder of blobs and the limits of the reader.

    Raises:
        UnreadableDataset: the file cannot be read, or holds other data than the workload's.
    """
    if file is None or spec.upload is None:
        yield settings.blobs
        return
    with tempfile.TemporaryDirectory(prefix="whichopt-data-") as folder:
        found = _read(spec, file, Path(folder), settings)
        if found.content != spec.content:
            sent = spec.upload.file
            raise UnreadableDataset(
                f"{file} is another file: its content is {found.content}, but {spec.dataset.name!r} was "
                f"{sent.name or 'a file'} with content {spec.content} (SHA-256 of the file {sent.sha256})"
            )
        os.replace(found.part, Path(folder, found.content))
        yield Path(folder)


def _read(spec: ResolvedWorkload, file: Path, folder: Path, settings: Settings) -> reading.Found:
    assert spec.upload is not None
    try:
        form = "plain" if spec.upload.text is not None else "folder"
        if form != "plain" and not (spec.upload.images and spec.upload.images.folder):
            with opened(file, None) as sent:
                form = FORMATS[sent.kind]
        request = {
            "file": str(file.absolute()),
            "format": form,
            "choices": spec.upload.choices.model_dump(mode="json"),
            "folder": str(folder),
            "limits": settings.reader_limits,
        }
        return reading.read(
            request,
            folder,
            seconds=settings.intake_s,
            most_bytes=settings.max_table_bytes,
            progressed=lambda _: None,
            wanted=lambda: True,
        )
    except reading.ReaderFailed as error:
        raise UnreadableDataset(f"{file}: {error.problem.detail}") from error
    except UnsupportedMedia as error:
        raise UnreadableDataset(f"{file}: {error.detail}") from error
    except OSError as error:
        raise UnreadableDataset(f"{file} cannot be read: {error.strerror or error}") from error

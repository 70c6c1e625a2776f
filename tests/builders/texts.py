"""Texts to learn from, as files and as they are taken in."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from whichopt.service.catalog.datasets import DatasetEntry, uploaded
from whichopt.service.uploads import Choices, File
from whichopt.workers.intake.limits import Limits
from whichopt.workers.intake.plain import TakenText, take_text
from whichopt.workers.workload import texts

FILE = File(name="book.txt", bytes=4000, sha256="e" * 64)


@cache
def prose(characters: int = 4000) -> str:
    """Return that much text in lower case, a sentence a line, with an umlaut now and then."""
    lines = (f"{line.lower()} über {n % 7}." for n, line in enumerate(texts.names().splitlines()))
    return "\n".join(line for line, _ in zip(lines, range(characters // 10), strict=False))[:characters]


def taken_text(folder: Path, data: str | bytes, limits: Limits | None = None, **choices: object) -> TakenText:
    """Take in a file of that content for the task language."""
    path = folder / "book.txt"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return take_text(path, Choices.model_validate({"task": "language", **choices}), limits)


def upload_text(folder: Path, data: str, name: str = "book") -> DatasetEntry:
    """Keep the text in the folder of blobs; return the entry of the dataset."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = taken_text(folder, data)
    path, content = taken.keep(folder)
    path.rename(folder / content)
    return uploaded(name, taken.table, FILE, content, Choices(task="language"))

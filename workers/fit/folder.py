"""The folder of a fitted network: four files, all of them or none."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

PREDICT = Path(__file__).with_name("predict.py")
"""The program that is copied to the folder. It imports nothing of ours, so that it runs anywhere."""

PREDICT_IMAGES = Path(__file__).with_name("predict_images.py")
"""The program that is copied in its place, and under its name, if the network was trained on images."""

MODEL, PREPARATION, CONFIG = "model.safetensors", "preparation.json", "config.json"
FILES = (MODEL, PREPARATION, CONFIG, PREDICT.name)


class Occupied(Exception):
    """Why nothing can be saved in a folder, in words."""


def check_free(folder: Path, *, force: bool) -> None:
    """Raise Occupied unless the folder is new or empty; with `force` it may hold a fitted network."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise Occupied(f"{folder} is a file; give a folder with --out")
    found = sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")
    if strange := [name for name in found if name not in FILES]:
        raise Occupied(
            f"{folder} has other files in it, such as {strange[0]!r}; give a folder of its own with --out"
        )
    if found and not force:
        raise Occupied(f"{folder} has a fitted network already; --force replaces it, --out names another")


def write(folder: Path, files: Mapping[str, bytes], program: Path = PREDICT, *, force: bool) -> None:
    """Write those files and the program that predicts to the folder: all of them, or none.

    Raises:
        Occupied: the folder has something else in it.
        OSError: the disk takes no more, or the folder may not be written.
    """
    check_free(folder, force=force)
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    old = part.with_name(f"{part.name}-old")
    try:
        part.mkdir()
        for name, content in {**files, PREDICT.name: program.read_bytes()}.items():
            with (part / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        if folder.exists():
            folder.rename(old)
        try:
            part.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)

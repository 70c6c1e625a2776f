"""Packages with plug-ins, as they are when they are installed: modules, and what importlib.metadata reads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from whichopt.service.installed import GROUPS, installed
from whichopt.workers import workload
from whichopt.workers.engine import entries
from whichopt.workers.plugins import loaded

EXAMPLE = Path(__file__).parents[2] / "docs" / "extend" / "example"
"""The package that the docs show."""


def package(folder: Path, name: str, code: str, *, version: str = "1.0", **offers: Mapping[str, str]) -> Path:
    """Write a package into the folder as pip installs it.

    Args:
        folder: the folder that is on the path.
        name: its name, which is that of its only module.
        code: the text of the module.
        version: its version.
        offers: what each entry point of a kind names, as in model={"tiny": "make"}.
    """
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(code)
    about = folder / f"{name}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (about / "top_level.txt").write_text(f"{name}\n")
    lines = []
    for kind, points in offers.items():
        lines += [f"[{GROUPS[kind]}]", *(f"{point} = {name}:{of}" for point, of in points.items())]  # type: ignore[index]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


@contextmanager
def on_path(folder: Path) -> Iterator[None]:
    """Have this process find what is installed in the folder, and forget it again."""
    sys.path.insert(0, str(folder))
    _forget(folder)
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        _forget(folder)


@contextmanager
def without(folder: Path) -> Iterator[None]:
    """Have this process not find what is installed in the folder, for a while."""
    sys.path.remove(str(folder))
    _forget(folder)
    try:
        yield
    finally:
        sys.path.insert(0, str(folder))
        _forget(folder)


def built(source: Path, folder: Path) -> Path:
    """Build the package at `source` and install it into the folder, without a network."""
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-build-isolation",
        "--no-deps",
        "--no-index",
    ]
    done = subprocess.run(
        [*pip, "--target", str(folder), str(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


def _forget(folder: Path) -> None:
    """Forget what was imported from the folder, and what is known of it."""
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(f"{folder}/"):
            del sys.modules[name]
    for kept in (installed, loaded._imported, loaded._imported_callable, entries._of_a_plugin):
        kept.cache_clear()
    workload._build.cache_clear()

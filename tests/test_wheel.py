"""What a wheel installs: our three names and nothing else, with every file that the program reads."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BUILT_FROM = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "adabelief",
    "adadagrad",
    "whichopt",
    "service",
    "workers",
    "migrations",
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a wheel that is made of what the repository holds."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in BUILT_FROM:  # a copy, as setuptools leaves its own files beside what it builds
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / "source" / name, symlinks=True, ignore=ignored)
        else:
            (folder / "source").mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / "source" / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*pip, "--wheel-dir", folder, folder / "source"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        return {name: content.read(name) for name in content.namelist()}


def test_no_generic_name_is_installed(installed: dict[str, bytes]) -> None:
    tops = {name.split("/")[0] for name in installed}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"adabelief", "adadagrad", "whichopt"}


def test_every_file_of_the_program_is_there(installed: dict[str, bytes]) -> None:
    for folder in ("adabelief", "adadagrad", "service", "workers", "migrations"):
        name = folder if folder.startswith("ada") else f"whichopt/{folder}"
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                inside = f"{name}/{path.relative_to(ROOT / folder)}"
                assert installed.get(inside) == path.read_bytes(), inside
    assert "whichopt/py.typed" in installed


def test_the_command_is_installed(installed: dict[str, bytes]) -> None:
    (entries,) = (text for name, text in installed.items() if name.endswith("entry_points.txt"))
    assert "whichopt = whichopt.service.cli:app" in entries.decode()

"""A person's own folders and files may have any name, beside the command and beside a client."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders.homes import SPEC, Embedded

pytestmark = pytest.mark.journey

OURS = ("service", "workers", "migrations")
SMALL = {**SPEC, "budget": {**SPEC["budget"], "epochs": 2}}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder in which everything has a name that is also one of ours or of Python's."""
    folder = tmp_path / "own"
    for package in (*OURS, "tests"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text(
            f"raise AssertionError('somebody else imports my {package}')\n"
        )
    for module in ("types", "queue", "logging", "torch", "numpy", "celery", "redis"):
        (folder / f"{module}.py").write_text(f"raise AssertionError('somebody else imports my {module}')\n")
    return folder


def test_a_service_that_is_started_there_ends_a_job(own: Path, tmp_path: Path) -> None:
    home = Embedded(tmp_path / "data", workers=1, folder=own)
    try:
        home.finish(home.client.submit(SMALL))
    finally:
        home.stop()
    assert sorted(path.name for path in own.rglob("*.pyc")) == []


def test_a_script_beside_folders_of_our_names_has_them_and_us(tmp_path: Path) -> None:
    for package in OURS:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(f"MINE = {package!r}\n")
    script = tmp_path / "script.py"
    script.write_text(
        f"import {', '.join(OURS)}\n"
        "from whichopt import Client, JobSpec, Recommendation, read_report, verify\n"
        "import whichopt.service.app, whichopt.workers.app\n"
        f"print({', '.join(f'{name}.MINE' for name in OURS)})\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split() == list(OURS)

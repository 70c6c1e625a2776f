"""Exit codes: one convention, which the manual tells."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders.homes import free_port
from whichopt.service.db import Store
from whichopt.service.db.migrate import upgrade
from whichopt.service.exit_codes import CANNOT, CONFIG, UNAVAILABLE, table

ROOT = Path(__file__).parent.parent


def ended(*command: str, **environment: str) -> tuple[int, str]:
    """The exit code of a program of ours, and the one line that it says."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = done.stderr.splitlines()
    return done.returncode, line


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """A data folder whose database is of a newer whichopt."""
    data = tmp_path / "data"
    data.mkdir()
    store = Store(f"sqlite:///{data / 'whichopt.db'}")
    upgrade(store)
    store.close()
    with sqlite3.connect(data / "whichopt.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0099'")
    connection.close()
    return data


def test_the_manual_has_them() -> None:
    assert table() in (ROOT / "docs" / "deploy.md").read_text()
    assert (UNAVAILABLE, CONFIG) == (os.EX_UNAVAILABLE, os.EX_CONFIG)


@pytest.mark.parametrize(
    "program",
    ["whichopt.service.cli migrate", "whichopt.service.cli up", "whichopt.workers", "whichopt.workers.alive"],
)
def test_a_wrong_setting_ends_all_with_the_same(program: str, tmp_path: Path) -> None:
    options = [f"--data={tmp_path}"] if program.endswith("up") else []
    code, line = ended(*program.split(), *options, WHICHOPT_LEASE_S="soon")
    assert (code, line) == (
        CANNOT,
        "whichopt: WHICHOPT_LEASE_S is 'soon'; allowed: a number of seconds above 0, at most 31,536,000",
    )


def test_a_database_that_is_newer_ends_migrate_and_a_home_with_the_same(newer: Path) -> None:
    migrated = ended(
        "whichopt.service.cli", "migrate", WHICHOPT_DATABASE_URL=f"sqlite:///{newer / 'whichopt.db'}"
    )
    home = ended(
        "whichopt.service.cli", "up", f"--data={newer}", f"--port={free_port()}", "--gpus=0", "--workers=1"
    )
    assert migrated == home
    assert home[0] == CANNOT
    assert "upgrade the" in home[1]


def test_a_data_folder_that_cannot_be_one_is_as_a_wrong_option(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, line = ended("whichopt.service.cli", "up", f"--data={tmp_path / 'file'}", f"--port={free_port()}")
    assert code == CANNOT
    assert "give --data a folder" in line

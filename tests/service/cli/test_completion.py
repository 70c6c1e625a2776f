"""What the shell proposes at Tab."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders.concluded_jobs import running_job
from tests.builders.services import KEY
from tests.builders.waiting import DEADLINE_S
from whichopt.service.db import Store

ENTRY = (
    "from whichopt.service.cli import app, completion; "
    f"completion.ANSWER_S = {DEADLINE_S}; "  # a shell does not wait for a busy machine, and this does
    "app(prog_name='whichopt')"
)


def proposed(words: str, folder: Path) -> list[str]:
    """What bash is told to propose for the last of the words."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
        "_WHICHOPT_COMPLETE": "complete_bash",
    }
    found = subprocess.run(
        [sys.executable, "-c", ENTRY],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stderr == ""
    return found.stdout.split()


@pytest.fixture
def home(tmp_path: Path, url: str) -> Path:
    """A folder with a data folder whose service runs."""
    (tmp_path / "whichopt-data").mkdir()
    (tmp_path / "whichopt-data" / "url").write_text(f"{url}\n")
    (tmp_path / "whichopt-data" / "api-key").write_text(f"{KEY}\n")
    return tmp_path


def test_commands_and_catalogs(tmp_path: Path) -> None:
    assert "submit" in proposed("whichopt su", tmp_path)
    assert proposed("whichopt catalog ", tmp_path) == ["optimizers", "models", "datasets", "tasks", "plugins"]
    assert proposed("whichopt catalog mo", tmp_path) == ["models"]


def test_jobs_of_the_service_of_the_data_folder(home: Path, lite: Store) -> None:
    uids = {running_job(lite)[1] for _ in range(3)}
    for command in ("show", "watch", "recommend", "forecast", "cancel", "export", "report"):
        assert set(proposed(f"whichopt {command} ", home)) == uids, command
    one = min(uids)
    assert proposed(f"whichopt show {one[:-1]}", home) == [one]


def test_without_a_service_nothing_is_proposed(tmp_path: Path) -> None:
    assert proposed("whichopt show ", tmp_path) == []
    (tmp_path / "whichopt-data").mkdir()
    (tmp_path / "whichopt-data" / "url").write_text("http://127.0.0.1:9")
    (tmp_path / "whichopt-data" / "api-key").write_text("x")
    assert proposed("whichopt show ", tmp_path) == []
    (tmp_path / "whichopt-data" / "url").write_text("no address")
    assert proposed("whichopt show ", tmp_path) == []

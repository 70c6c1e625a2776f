"""`whichopt fit` in front of the program that trains: which report, which data, which folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from whichopt.service.cli import app

RUN = CliRunner()


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    """The commands that would train, with their environments."""
    found: list[tuple[list[str], dict[str, str]]] = []

    def call(command: list[str], *, env: dict[str, str]) -> int:
        found.append((command, env))
        return 1

    monkeypatch.setattr("whichopt.service.cli.fit.subprocess.call", call)
    monkeypatch.delenv("WHICHOPT_BLOBS", raising=False)
    return found


def test_a_file_and_a_folder_may_both_be_data(commands: Any, tmp_path: Path) -> None:
    report, file = tmp_path / "report.json", tmp_path / "own.csv"
    report.write_text("{}")
    file.write_text("a,b\n")
    asked = [
        "fit",
        str(report),
        "--data",
        str(tmp_path),
        "--data",
        str(file),
        "--out",
        "net",
        "--rows",
        "all",
    ]
    assert RUN.invoke(app, [*asked, "--config", "sgd", "--seed", "3", "--force"]).exit_code == 1, "as it says"
    ((command, environment),) = commands
    assert command[1:5] == ["-P", "-m", "whichopt.workers.fit", str(report)]
    options = {"--out=net", "--rows=all", f"--data={file}", "--config=sgd", "--seed=3", "--force"}
    assert set(command[5:]) == options
    assert environment["WHICHOPT_BLOBS"] == str(tmp_path / "blobs")


def test_two_files_are_too_many(commands: Any, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{}")
    data = [option for name in ("a.csv", "b.csv") for option in ("--data", str(tmp_path / name))]
    found = RUN.invoke(app, ["fit", str(tmp_path / "report.json"), *data])
    assert found.exit_code == 2
    assert "--data names two files or two folders" in found.stderr
    assert commands == []


def test_without_a_service_nothing_is_trained(commands: Any, tmp_path: Path) -> None:
    found = RUN.invoke(app, ["fit", "1234abcd", "--data", str(tmp_path)])
    assert found.exit_code == 2
    assert "no service runs on" in found.stderr
    assert commands == []

"""What commands print, on terminals and pipes of any encoding, closed early or not there at all."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.builders.concluded_jobs import concluded_job
from tests.builders.jobs import add_job, make_spec
from tests.builders.services import KEY
from whichopt.service.cli import app
from whichopt.service.cli.listings import Facts
from whichopt.service.cli.options import complaint
from whichopt.service.cli.tables import job_table
from whichopt.service.db import Store
from whichopt.service.exit_codes import BROKEN_PIPE
from whichopt.service.streams import prepare_output, read_input

NAME = "実験 naïve ✓"


@pytest.fixture
def uid(lite: Store) -> str:
    """A job that has come to its end, under a name that most encodings lack; there is a queued one, too."""
    add_job(lite)
    _, uid = concluded_job(lite, make_spec(name=NAME))
    return uid


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
def test_every_command_prints_in_every_encoding(encoding: str, url: str, uid: str, tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"name": NAME, "workload": {"dataset": "wine", "model": "linear"}}))
    service = ["--url", url, "--key", KEY]
    for command in (
        ["show", *service],
        ["show", uid, *service],
        ["show", "--trials", uid, *service],
        ["watch", uid, *service],
        ["recommend", *service],
        ["recommend", uid, *service],
        ["forecast", uid, *service],
        ["catalog", *service],
        ["submit", str(spec), *service],
        ["lint", str(spec)],
        ["translate", "adam", "adabelief"],
    ):
        found = CliRunner(charset=encoding).invoke(app, command)
        assert found.exit_code == 0, (command, found.exception, found.stderr_bytes)
        printed = found.stdout_bytes.decode(encoding)
        assert printed.strip()
        if command[0] == "show" and "--trials" not in command:
            shown = NAME.encode(encoding, errors="replace").decode(encoding)
            assert shown in printed
        assert "\ufffd" not in printed


@pytest.mark.parametrize(
    ("command", "left", "code"),
    [
        ("catalog --url {url} --key {key} | head -n 1", "", 0),
        ("submit - <&-", "standard input is closed", 2),
        ("translate adam adabelief >&-", "", 0),
    ],
    ids=["output closed early", "no input", "no output"],
)
def test_streams_that_are_closed(command: str, left: str, code: int, url: str) -> None:
    program = f"{shlex.quote(sys.executable)} -m whichopt.service.cli "
    done = subprocess.run(
        ["sh", "-c", program + command.format(url=url, key=KEY)],
        env={**os.environ, "PYTHONIOENCODING": "cp1252", "LC_ALL": "C", "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert left in done.stderr
    assert len(done.stderr.splitlines()) == (1 if left else 0), done.stderr


def test_output_that_nobody_reads_any_more_ends_every_command_alike(
    url: str, uid: str, tmp_path: Path
) -> None:
    """As it ends other programs, and not with 1, which says that a job did not succeed."""
    report, setting = tmp_path / "report.json", tmp_path / "setting.json"
    setting.write_text('{"optimizer": "adam", "config": {"lr": 10}}')
    service = ["--url", url, "--key", KEY]
    assert CliRunner().invoke(app, ["report", uid, "-o", str(report), *service]).exit_code == 0
    for command in (
        ["show", *service],  # drawn by rich
        ["show", "--trials", uid, *service, "--json"],
        ["watch", uid, *service],
        ["recommend", uid, *service],
        ["lint", str(setting)],
        ["verify", str(report), "--json"],  # less than a buffer
        ["--help"],
    ):
        told = f"job {uid}\n" if command[0] == "watch" else ""
        assert ended_unread("whichopt.service.cli", *command) == (BROKEN_PIPE, told), command


def ended_unread(*program: str) -> tuple[int, str]:
    """The exit code of a program whose output is a pipe that nobody reads, and what it says of that."""
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(
        [sys.executable, "-m", *program], stdout=writes, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writes)
    return done.returncode, done.stderr


def test_a_process_without_streams_prints_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    prepare_output()
    sys.stdout.write(NAME)
    sys.stderr.write(NAME)
    for stream in (sys.stdout, sys.stderr):
        stream.close()
    with pytest.raises(OSError, match="standard input is closed"):
        read_input()


def test_frames_are_of_characters_that_the_encoding_has() -> None:
    for encoding, corner in (("utf-8", "╭"), ("ascii", "+"), ("cp1252", "+")):
        file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
        console = Console(file=file, force_terminal=True, width=40, color_system=None)
        console.print(Facts([("name", "value")], title="Title"))
        file.seek(0)
        printed = file.read()
        assert printed.startswith(corner)
        assert "?" not in printed


def test_a_narrow_terminal_without_colors_shows_whole_headings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    file = io.StringIO()
    console = Console(file=file, force_terminal=True)
    console.print(job_table([]))
    assert re.findall(r"\x1b\[[\d;]*3\d", file.getvalue()) == [], "no color"
    (headings,) = re.sub(r"\x1b\[[\d;]*m", "", file.getvalue()).splitlines()
    assert len(headings) <= 40
    assert "workload" in headings


@pytest.mark.parametrize("variable", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_complaints_have_no_color_if_none_is_wanted(
    variable: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for setting, colored in (
        ({"NO_COLOR": "", "TERM": "xterm"}, True),
        ({"TERM": "xterm", **variable}, False),
    ):
        for name, value in setting.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "stderr", terminal := Terminal())
        complaint("no")
        assert ("\x1b" in terminal.getvalue()) is colored


def test_times_name_their_zone(lite: Store) -> None:
    with lite.transaction() as tx:
        tx.jobs.add(make_spec(), queue="cpu")
    with lite.read() as tx:
        (job,) = tx.views.jobs(state=None, before=None, limit=1, alive_s=1.0).items
    console = Console(file=io.StringIO(), width=200)
    with console.capture() as captured:
        console.print(job_table([job]))
    assert f"{job.created_at:%Y-%m-%dT%H:%M:%S}Z" in captured.get()

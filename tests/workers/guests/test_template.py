"""Runners that are copies of a clean process do as new processes do, and leave as little behind."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.builders.training_functions import guest, plan
from tests.builders.waiting import wait_until
from whichopt.service.errors import FunctionFailed, UnknownFunction
from whichopt.service.trials import TrialResult
from whichopt.workers.engine import Unwatched
from whichopt.workers.guests import template
from whichopt.workers.guests.executor import GuestExecutor
from whichopt.workers.guests.guest import Guest

pytestmark = pytest.mark.skipif(not template.can_be_used(), reason="no copies of a template here")

NAMED = "tests.builders.training_functions:fit"

TELLS = """
import os, random, signal, sys, time
from pathlib import Path

import numpy
import torch

AT_IMPORT = random.random() + numpy.random.random()


def tells(run):
    group = os.getpgrp() == os.getpid()
    secrets = [name for name in os.environ if name.startswith(("WHICHOPT_", "PG", "CELERY_"))]
    descriptors = os.listdir("/proc/self/fd")
    Path(run.options["file"]).write_text(repr([
        group, secrets, torch.get_num_threads(), os.environ["PYTHONHASHSEED"],
        sys.stdin.read(), len(os.listdir("/proc/self/task")), os.getcwd(), sys.argv[1:],
    ]))
    run.report(loss=1.0, descriptors=len(descriptors))


def at_import(run):
    run.report(loss=AT_IMPORT)


def waits(run):
    Path(run.options["file"]).write_text(str(os.getpid()))
    time.sleep(3600)


def ends_with_its_template(run):
    lost = Path(run.options["file"])
    if not lost.exists():
        lost.touch()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(3600)
    run.report(loss=2.0)
"""

EXECUTES = """
import sys
from tests.builders.training_functions import guest, plan
from whichopt.workers.engine import Unwatched
from whichopt.workers.guests.executor import GuestExecutor

waits = guest(None, name="tells_of_itself:waits", options={"file": sys.argv[1]})
GuestExecutor().run(waits, [plan()], Unwatched())
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "tells_of_itself.py"
    file.write_text(TELLS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, sys.path)]))
    return file


def named(function: str, file: Path | None = None) -> Guest:
    options = {} if file is None else {"file": str(file)}
    return guest(None, name=f"tells_of_itself:{function}", options=options)


def run(executor: GuestExecutor, of: Guest) -> TrialResult:
    (result,) = executor.run(of, [plan()], Unwatched())
    return result.model_copy(update={"seconds": 0.0})


def test_a_copy_is_as_a_new_process_to_the_bit(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICHOPT_DATABASE_URL", "postgresql://u:p@h/d")
    copies, new = GuestExecutor(), GuestExecutor(copies=False)
    fit = guest(None, name=NAMED)
    assert run(copies, fit) == run(new, fit)
    told = [module.parent / "of a copy", module.parent / "of a new process"]
    of_copy, of_new = (
        run(executor, named("tells", file)).metrics["validation"]["descriptors"]
        for executor, file in zip((copies, new), told, strict=True)
    )
    assert of_copy <= of_new
    assert told[0].read_text() == told[1].read_text()
    assert told[0].read_text().startswith("[True, [], ")


def test_an_edited_file_is_seen_at_once_and_another_folder_too(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = GuestExecutor()
    values = []
    for value in (1.0, 2.0):
        module.write_text(f"def fit(run):\n    run.report(loss={value})\n")
        values.append(run(executor, named("fit")).value)
    assert values == [1.0, 2.0]
    assert executor.template is not None
    assert executor.template.process is not None
    first = executor.template.process.pid
    elsewhere = module.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "own.py").write_text("def fit(run):\n    run.report(loss=3.0)\n")
    monkeypatch.chdir(elsewhere)
    assert run(executor, guest(None, name="own.py:fit")).value == 3.0
    assert executor.template.process.pid != first
    assert not psutil.pid_exists(first)


@pytest.mark.usefixtures("module")
def test_what_nobody_seeds_differs_from_copy_to_copy() -> None:
    executor = GuestExecutor()
    assert run(executor, named("at_import")).value != run(executor, named("at_import")).value


def test_it_is_one_thread_that_knows_no_persons_module_and_ends_with_its_executor(module: Path) -> None:
    executor = GuestExecutor()
    before = len(os.listdir("/proc/self/fd"))
    run(executor, named("at_import"))
    held = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        run(executor, named("at_import"))
    assert len(os.listdir("/proc/self/fd")) == held == before + 1, "its socket, and nothing of its copies"
    assert executor.template is not None
    assert executor.template.process is not None
    process = psutil.Process(executor.template.process.pid)
    assert process.num_threads() == 1
    assert process.children() == []
    assert str(module) not in {one.path for one in process.open_files()}
    del executor
    gc.collect()
    wait_until(lambda: not process.is_running(), "the template to end")


def test_a_name_is_checked_before_it_is_imported(module: Path) -> None:
    module.write_text("raise AssertionError('imported')")
    with pytest.raises(UnknownFunction, match="no function 'tells_of_itself:fit' is allowed here"):
        run(GuestExecutor(), guest(None, name="tells_of_itself:fit", allow=(NAMED,)))
    with pytest.raises(FunctionFailed, match="imported"):
        run(GuestExecutor(), named("fit"))


def test_a_copy_that_ends_with_its_template_runs_once_more(module: Path) -> None:
    assert run(GuestExecutor(), named("ends_with_its_template", module.parent / "lost")).value == 2.0


@pytest.mark.usefixtures("module")
def test_a_template_that_hangs_is_replaced() -> None:
    executor = GuestExecutor()
    first = run(executor, named("at_import"))
    assert executor.template is not None
    assert executor.template.process is not None
    hanging = psutil.Process(executor.template.process.pid)
    assert executor.template._socket is not None
    executor.template._socket.settimeout(0.5)
    hanging.suspend()
    again = run(executor, named("at_import"))
    assert again.value is not None
    assert again.value != first.value
    assert not runs(hanging)


@pytest.mark.usefixtures("module")
def test_a_template_whose_socket_is_gone_before_its_process_is_replaced() -> None:
    executor = GuestExecutor()
    run(executor, named("at_import"))
    assert executor.template is not None
    assert executor.template.process is not None
    ending = psutil.Process(executor.template.process.pid)
    assert executor.template._socket is not None
    executor.template._socket.shutdown(socket.SHUT_RDWR)  # as the end of a process does first
    ending.suspend()
    assert run(executor, named("at_import")).value is not None
    assert not runs(ending)


@pytest.mark.usefixtures("module")
def test_a_copy_is_buried_without_its_template() -> None:
    executor = GuestExecutor()
    run(executor, named("at_import"))
    assert executor.template is not None
    executor.end()
    assert executor.template.bury(2**22 + 1) == -signal.SIGKILL


def test_a_copy_ends_with_whoever_asked_for_it(module: Path) -> None:
    file = module.parent / "pid"
    parent = subprocess.Popen([sys.executable, "-c", EXECUTES, str(file)], stderr=subprocess.DEVNULL)
    wait_until(lambda: file.exists() and file.read_text(), "a copy to begin")
    copy = psutil.Process(int(file.read_text()))
    above = copy.parent()
    assert above is not None
    assert above.pid != parent.pid
    parent.send_signal(signal.SIGKILL)
    parent.wait(60)
    wait_until(lambda: not (runs(above) or runs(copy)), "both to end")


def runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

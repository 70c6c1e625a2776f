"""Children end with their parent, see none of its secrets, and print to a file of bounded size."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.builders.training_functions import ROWS, epoch, guest, plan, score
from whichopt.service.errors import FunctionFailed
from whichopt.workers.engine import Unwatched
from whichopt.workers.guests import child, slot
from whichopt.workers.guests.executor import GuestExecutor
from whichopt.workers.guests.pipe import Sender
from whichopt.workers.guests.run import Run

PARENT = """
import os, sys, time
from pathlib import Path
from tests.builders.training_functions import ROWS, epoch, guest, plan, score
from whichopt.workers.engine import Unwatched
from whichopt.workers.guests.executor import GuestExecutor

def waits(run):
    Path(sys.argv[1]).write_text(str(os.getpid()))
    time.sleep(60)

GuestExecutor().run(guest(waits), [plan()], Unwatched())
"""


def is_there(pid: int) -> bool:
    stat = Path("/proc", str(pid), "stat")
    try:
        return ") Z " not in stat.read_text()
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_child_ends_with_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    pid_file = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(pid_file)], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < until:
        time.sleep(0.05)
    pid = int(pid_file.read_text())
    assert is_there(pid)
    parent.send_signal(number)
    parent.wait(30)
    while is_there(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_there(pid)


def test_a_killed_child_goes_on_from_its_checkpoint_to_the_same_bits(tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    def kept(run: Run) -> None:
        fitted, validation = run.split(ROWS)
        model = torch.nn.Linear(3, 1)
        optimizer = run.optimizer(model)
        run.keep(model=model, optimizer=optimizer)
        for at in run.epochs:
            epoch(model, optimizer, fitted)
            with ran.open("a") as file:
                file.write(f"{at} ")
            if run.options["killed"] and ran.read_text() == "0 1 2 ":
                os.kill(os.getpid(), signal.SIGKILL)
            run.report(loss=score(model, validation))

    results = []
    for killed in (True, False):
        once = guest(kept, options={"killed": killed}, checkpoint_s=0.0)
        (result,) = GuestExecutor().run(once, [plan(epochs=4)], Unwatched())
        results.append(result.model_copy(update={"seconds": 0.0}))
    assert ran.read_text() in (
        "0 1 2 1 2 3 0 1 2 3 ",
        "0 1 2 2 3 0 1 2 3 ",
    )  # as often as their share of the time let it
    assert results[0] == results[1]


def test_a_trial_that_is_killed_at_every_other_epoch_ends_as_if_it_never_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A try counts only if it left no new checkpoint."""
    monkeypatch.setattr("whichopt.workers.checkpoints.SHARE", 1e9)  # one after each epoch

    def kept(run: Run) -> None:
        fitted, validation = run.split(ROWS)
        model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Dropout(0.2), torch.nn.Linear(4, 1))
        optimizer = run.optimizer(model)
        run.keep(model=model, optimizer=optimizer)
        for at in run.epochs:
            epoch(model, optimizer, fitted)
            lost = tmp_path / f"lost {at}"
            if run.options["killed"] and at % 2 and not lost.exists():
                lost.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            run.report(loss=score(model, validation))

    results = []
    for killed in (True, False):
        often = guest(kept, options={"killed": killed}, checkpoint_s=0.0)
        (result,) = GuestExecutor().run(often, [plan(epochs=40)], Unwatched())
        results.append(result.model_copy(update={"seconds": 0.0}))
    assert len(list(tmp_path.glob("lost *"))) == 20
    assert results[0] == results[1]
    assert len(results[0].curves["validation.loss"]) == 40


def test_a_child_is_a_group_of_its_own_without_core_dumps() -> None:
    import resource

    def tells(run: Run) -> None:
        group, limit = os.getpgrp() == os.getpid(), resource.getrlimit(resource.RLIMIT_CORE)
        run.report(loss=float(group and limit == (0, 0) and sys.stdin.read() == ""))

    assert GuestExecutor().run(guest(tells), [plan()], Unwatched())[0].value == 1.0


def test_addresses_and_keys_are_no_part_of_a_runners_environment() -> None:
    environment = {
        "WHICHOPT_DATABASE_URL": "postgresql://u:p@h/d",
        "CELERY_BROKER_URL": "redis://h",
        "PGPASSWORD": "p",
        "PATH": "/bin",
    }
    assert child.without_secrets(environment) == {"PATH": "/bin"}


def test_a_function_that_closes_the_pipe_is_told_so() -> None:
    def closes(_: Run) -> None:
        os.closerange(3, 1024)
        time.sleep(3600)

    with pytest.raises(FunctionFailed, match="it closed the pipe by which its process reports, and went on"):
        GuestExecutor().run(guest(closes), [plan()], Unwatched())


def test_a_child_that_cannot_report_ends_with_what_it_printed() -> None:
    def closes(run: Run) -> None:
        os.closerange(3, 1024)
        run.report(loss=1.0)

    with pytest.raises(FunctionFailed, match=r"exit status 1 before(?s:.*)Bad file descriptor"):
        GuestExecutor().run(guest(closes), [plan()], Unwatched())


@pytest.mark.parametrize("line", [b"garbage\n", b"5\n", b"\xff\n"])
def test_what_is_no_message_fails_the_function_and_not_its_parent(
    line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot, "OVER_S", 0.1)  # it does not end by itself, so all of it is waited for

    def writes(run: Run) -> None:
        assert isinstance(run.course.send, Sender)
        os.write(run.course.send._descriptor, line)
        time.sleep(3600)

    with pytest.raises(FunctionFailed, match="something else was written into the pipe"):
        GuestExecutor().run(guest(writes), [plan()], Unwatched())


def test_a_copy_of_a_child_reports_nothing() -> None:
    def forks(run: Run) -> None:
        copy = os.fork()
        if copy:
            os.waitpid(copy, 0)
        for _ in run.epochs:
            run.report(loss=1.0)

    (result,) = GuestExecutor().run(guest(forks), [plan()], Unwatched())
    assert result.examples == plan().length
    assert len(result.curves["validation.loss"]) == plan().length


def test_output_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "LARGEST_LOG", 50_000)

    def chatters(run: Run) -> None:
        for _ in run.epochs:
            os.write(1, b"x" * 100_000)
            time.sleep(0.5)
            run.report(loss=1.0)
        os.write(1, b"the end")
        raise ValueError(str(os.fstat(1).st_size))

    with pytest.raises(FunctionFailed) as failed:
        GuestExecutor().run(guest(chatters), [plan()], Unwatched())
    assert failed.value.log.endswith("the end")
    assert len(failed.value.log) <= child.TAIL
    assert int(str(failed.value).split("ValueError: ")[1].split()[0]) < 300_000

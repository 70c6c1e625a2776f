"""A child process that runs one trial: forked for a callable, spawned for a name, and killed as a group."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from whichopt.workers.guests.pipe import Receiver, Sender

if sys.platform != "win32":  # where nothing is forked
    import resource

TERM_S = 2.0
"""Seconds between asking a child to end and killing it."""

TAIL = 16_384
"""Bytes of a child's output that are shown."""

LARGEST_LOG = 8 * 2**20

SECRETS = ("WHICHOPT_", "CELERY_", "PG", "REDIS")
"""Beginnings of the variables that a runner goes without: addresses of databases and brokers, and keys."""

RUNNER = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
"""Variables of a runner, so that it computes as any other: sets of words in one order, sums in one thread."""

PARENT_DEATH = 1  # PR_SET_PDEATHSIG
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class Child:
    """A running child: its pipe, its output, and its end."""

    def __init__(
        self, pid: int, receiver: Receiver, log: Path, process: subprocess.Popen[bytes] | None
    ) -> None:
        self.pid = pid
        self.receiver = receiver
        self.log = log
        self.status: int | None = None
        self._process = process
        self._gone = False

    def has_ended(self) -> bool:
        """Tell if its process has ended; what it started may still be there."""
        if not self._gone:
            try:
                ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:  # whoever hosts us has waited for it
                self._gone = True
            else:
                self._gone = ended is not None
        return self._gone

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the child and to all that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def bury(self) -> None:
        """Kill what is left, wait for it, and close the pipe. `status` is minus the signal that ended it."""
        self.signal(signal.SIGKILL)
        try:
            _, status = os.waitpid(self.pid, 0)
        except ChildProcessError:
            self.status = None
        else:
            self.status = os.waitstatus_to_exitcode(status)
        if self._process is not None:
            self._process.returncode = self.status or 0
        self.receiver.close()

    def output(self) -> str:
        """Return the end of what it printed."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
                return file.read().decode(errors="replace").strip()
        except OSError:
            return ""

    def bound_log(self) -> None:
        """Begin its output anew if it fills the disk; it appends, so it goes on at the start."""
        if self.log.stat().st_size > LARGEST_LOG:
            os.truncate(self.log, 0)


def end(children: Sequence[Child]) -> None:
    """End children: ask, wait a little, kill."""
    for child in children:
        child.signal(signal.SIGTERM)
    until = time.monotonic() + TERM_S
    while time.monotonic() < until and not all(child.has_ended() for child in children):
        time.sleep(0.01)
    for child in children:
        child.bury()


def forked(
    body: Callable[[Sender], None],
    log: Path,
    *,
    others: Sequence[int] = (),
    environment: Mapping[str, str] | None = None,
) -> Child:
    """Return a copy of this process that does `body`.

    A copy has no threads, so what the parent's libraries would share work with is waited for without end.
    Whoever calls this has given each of them one thread, but torch, which the copy sees to. `others` are
    descriptors of this process that the child has no use for.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # One thread in each library is what makes it work beside the parent's threads.
        warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
        parent, pid = os.getpid(), os.fork()
    if pid == 0:
        status = 1
        try:
            torch.set_num_threads(1)  # first of all
            torch.set_num_threads = _stay_with_one_thread
            settle_in(parent)
            for descriptor in (reading, *others):
                os.close(descriptor)
            _redirect(log)
            os.environ.update(environment or {})
            body(Sender(writing))
            status = 0
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.setpgid(pid, pid)  # the child does so, too; whoever is first
    os.close(writing)
    return Child(pid, Receiver(reading), log, None)


def spawned(target: str, request: Mapping[str, Any], log: Path, *, environment: Mapping[str, str]) -> Child:
    """Return a new process that imports `target`, and does what `request` says."""
    reading, writing = os.pipe()
    try:
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "whichopt.workers.guests", target],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(writing,),
                env={**without_secrets(os.environ), **RUNNER, **environment},
                process_group=0,
            )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(json.dumps({**request, "pipe": writing, "parent": os.getpid()}).encode())
    return Child(process.pid, Receiver(reading), log, process)


def _stay_with_one_thread(nthreads: int) -> None:
    """Take the place of torch's function in a copy: it would wait without end for the threads it lacks."""
    if nthreads != 1:
        sys.stderr.write(
            f"whichopt: torch.set_num_threads({nthreads}) changes nothing here: a copy of a process has one "
            "thread. Give the function by its name, as 'train.py:fit', for a clean process with threads\n"
        )


def settle_in(parent: int) -> None:
    """Make this process a group of its own that ends with its parent, ignores Ctrl-C, and dumps no core."""
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if LIBC is not None:
        LIBC.prctl(PARENT_DEATH, signal.SIGKILL)
        if os.getppid() != parent:  # it died before
            os._exit(1)


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what opens a database, a broker or the service."""
    return {name: value for name, value in environment.items() if not name.startswith(SECRETS)}


def _redirect(log: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor, place in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, place)
    os.close(nothing)
    os.close(output)
    # In a notebook these are no descriptors; and nobody may flush the parent's buffers twice.
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", buffering=1, closefd=False, errors="replace")  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False, errors="replace")  # noqa: SIM115

"""A clean process that has loaded all that a runner loads, and of which runners are copies.

A new process takes seconds to load torch, for each trial. The template loads it once: it has one thread, no
secrets, and nothing of any person's; a copy of it imports the function, so an edited file is seen at once.

It does as its socket says, one message at a time: `{"warm"}` with three descriptors (the request, the pipe,
the log) makes a copy and is answered by its process id; `{"bury"}` waits for one that was killed, and is
answered by its status. If the process at the other end is gone, so is the template, and so are its copies.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import selectors
import signal
import socket
import subprocess
import sys
import traceback
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy

from whichopt.service.errors import FunctionFailed
from whichopt.workers.guests.child import RUNNER, Child, settle_in, without_secrets
from whichopt.workers.guests.pipe import Receiver, Sender

ANSWER_S = 300.0
"""Seconds that an answer may take: the first one waits until torch is there."""

LARGEST = 65_536
"""Bytes of a message."""

NVIDIA = Path("/dev/nvidiactl")


def can_be_used() -> bool:
    """Tell if runners may be copies here: on Linux, if no GPU is in sight, whose driver no copy may share."""
    sees_gpus = NVIDIA.exists() and os.environ.get("CUDA_VISIBLE_DEVICES") != ""
    return sys.platform == "linux" and hasattr(os, "pidfd_open") and not sees_gpus


# -- the end that asks -------------------------------------------------------------------------------------


class Template:
    """The template of an executor: begun when it is first needed, and anew if the surroundings change."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._surroundings: tuple[str, Mapping[str, str]] | None = None
        self._end: Callable[[], object] = lambda: None

    def copied(self, request: Mapping[str, Any], log: Path, *, warm: Sequence[str]) -> Child:
        """Return a copy that imports the function, and does what the request says.

        Args:
            request: what the runner is told.
            log: the file of its output.
            warm: names of the catalog's optimizers of which one is made first, in the template.
        """
        reading, writing = os.pipe()
        told, output = os.memfd_create("request"), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            with os.fdopen(os.dup(told), "wb") as file:
                file.write(json.dumps(dict(request)).encode())
            os.lseek(told, 0, os.SEEK_SET)
            self._begin()
            message, descriptors = {"warm": list(warm)}, [told, writing, output]
            pid = self._answer(message, descriptors)
            if pid is None:  # it was killed, for want of memory perhaps, or did not answer
                self._begin()
                pid = self._answer(message, descriptors)
        finally:
            for descriptor in (told, writing, output):
                os.close(descriptor)
        if pid is None:
            os.close(reading)
            raise FunctionFailed(
                "the process that trials are copies of has twice ended, or not answered: look at this "
                "machine's memory and at what was printed here, then try again"
            )
        return Copy(self, pid, Receiver(reading), log)

    def bury(self, pid: int) -> int:
        """Wait for a copy that was killed; return its status: that signal, if its template is gone."""
        if self.process is None or self.process.poll() is not None:
            return -signal.SIGKILL
        status = self._answer({"bury": pid})
        return -signal.SIGKILL if status is None else status

    def end(self) -> None:
        """End the process; the next copy begins another."""
        self._end()

    def _begin(self) -> None:
        around = (os.getcwd(), {**without_secrets(os.environ), **RUNNER})
        if self.process is not None and self.process.poll() is None and around == self._surroundings:
            return
        self._end()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(ANSWER_S)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "whichopt.workers.guests.template", str(os.getpid())],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=around[1],
                process_group=0,
            )
        self._socket, self._surroundings = ours, around
        self._end = weakref.finalize(self, _end, ours, self.process, os.getpid())

    def _answer(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> int | None:
        """Return the answer; None if the process has ended or hangs, which is ended, then."""
        assert self._socket is not None
        try:
            socket.send_fds(self._socket, [json.dumps(dict(message)).encode()], list(descriptors))
            answer = self._socket.recv(LARGEST)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            answer = b""
        if answer:
            return int(answer)
        # Its socket is gone before its process is seen to be, and a late answer would be taken for the next.
        self._end()
        return None


def _end(ours: socket.socket, process: subprocess.Popen[bytes], owner: int) -> None:
    """End the process, and wait for it; a copy of its owner leaves it alone."""
    if os.getpid() == owner:
        ours.close()
        process.kill()  # what it waits for is gone, and it keeps nothing
        process.wait()


class Copy(Child):
    """A copy of the template: the template's child, which waits for it when it is asked to."""

    def __init__(self, template: Template, pid: int, receiver: Receiver, log: Path) -> None:
        super().__init__(pid, receiver, log, None)
        self._template = template
        self._descriptor = os.pidfd_open(pid)

    def has_ended(self) -> bool:
        """Tell if its process has ended; until it is buried, its id is nobody else's."""
        if not self._gone:
            with selectors.DefaultSelector() as selector:
                selector.register(self._descriptor, selectors.EVENT_READ)
                self._gone = bool(selector.select(0))
        return self._gone

    def bury(self) -> None:
        """Kill what is left, have it waited for, and close the pipe."""
        self.signal(signal.SIGKILL)
        self.status = self._template.bury(self.pid)
        os.close(self._descriptor)
        self.receiver.close()


# -- the end that copies itself ----------------------------------------------------------------------------


def main() -> int:
    """Load what runners load, and copy this process for each that is asked for."""
    import torch

    from whichopt.service.catalog.optimizers import OPTIMIZERS
    from whichopt.workers.engine.optimizers import build
    from whichopt.workers.guests import runner

    torch.set_num_threads(1)
    settle_in(int(sys.argv[1]))
    asks = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    warm: set[str] = set()
    gc.freeze()
    while True:
        data, descriptors, _, _ = socket.recv_fds(asks, LARGEST, 3)
        if not data:
            return 0
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        message = json.loads(data)
        if "bury" in message:
            asks.send(str(_buried(message["bury"])).encode())
            continue
        for entry in OPTIMIZERS:
            if entry.name in message["warm"] and entry.name not in warm:
                model = torch.nn.Linear(1, 1, device="meta").to_empty(device="cpu")  # draws no number
                build(entry.name, entry.default, model.parameters())
                warm.add(entry.name)
                gc.freeze()
        parent, pid = os.getpid(), os.fork()
        if pid == 0:
            asks.close()
            _be_a_runner(parent, *descriptors, run=runner.run)
        for descriptor in descriptors:
            os.close(descriptor)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.setpgid(pid, pid)  # the copy does so, too; whoever is first
        asks.send(str(pid).encode())


def _buried(pid: int) -> int:
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:  # a copy of the template before, which ended with that
        return -signal.SIGKILL
    return os.waitstatus_to_exitcode(status)


def _be_a_runner(parent: int, request: int, pipe: int, log: int, *, run: Callable[..., int]) -> None:
    status = 1
    try:
        settle_in(parent)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        random.seed()  # as in a new process: what nobody seeds must not look as if somebody did
        numpy.random.seed()
        send = Sender(pipe)
        send({"alive": True})
        with os.fdopen(request, "rb") as file:
            told = json.load(file)
        sys.argv = [sys.argv[0], told["name"]]
        status = run(told, send)
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    os._exit(main())

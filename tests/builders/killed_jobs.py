"""A job that is killed at drawn moments: a training function that tells what happens, and who is killed then.

`main` is that of the process of the job; `KILLS` in its environment is the folder of its kills. There it is
counted what happens in trials and in the process that starts them, and at the events that the kills name
somebody gets a signal: no kill waits for a length of time.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from whichopt.service.exit_codes import INTERRUPTED

Victim = Literal["parent", "child", "both"]

IN_TRIALS = ("begun", "step", "report", "end")
BETWEEN = ("before a transaction", "after a transaction")
"""What happens in the process of the job, where the rows are read and written."""


@dataclass(frozen=True)
class Kill:
    """Somebody gets `signal` when `event` has happened `after` times since the kill before."""

    victim: Victim
    signal: str
    event: str
    after: int

    @property
    def ends_at_once(self) -> bool:
        """Whether nobody can do anything about the signal."""
        return self.signal in ("SIGKILL", "SIGTERM")

    def __str__(self) -> str:
        return f"{self.signal} of the {self.victim} at event {self.after} of the kind {self.event!r}"


def drawn(seed: int, count: int) -> list[Kill]:
    """Draw kills of every kind: of the process of the job between and in trials, of a trial, and of both."""
    draw = random.Random(seed)
    kills = []
    for number in range(count):
        victim: Victim = ("parent", "child", "parent", "both")[number % 4]
        name = "SIGKILL" if victim != "parent" else draw.choice(("SIGKILL", "SIGKILL", "SIGINT", "SIGTERM"))
        events = IN_TRIALS if victim != "parent" or draw.random() < 0.5 else BETWEEN
        kills.append(Kill(victim, name, draw.choice(events), draw.randint(1, 12)))
    return kills


class Kills:
    """The kills of a job, and how far they have come, in a folder that all of its processes reach."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "kills.json"
        self.lock = folder / "kills.lock"
        self._threads = threading.RLock()
        os.register_at_fork(after_in_child=self._forked)

    def write(self, kills: list[Kill]) -> None:
        """Begin with these kills."""
        self._write({"kills": [asdict(kill) for kill in kills], "next": 0, "seen": 0})

    @property
    def done(self) -> list[Kill]:
        """The kills that have happened."""
        with self._held() as known:
            return [Kill(**kill) for kill in known["kills"][: known["next"]]]

    def happened(self, event: str, parent: int) -> None:
        """Count an event, and carry out the kill that is due."""
        with self._held() as known:
            if known["next"] == len(known["kills"]):
                return
            kill = Kill(**known["kills"][known["next"]])
            if kill.event != event:
                return
            known["seen"] += 1
            if known["seen"] < kill.after:
                return
            known["next"], known["seen"] = known["next"] + 1, 0
            self._write(known)
            if kill.ends_at_once:
                self._carry_out(kill, parent)
                while True:  # nothing else happens until the end of the parent has come to this process, too
                    signal.pause()
        self._carry_out(kill, parent)

    def _carry_out(self, kill: Kill, parent: int) -> None:
        number = signal.Signals[kill.signal]
        if kill.victim != "child":
            os.kill(parent, number)
        if kill.victim != "parent":
            os.kill(os.getpid(), number)

    @contextmanager
    def _held(self) -> Iterator[dict[str, Any]]:
        """What is known, for one process and thread at a time; no lock is inherited by a fork."""
        with self._threads, self.lock.open("w") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            known = json.loads(self.file.read_text())
            yield known
            self._write(known)

    def _forked(self) -> None:
        self._threads = threading.RLock()

    def _write(self, known: dict[str, Any]) -> None:
        part = self.file.with_suffix(".part")
        part.write_text(json.dumps(known))
        part.replace(self.file)


KILLS = Kills(Path(os.environ["KILLS"])) if "KILLS" in os.environ else None
PARENT = os.getpid()


def happened(event: str) -> None:
    """Tell that this happened."""
    if KILLS is not None:
        KILLS.happened(event, PARENT)


X = torch.randn(96, 4, generator=torch.Generator().manual_seed(0))
Y = X @ torch.tensor([[1.0], [-2.0], [0.5], [0.0]]) + 0.1


def train(run: Any) -> None:
    """A small network with dropout and shuffling, which is kept and tells what it does."""
    happened("begun")
    fit, validation = (torch.as_tensor(rows) for rows in run.split(len(Y)))
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.1), nn.Linear(8, 1))
    optimizer = run.optimizer(model)
    run.keep(model=model, optimizer=optimizer)

    def loss(rows: torch.Tensor) -> torch.Tensor:
        return nn.functional.mse_loss(model(X[rows]), Y[rows])

    for _ in run.epochs:
        model.train()
        for rows in fit[torch.randperm(len(fit))].chunk(2):
            optimizer.zero_grad()
            torch.autograd.backward(loss(rows))
            optimizer.step()
            happened("step")
        model.eval()
        run.report(loss=loss(validation))
        happened("report")
    run.test(lambda rows: loss(torch.as_tensor(rows)).item())
    happened("end")


JOB: dict[str, Any] = {
    "minimize": "loss",
    "optimizers": ["adamw", "sgd"],
    "trials": 4,
    "replicates": 2,
    "epochs": 3,
    "confirm_seeds": 3,
    "processes": 2,
}


def tuned(data: Path, seed: int) -> str:
    """Tune the function in this process; the uid of its job."""
    from whichopt.workers import checkpoints
    from whichopt.workers.guests import functions
    from whichopt.workers.tune import folder, tune

    functions.LEAST_STUCK_S = 3600.0  # what is stopped from outside goes on some time
    folder.CHECKPOINT_S = 1e-6
    checkpoints.SHARE = 1e9  # one after each epoch: a job of seconds has no time for them otherwise
    return tune(train, **JOB, seed=seed, data=data, say=lambda _: None).job_id


def open_files(data: Path) -> list[str]:
    """The pipes and files of the folder that this process has open."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:  # that of the list itself
            continue
        if int(name) > 2 and (target.startswith(("pipe:", "socket:", str(data)))):
            found.append(target)
    return found


def main() -> None:
    """Tune, in a process whose transactions are events; print what it has found and what it left open."""
    import sqlalchemy as sa

    data, seed = Path(sys.argv[1]), int(sys.argv[2])
    sa.event.listen(sa.engine.Engine, "commit", lambda _: happened(BETWEEN[0]))
    sa.event.listen(sa.pool.Pool, "checkin", lambda *_: happened(BETWEEN[1]))
    before = open_files(data)
    try:
        uid = tuned(data, seed)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    left = [name for name in open_files(data) if name not in before]
    print(json.dumps({"uid": uid, "open": left}), flush=True)  # noqa: T201

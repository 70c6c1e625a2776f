"""The checks of `benchmarks.gpu_check`: each a function of the device that says what it has seen, or raises.

What is compared to the bit is compared on one device. Between devices, and between a stack and one network,
sums are taken in another order: there one step from the same values is compared, as trajectories amplify the
last bit.
"""

from __future__ import annotations

import multiprocessing as mp
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from structlog.testing import capture_logs
from torch import Tensor

from benchmarks.gpu_check.adabelief_checks import adabelief_graph, adabelief_paths
from benchmarks.gpu_check.failures import Failed, need_gpu
from whichopt.service.catalog.optimizers import optimizer
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.states import Origin, Phase
from whichopt.service.trials import Schedule, Seeds, Training, TrialPlan, TrialResult
from whichopt.workers import checkpoints
from whichopt.workers.engine import Executor, State, Unwatched, numerics
from whichopt.workers.engine.solo import SoloExecutor, TrialRun
from whichopt.workers.engine.stacked.executor import StackedExecutor
from whichopt.workers.engine.stacked.feed import Feed
from whichopt.workers.engine.stacked.nets import nets
from whichopt.workers.engine.stacked.rehearsal import footprint
from whichopt.workers.engine.stacked.stack import Stack
from whichopt.workers.workload import Batch, Workload, build

SPAWN = mp.get_context("spawn")
NAMES = ("adabelief", "adamw", "sgd", "adam", "radam", "nadam")
WORKLOADS: dict[str, dict[str, Any]] = {
    "mlp": {"dataset": {"name": "digits"}, "model": {"name": "mlp", "hidden": [128, 64]}},
    "cnn": {"dataset": {"name": "digits"}, "model": {"name": "cnn"}},
}
EXECUTORS: dict[str, Callable[[], Executor]] = {"solo": SoloExecutor, "stacked": StackedExecutor}

RELATIVE, OF_LARGEST = 1e-4, 1e-5
"""Bounds on a gradient's error, of each value and of the largest of its tensor: a sum of K products in
float32, taken in another order, differs by some sqrt(K) roundings of 2**-24 of its terms; K is a few
thousand."""


def workload(name: str, device: str, **model: Any) -> Workload:
    asked = {**WORKLOADS[name], "model": {**WORKLOADS[name]["model"], **model}}
    return build(resolve(JobSpec.model_validate({"workload": asked})).cataloged, device=device)


def plan(name: str, number: int, *, length: int = 2000, **changes: Any) -> TrialPlan:
    """A trial with the optimizer's default, with seeds of its own, evaluated four times."""
    return TrialPlan(
        label=name,
        optimizer=name,
        config=optimizer(name).default,
        training=Training(batch_size=changes.pop("batch_size", 64), schedule=Schedule(), clip_norm=None),
        seeds=Seeds(init=number, order=number % 3, split=0),
        length=length,
        evaluations=tuple(length * quarter // 4 for quarter in range(1, 5)),
        phase=Phase.SEARCH,
        origin=Origin.DEFAULT,
        replicate=0,
        number=number,
    )


def cohort(trials: int = 6, **changes: Any) -> list[TrialPlan]:
    return [plan(NAMES[number % len(NAMES)], number, **changes) for number in range(trials)]


def untimed(results: Sequence[TrialResult]) -> list[TrialResult]:
    return [result.model_copy(update={"seconds": 0.0}) for result in results]


def same(one: Sequence[TrialResult], other: Sequence[TrialResult], what: str) -> None:
    pairs = enumerate(zip(untimed(one), untimed(other), strict=True))
    apart = [number for number, (first, second) in pairs if first != second]
    if apart:
        number = apart[0]
        raise Failed(
            f"{what}: {len(apart)} of {len(one)} trials differ; trial {number} ends at "
            f"{one[number].value} and {other[number].value}"
        )


# -- executors -----------------------------------------------------------------------------------------


def repeats(device: str) -> str:
    """Trains each cohort twice with each executor."""
    for name in WORKLOADS:
        for executor, make in EXECUTORS.items():
            made = workload(name, device)
            first, second = (make().run(made, cohort(), Unwatched()) for _ in range(2))
            same(first, second, f"{executor}, {name}, the same seeds twice")
    return f"{', '.join(WORKLOADS)}, solo and stacked: the same bits twice"


def gradients(made: Workload, each: TrialPlan) -> list[Tensor]:
    """Of the loss of a trial's first batch, by param, from the start."""
    (player,) = made.players
    trial = TrialRun(made, each)
    batch = next(iter(Feed([each], [made.splits(each.seeds.split)]).batches(0, 64)))
    loss, _ = player.loss(trial.model, Batch(batch.inputs[0], batch.targets[0]), {})
    return list(torch.autograd.grad(loss, [trial.model.get_parameter(name) for name in player.params]))


def error(tensors: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest error, as a multiple of its bound."""
    worst = 0.0
    for x, y in zip(tensors, expected, strict=True):
        wide = y.double().cpu()
        bound = RELATIVE * wide.abs() + OF_LARGEST * wide.abs().max()
        apart = (x.double().cpu() - wide).abs()
        # No bound is 0 unless all of the tensor is, and then nothing may be apart.
        ratio = torch.where(apart == 0, 0.0, apart / bound).max().item()
        worst = max(worst, float("inf") if ratio != ratio else ratio)
    return worst


def agrees_with_cpu(device: str) -> str:
    """Compares the gradients of first steps on the device and on the CPU."""
    need_gpu(device)
    worst = max(
        error(gradients(workload(name, device), each), gradients(workload(name, "cpu"), each))
        for name in WORKLOADS
        for each in cohort()
    )
    return _within(worst, "gradients of one step, this device and CPU")


def _within(worst: float, what: str) -> str:
    bound = f"{RELATIVE:g} of each value + {OF_LARGEST:g} of the largest"
    if worst > 1:
        raise Failed(f"{what}: {worst:.3g} times the bound apart ({bound})")
    return f"{what}: within {worst:.2g} of the bound ({bound})"


def stacked_agrees_with_solo(device: str) -> str:
    """Compares the gradients of a stack's first step with those of each network alone; and a trial's results
    in company and alone."""
    worst = 0.0
    for name in WORKLOADS:
        made, plans = workload(name, device), cohort()
        stack = Stack(made, nets(made), plans)
        feed = Feed(plans, [made.splits(each.seeds.split) for each in plans])
        (learners,) = stack.players
        batch = next(iter(feed.batches(0, 64)))
        stack.nets.gradients(learners.player, stack.params, {}, batch, {}, learners.grads, None)
        for row, each in enumerate(plans):
            stacked = [grad[row] for grad in learners.grads.values()]
            worst = max(worst, error(stacked, gradients(made, each)))
        together = StackedExecutor().run(made, plans, Unwatched())
        for each, result in zip(plans, together, strict=True):
            same(StackedExecutor().run(made, [each], Unwatched()), [result], f"{name}, alone and in company")
    return _within(worst, "gradients of one step, stacked and solo") + "; company changes no bit"


# -- memory, crashes, company --------------------------------------------------------------------------


def out_of_memory(device: str) -> str:
    """Trains a stack that does not fit, with the memory of this process capped: the executor halves it."""
    made = workload("mlp", device, hidden=[512, 512, 512])
    plans = cohort(24, length=256)
    free = StackedExecutor().run(made, plans, Unwatched())
    needed = footprint(made, plans).of(len(plans))
    if device == "cpu":
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + needed // 2
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    else:
        torch.cuda.empty_cache()
        total = torch.cuda.mem_get_info()[1]
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + needed // 2) / total)
    with capture_logs() as told:
        halved = StackedExecutor(most=len(plans)).run(made, plans, Unwatched())
    times = sum(event["event"] == "out_of_memory" for event in told)
    if not times:
        raise Failed(f"a stack of {needed / 2**20:.0f} MiB fitted into {needed / 2**21:.0f} MiB")
    same(halved, free, "halved for want of memory, and whole")
    return f"{len(plans)} trials of {needed / 2**20:.0f} MiB in half of that: halved {times} times, same bits"


class _Keeper(Unwatched):
    """Keeps the states of a run as a worker does; stands still for ever at the one with number `last`."""

    def __init__(self, folder: Path, last: int) -> None:
        self.folder, self.last, self.count = folder, last, 0

    def checkpoint(self, state: Callable[[], State]) -> None:
        self.count += 1
        if self.count == self.last:
            name = checkpoints.save(self.folder, state())
            (self.folder / "draft").write_text(name)
            (self.folder / "draft").rename(self.folder / "last")
            signal.pause()


def _train_to_a_checkpoint(executor: str, name: str, device: str, folder: Path) -> None:
    numerics.repeat_to_the_bit()
    torch.set_num_threads(1)
    EXECUTORS[executor]().run(workload(name, device), cohort(), _Keeper(folder, last=3))


def killed_and_resumed(device: str) -> str:
    """Kills processes that train with SIGKILL once they have kept a state, and goes on from that."""
    for executor, name in (("stacked", "mlp"), ("solo", "cnn")):
        made, plans = workload(name, device), cohort()
        with TemporaryDirectory() as temporary:
            folder = Path(temporary)
            child = SPAWN.Process(target=_train_to_a_checkpoint, args=(executor, name, device, folder))
            child.start()
            while not (folder / "last").exists():
                if not child.is_alive():
                    raise Failed(f"{executor}, {name}: the process ended with status {child.exitcode}")
                time.sleep(0.02)
            child.kill()
            child.join()
            state = checkpoints.load(folder, (folder / "last").read_text())
        if state is None:
            raise Failed(f"{executor}, {name}: the kept state cannot be read")
        make = EXECUTORS[executor]
        resumed = make().run(made, plans, Unwatched(), state)
        same(resumed, make().run(made, plans, Unwatched()), f"{executor}, {name}, resumed and undisturbed")
    return "stacked, mlp and solo, cnn: the same bits as undisturbed"


def _train_when_told(number: int, device: str, connection: Connection) -> None:
    """Trains one of two cohorts whenever it is told to; gives when it began and ended, and the results."""
    numerics.repeat_to_the_bit()
    torch.set_num_threads(1)
    made = workload("mlp", device)
    plans = cohort(12, length=8000)[number * 6 :][:6]
    StackedExecutor().run(made, plans, Unwatched())
    connection.send(None)
    while connection.recv():
        began = time.monotonic()
        results = StackedExecutor().run(made, plans, Unwatched())
        connection.send((began, time.monotonic(), results))


def two_processes(device: str) -> str:
    """Trains in two processes one after the other, then at once."""
    ours, processes = [], []
    for number in range(2):
        own, its = SPAWN.Pipe()
        processes.append(SPAWN.Process(target=_train_when_told, args=(number, device, its), daemon=True))
        processes[-1].start()
        its.close()
        ours.append(own)
    for connection in ours:
        connection.recv()
    alone = []
    for connection in ours:
        connection.send(True)
        alone.append(connection.recv())
    for connection in ours:
        connection.send(True)
    together = [connection.recv() for connection in ours]
    for connection in ours:
        connection.send(False)
    for process in processes:
        process.join()
    overlap = min(ended for _, ended, _ in together) - max(began for began, _, _ in together)
    if overlap <= 0:
        raise Failed("the two did not train at the same time")
    for number in range(2):
        same(together[number][2], alone[number][2], f"process {number}, in company and alone")
    single, both = (max(ended - began for began, ended, _ in runs) for runs in (alone, together))
    return f"the same bits; {single:.2f} s alone, {both:.2f} s at once ({overlap:.2f} s of it together)"


def marked_tests(device: str) -> str:
    """Runs the tests that are marked `cuda`."""
    need_gpu(device)
    command = ["-m", "pytest", "-q", "-m", "cuda", "-p", "no:cacheprovider", "tests/adabelief"]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    last = (done.stdout.strip().splitlines() or [done.stderr.strip()[-200:]])[-1]
    if done.returncode:
        raise Failed(last)
    return last.strip("= ")


@dataclass(frozen=True)
class Check:
    """A check and how long it may take."""

    run: Callable[[str], str]
    limit_s: float


CHECKS: dict[str, Check] = {
    "repeats": Check(repeats, 45),
    "agrees-with-cpu": Check(agrees_with_cpu, 30),
    "stacked-agrees-with-solo": Check(stacked_agrees_with_solo, 45),
    "out-of-memory": Check(out_of_memory, 45),
    "killed-and-resumed": Check(killed_and_resumed, 90),
    "two-processes": Check(two_processes, 60),
    "adabelief-paths": Check(adabelief_paths, 90),
    "adabelief-graph": Check(adabelief_graph, 60),
    "marked-tests": Check(marked_tests, 120),
}

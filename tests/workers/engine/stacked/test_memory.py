"""What a stack takes of the memory: as estimated, and within what is free."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from whichopt.service import machine
from whichopt.service.trials import TrialPlan
from whichopt.workers.engine.stacked.executor import StackedExecutor
from whichopt.workers.engine.stacked.memory import EVALUATED_BYTES, SHARE, Footprint, Tracker, free_bytes
from whichopt.workers.engine.stacked.rehearsal import footprint
from whichopt.workers.processes import memory_left
from whichopt.workers.workload import Workload

MEGABYTE = 2**20

RUN = """
import json, re, sys
from pathlib import Path
import psutil, torch
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.trials import TrialPlan
from whichopt.workers.engine import Unwatched
from whichopt.workers.engine.stacked.executor import StackedExecutor
from whichopt.workers.engine.stacked.rehearsal import footprint
from whichopt.workers.workload import build

torch.set_num_threads(1)
given = json.loads(sys.stdin.read())
plans = [TrialPlan.model_validate(plan) for plan in given["plans"]]
specs = [resolve(JobSpec.model_validate({"workload": one})) for one in given["workloads"]]
small, large = (build(spec.workload) for spec in specs)
StackedExecutor().run(small, plans, Unwatched())  # imports what optimizers import when they are first made
large.splits(0)
before = psutil.Process().memory_info().rss
estimate = footprint(large, plans).of(len(plans))
StackedExecutor().run(large, plans, Unwatched())
# Not ru_maxrss, which a process inherits from the one that forked it.
peak = 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
print(json.dumps({"estimate": before + estimate, "peak": peak, "trials": estimate}))
"""


@pytest.mark.parametrize(
    ("model", "batch_size", "trials", "within"),
    [
        ({"name": "mlp", "hidden": [512, 512, 512]}, 64, 24, 0.2),
        ({"name": "cnn", "channels": [64, 64]}, 512, 12, 0.2),
        # Wide convolutions have room of their own in kernels, which is no tensor; a stack is planned for
        # half of the free memory.
        ({"name": "resnet18", "width": 0.5}, 256, 6, 0.35),
    ],
    ids=["params", "activations", "batch norms"],
)
def test_a_workers_peak_is_near_the_estimate(
    model: dict[str, Any], batch_size: int, trials: int, within: float, make_plan: Callable[..., TrialPlan]
) -> None:
    length = 2 * batch_size
    names = ("adabelief", "sgd", "adamw", "radam")
    plans = [
        make_plan(names[i % 4], init=i, batch_size=batch_size, length=length, evaluations=(length,), split=0)
        for i in range(trials)
    ]
    digits = {"dataset": {"name": "digits"}}
    given = {
        "plans": [plan.model_dump(mode="json") for plan in plans],
        "workloads": [{**digits, "model": "linear"}, {**digits, "model": model}],
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN], input=json.dumps(given), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["trials"] > 200 * MEGABYTE, "the estimate is put to a test only where trials weigh"
    assert found["peak"] == pytest.approx(found["estimate"], rel=within)


def test_stacks_are_no_larger_than_the_memory(
    make_workload: Callable[..., Workload],
    make_plan: Callable[..., TrialPlan],
    watch: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workload = make_workload("wine", "mlp", hidden=[8])
    plans = [make_plan(init=init) for init in range(7)]
    one = footprint(workload, plans).stepping
    monkeypatch.setattr(
        "whichopt.workers.engine.stacked.memory.free_bytes", lambda _: (EVALUATED_BYTES + 3.5 * one) / SHARE
    )
    stacks = [len(positions) for positions in StackedExecutor()._stacks(workload, plans, range(7))]
    assert stacks == [3, 2, 2]
    results = StackedExecutor().run(workload, plans, watch)
    monkeypatch.undo()
    free = StackedExecutor().run(workload, plans, watch)
    assert [result.value for result in results] == [result.value for result in free]


def test_one_trial_is_tried_however_little_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whichopt.workers.engine.stacked.memory.free_bytes", lambda _: 0)
    assert Footprint(resting=10, stepping=20, evaluating=5).most(torch.device("cpu")) == 1


def test_an_evaluation_goes_block_by_block() -> None:
    light = Footprint(resting=100, stepping=200, evaluating=1)
    assert light.of(10) == 2000
    heavy = Footprint(resting=100, stepping=200, evaluating=EVALUATED_BYTES // 4)
    assert heavy.block == 4
    assert heavy.of(100) == 100 * 100 + EVALUATED_BYTES


def test_the_tracker_counts_what_is_there() -> None:
    kilobyte = torch.ones(256).nbytes
    outside = torch.ones(256)
    with Tracker() as tracker:
        kept = outside + 1
        view = kept[:10]
        assert tracker.bytes == kilobyte
        peak = tracker.peak_of(lambda: (outside * 2 + 3).sum().item())
        assert tracker.bytes == kilobyte
        assert 3 * kilobyte <= peak <= 3 * kilobyte + 64
        kept.add_(1)
        assert tracker.bytes == kilobyte
        del kept
        assert tracker.bytes == kilobyte, "a view holds the memory"
        del view
        assert tracker.bytes == 0


def test_something_is_free() -> None:
    assert free_bytes(torch.device("cpu")) > 64 * MEGABYTE


def test_a_stack_of_trials_keeps_to_the_memory_of_the_container(monkeypatch: pytest.MonkeyPatch) -> None:
    left = 1_500_000_000
    monkeypatch.setattr(machine, "memory_left", lambda: left)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=32 * 10**9))
    assert free_bytes(torch.device("cpu")) == memory_left() == left

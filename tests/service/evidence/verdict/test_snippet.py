"""Snippets run as pasted. They are run in one process of their own: torch takes seconds to import."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.builders.trials import spec_of
from whichopt.service.catalog import optimizers
from whichopt.service.evidence.verdict.snippet import snippet

SCHEDULES = (
    {"name": "constant"},
    {"name": "constant", "warmup": 0.1},
    {"name": "cosine", "warmup": 0.05},
    {"name": "linear"},
    {"name": "linear", "warmup": 0.2},
    {"name": "trapezoid", "warmup": 0.1, "decay": 0.3},
)

RUN = """
import json, math, sys
import torch
from whichopt.service.trials import Schedule
from whichopt.workers.engine.schedule import factor

for code, schedule in json.load(sys.stdin):
    names = {"__name__": "pasted"}
    exec(compile(code, "snippet", "exec"), names)
    assert math.isfinite(names["loss"].item()), code
    if "factor" in names:
        steps = names["total_steps"]
        for step in range(steps):
            ours = names["factor"](step)
            engine = factor(Schedule(**schedule), step + 0.5, steps)
            assert math.isclose(ours, engine, abs_tol=1e-12), (code, step, ours, engine)
        assert names["scheduler"].last_epoch == steps
    kind = type(names["optimizer"])
    print(kind.__module__.partition(".")[0], kind.__name__, len(names["optimizer"].state))
"""


def test_every_optimizer_and_schedule_runs_as_pasted() -> None:
    jobs = []
    for i, entry in enumerate(optimizers.OPTIMIZERS):
        schedule = SCHEDULES[i % len(SCHEDULES)]
        dataset = ("digits", "diabetes")[i % 2]
        spec = spec_of(entry.name, dataset=dataset, schedule=schedule, clip_norm=(None, 1.0)[i % 2])
        jobs.append((snippet(spec, entry.name, spec.optimizer(entry.name).default), schedule))
    done = subprocess.run(
        [sys.executable, "-c", RUN], input=json.dumps(jobs), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    trained = [line.split() for line in done.stdout.splitlines() if not line.startswith("last loss")]
    assert [name for _, name, _ in trained] == [
        entry.build.target.rpartition(".")[2] for entry in optimizers.OPTIMIZERS
    ]
    assert all(int(states) > 0 for *_, states in trained)


@pytest.mark.parametrize("entry", optimizers.OPTIMIZERS, ids=lambda entry: entry.name)
def test_every_argument_is_written_out(entry: optimizers.OptimizerEntry) -> None:
    spec = spec_of({"name": entry.name, "label": "mine"})
    code = snippet(spec, "mine", spec.optimizer("mine").default)
    for name, value in {**entry.arguments(dict(entry.default)), **entry.build.fixed}.items():
        assert f"    {name}={value!r},\n" in code
    assert "your model here" in code
    assert "your data here" in code
    assert "batch_size, epochs = 64, 2" in code


def test_class_weights_are_torchs_argument() -> None:
    task = {"name": "classification", "class_weight": "balanced"}
    spec = spec_of("sgd", workload={"dataset": "wine", "model": "mlp", "task": task})
    code = snippet(spec, "sgd", spec.optimizer("sgd").default)
    assert "targets[batch], weight=class_weights)" in code
    done = subprocess.run(
        [sys.executable, "-c", f"{code}print((counts * class_weights).tolist(), len(targets) / 3)"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    each, _, third = done.stdout.splitlines()[-1].rpartition(" ")
    assert json.loads(each) == pytest.approx([float(third)] * 3)


def test_what_is_not_asked_for_is_not_written() -> None:
    plain = snippet(
        spec_of("sgd", schedule={"name": "constant"}), "sgd", spec_of("sgd").optimizer("sgd").default
    )
    assert "scheduler" not in plain
    assert "clip_grad_norm_" not in plain
    assert "import math" not in plain
    clipped = spec_of("sgd", clip_norm=0.5)
    assert "max_norm=0.5" in snippet(clipped, "sgd", clipped.optimizer("sgd").default)

"""Snippets run as pasted. They are run in one process of their own: torch takes seconds to import."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.builders.optimizers import scheduled
from tests.builders.trials import spec_of
from whichopt.service.batches import grows
from whichopt.service.catalog import models, optimizers
from whichopt.service.catalog.optimizer_entry import OptimizerEntry
from whichopt.service.evidence.verdict.snippet import snippet
from whichopt.service.spec.workloads import Named

SCHEDULES = (
    {"name": "constant"},
    {"name": "constant", "warmup": 0.1},
    {"name": "cosine", "warmup": 0.05},
    {"name": "linear"},
    {"name": "linear", "warmup": 0.2},
    {"name": "trapezoid", "warmup": 0.1, "decay": 0.3},
    {"name": "step", "milestones": [0.4, 0.5, 0.9], "factor": 0.2},
    {"name": "step", "warmup": 0.1},
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
    if "growing" in names:
        seen = names["total_examples"]
        assert names["seen"] == seen and names["growing"].seen == 0, code
        assert names["growing"].size >= names["growing"].gathered.growths[0].start, code
        for examples in range(0, seen, 16) if "factor" in names else ():
            engine = factor(Schedule(**schedule), examples, seen)
            assert math.isclose(names["factor"](examples), engine, abs_tol=1e-12), (code, examples)
    elif "factor" in names:
        steps = names["total_steps"]
        for step in range(steps):
            ours = names["factor"](step)
            engine = factor(Schedule(**schedule), step + 0.5, steps)
            assert math.isclose(ours, engine, abs_tol=1e-12), (code, step, ours, engine)
        assert names["scheduler"].last_epoch == steps
    kind = type(names["optimizer"])
    print(kind.__module__.partition(".")[0], kind.__name__, len(names["optimizer"].state))
"""


def _run(jobs: list[tuple[str, dict[str, Any]]]) -> list[list[str]]:
    """Run each snippet, and return the package and class of its optimizer, and the params that it has."""
    done = subprocess.run(
        [sys.executable, "-c", RUN], input=json.dumps(jobs), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines() if not line.startswith("last loss")]


def test_every_optimizer_and_schedule_runs_as_pasted() -> None:
    jobs = []
    for i, entry in enumerate(optimizers.OPTIMIZERS):
        schedule = SCHEDULES[0] if entry.own_schedule else SCHEDULES[i % len(SCHEDULES)]
        dataset = ("digits", "diabetes")[i % 2]
        spec = spec_of(entry.name, dataset=dataset, schedule=schedule, clip_norm=(None, 1.0)[i % 2])
        jobs.append((snippet(spec, entry.name, spec.optimizer(entry.name).default), schedule))
    trained = _run(jobs)
    assert [name for _, name, _ in trained] == [
        entry.build.target.rpartition(".")[2] for entry in optimizers.OPTIMIZERS
    ]
    assert all(int(states) > 0 for *_, states in trained)


@pytest.mark.parametrize("entry", optimizers.OPTIMIZERS, ids=lambda entry: entry.name)
def test_every_argument_is_written_out(entry: OptimizerEntry) -> None:
    spec = spec_of({"name": entry.name, "label": "mine"}, **scheduled(entry.name))
    code = snippet(spec, "mine", spec.optimizer("mine").default)
    for name, value in {**entry.arguments(dict(entry.default)), **entry.build.fixed}.items():
        assert f"    {name}={value!r},\n" in code
    assert "your data here" in code
    assert f"batch_size, epochs = {8 if grows(entry.space) else 64}, 2" in code


MODELS: tuple[dict[str, Any], ...] = (
    {"name": "vgg11", "width": 0.0625},
    {"name": "resnet18", "width": 0.0625},
    {"name": "linear"},
    {"name": "mlp", "hidden": [7, 5], "activation": "tanh"},
    {"name": "cnn", "channels": [3, 4], "activation": "gelu"},
    {"name": "layers"},
    {
        "name": "layers",
        "layers": [
            {"type": "linear", "out": 36, "bias": False},
            {"type": "residual", "layers": ["layer_norm", {"type": "residual", "layers": ["silu", "tanh"]}]},
            {"type": "unflatten", "to": [4, 3, 3]},
            {"type": "conv2d", "out": 6, "kernel": 2, "stride": 1, "padding": 1, "bias": False},
            {
                "type": "residual",
                "layers": ["batch_norm", {"type": "conv2d", "out": 6, "padding": 1}, "gelu"],
            },
            {"type": "group_norm", "groups": 2},
            {"type": "max_pool2d", "stride": 1},
            {"type": "avg_pool2d", "padding": 1},
            {"type": "dropout", "p": 0.1},
            "mean_pool",
            "relu",
            {"type": "linear", "out": "outputs"},
        ],
    },
)

COUNT = """
import json, sys
for code in json.load(sys.stdin):
    names = {"__name__": "pasted"}
    exec(compile(code, "snippet", "exec"), names)
    print("params", sum(param.numel() for param in names["model"].parameters()))
"""


def test_the_model_is_the_jobs_own() -> None:
    specs = [spec_of("sgd", workload={"dataset": "digits", "model": options}) for options in MODELS]
    codes = [snippet(spec, "sgd", spec.optimizer("sgd").default) for spec in specs]
    done = subprocess.run(
        [sys.executable, "-c", COUNT], input=json.dumps(codes), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    counted = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("params")]
    wanted = []
    for spec in specs:
        entry = models.model(spec.cataloged.model.name)
        options = entry.options(**spec.cataloged.model.options)
        wanted.append(entry.params(options, spec.cataloged.shape))
    assert counted == wanted
    assert not any("your model here" in code for code in codes)


def test_a_model_that_is_no_chain_of_torchs_modules_has_a_stand_in() -> None:
    """As one of a catalog that this version does not have."""
    spec = spec_of("sgd")
    workload = spec.workload.model_copy(update={"model": Named(name="elsewhere")})
    code = snippet(spec.model_copy(update={"workload": workload}), "sgd", spec.optimizer("sgd").default)
    assert "your model here" in code
    compile(code, "snippet", "exec")


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


YARDSTICKS = """
import json, sys
bowl, wine = json.load(sys.stdin)
names = {"__name__": "pasted"}
exec(compile(bowl, "snippet", "exec"), names)
theta = names["model"].theta
print("theta", theta.square().mean().item(), theta.numel())
before, line, after = wine.partition("wrong = ")
exec(compile(f"{before}before = targets.clone()\\n{line}{after}", "snippet", "exec"), names)
print("wrong", (names["targets"] != names["before"]).sum().item(), names["targets"].max().item())
"""


def test_a_bowl_goes_down_and_wrong_labels_are_of_other_classes() -> None:
    bowl = {"dataset": "quadratic_deep", "model": "quadratic"}
    wine = {"dataset": {"name": "wine", "label_noise": 0.25}, "model": "linear"}
    specs = [spec_of({"name": "sgd", "space": {"lr": 0.01}}, workload=workload) for workload in (bowl, wine)]
    codes = [snippet(spec, "sgd", spec.optimizer("sgd").default) for spec in specs]
    done = subprocess.run(
        [sys.executable, "-c", YARDSTICKS],
        input=json.dumps(codes),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    square, count = lines["theta"]
    assert float(square) < 1.0  # theta starts at 1, and the points lie around 0
    assert int(count) == 100
    assert lines["wrong"] == ["64", "2"]  # a quarter of 256, and still three classes


def test_what_is_not_asked_for_is_not_written() -> None:
    plain = snippet(
        spec_of("sgd", schedule={"name": "constant"}), "sgd", spec_of("sgd").optimizer("sgd").default
    )
    assert "scheduler" not in plain
    assert "clip_grad_norm_" not in plain
    assert "import math" not in plain
    clipped = spec_of("sgd", clip_norm=0.5)
    assert "max_norm=0.5" in snippet(clipped, "sgd", clipped.optimizer("sgd").default)

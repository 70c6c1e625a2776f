"""What a step of AdaBelief costs, beside other implementations and torch's AdamW.

    python -m benchmarks.adabelief_step [--json FILE] [--quick]

All optimizers take turns in one run, and each is compared with torch's fused AdamW of the same turn, so that
a machine whose speed drifts gives the same ratios. Needs the ``dev`` dependencies.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from rich.console import Console
from rich.table import Table
from torch.nn import Parameter
from torch.optim import AdamW, Optimizer

from adabelief import AdaBelief
from adabelief.steps import paths

Shapes = list[tuple[int, ...]]
BYTES = 28
"""Of memory traffic per float32 parameter, at the least: p, g, m, s are read and p, m, s written."""

BASE = "torch AdamW fused"
FUSED, NATIVE = "AdaBelief fused", "AdaBelief fused, no compiler"
PACKED, EACH = "AdaBelief foreach", "AdaBelief for-loop"
OTHERS = ("adabelief-pytorch", "pytorch_optimizer", "pytorch_optimizer foreach")


def gpt(width: int = 384, blocks: int = 6) -> Shapes:
    """The tensors of a small GPT: 11 million params in 95 tensors."""
    norm, square = [(width,)], [(width, width)]
    block: Shapes = [*square * 4, *norm * 8, (4 * width, width), (4 * width,), (width, 4 * width)]
    return [(1024, width), (256, width), *block * blocks, *norm * 2, (65, width)]


SIZES: dict[str, Shapes] = {
    "17k in 6": [(128, 64), (128,), (64, 128), (64,), (10, 64), (10,)],
    "11M in 95": gpt(),
    "21M in 2": [(20_000_000,), (1_000_000,)],
}


def _silently(make: Callable[[], Optimizer]) -> Optimizer:
    with contextlib.redirect_stdout(io.StringIO()):  # adabelief-pytorch prints a table
        return make()


def contenders() -> dict[str, Callable[[list[Parameter]], Optimizer]]:
    """The optimizers, each made over a list of parameters; weight decay is off for all."""
    import pytorch_optimizer
    from adabelief_pytorch import AdaBelief as Reference

    return {
        BASE: lambda params: AdamW(params, weight_decay=0, fused=True),
        "torch AdamW foreach": lambda params: AdamW(params, weight_decay=0, foreach=True),
        "torch AdamW for-loop": lambda params: AdamW(params, weight_decay=0, foreach=False),
        FUSED: lambda params: AdaBelief(params, fused=True),
        NATIVE: lambda params: AdaBelief(params, fused=True),
        PACKED: lambda params: AdaBelief(params, foreach=True),
        EACH: lambda params: AdaBelief(params, foreach=False),
        OTHERS[0]: lambda params: _silently(lambda: Reference(params, rectify=False, print_change_log=False)),
        OTHERS[1]: lambda params: pytorch_optimizer.AdaBelief(params, foreach=False),
        OTHERS[2]: lambda params: pytorch_optimizer.AdaBelief(params, foreach=True),
    }


def compiler(name: str) -> contextlib.AbstractContextManager[object]:
    """The machine with its compiler, or as it is without one."""
    return patch.object(paths, "kernel", return_value=None) if name == NATIVE else contextlib.nullcontext()


def made(make: Callable[[list[Parameter]], Optimizer], shapes: Shapes) -> Optimizer:
    """An optimizer that has taken its first steps, so that its state is there and its kernel loaded."""
    params = [Parameter(torch.randn(shape)) for shape in shapes]
    for p in params:
        p.grad = torch.randn_like(p)
    optimizer = make(params)
    for _ in range(3):
        optimizer.step()
    return optimizer


@dataclass(frozen=True)
class StepTime:
    """What one optimizer took at one size."""

    size: str
    optimizer: str
    ms: float
    ratio: float
    extra_mib: float | None


def measure(size: str, rounds: int, steps: int) -> list[StepTime]:
    """Time ``steps`` steps of each optimizer in turn, ``rounds`` times."""
    optimizers = {}
    for name, make in contenders().items():
        with compiler(name):
            optimizers[name] = made(make, SIZES[size])
    seconds: dict[str, list[float]] = {name: [] for name in optimizers}
    for _ in range(rounds):
        for name, optimizer in optimizers.items():
            with compiler(name):
                optimizer.step()  # brings its own data back into the caches
                started = time.perf_counter()
                for _ in range(steps):
                    optimizer.step()
                seconds[name].append((time.perf_counter() - started) / steps)
    rows = []
    for name, optimizer in optimizers.items():
        ratio = statistics.median(x / base for x, base in zip(seconds[name], seconds[BASE], strict=True))
        with compiler(name):
            extra = extra_memory(optimizer.step)
        rows.append(StepTime(size, name, statistics.median(seconds[name]) * 1e3, ratio, extra))
    return rows


def extra_memory(step: Callable[[], object]) -> float | None:
    """MiB that the process grows by within a step; None where the system does not tell."""

    def field(name: str) -> int:
        status = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in status if line.startswith(name))

    try:
        Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is in use
        before = field("VmRSS")
        step()
        return max(0, field("VmHWM") - before) / 1024
    except OSError:
        return None


def bandwidth(rounds: int) -> float:
    """Bytes a second of an in-place copy, which reads and writes every value of 21 million once."""
    x = torch.ones(21_000_000)
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        x.neg_()
        seconds.append(time.perf_counter() - started)
    return 2 * x.numel() * x.element_size() / statistics.median(seconds)


START = """
import time, torch
from adabelief import AdaBelief
p = torch.nn.Parameter(torch.zeros(8))
p.grad = torch.ones(8)
AdaBelief([p]).step()
optimizer = AdaBelief([p], fused=True)
started = time.perf_counter()
optimizer.step()
print(time.perf_counter() - started)
"""


def compile_seconds() -> tuple[float, float]:
    """The first fused step of a process, on a machine that never compiled, and on one that did."""
    with tempfile.TemporaryDirectory() as folder:
        caches = {"XDG_CACHE_HOME": folder, "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor"}
        run = [sys.executable, "-W", "error", "-c", START]
        cold, warm = (
            float(
                subprocess.run(
                    run, env={**os.environ, **caches}, check=True, capture_output=True, text=True
                ).stdout
            )
            for _ in range(2)
        )
        return cold, warm


def state_bytes() -> dict[str, float]:
    """Bytes of state per float32 parameter, and elements of the count of steps."""
    found = {}
    for amsgrad in (False, True):
        p = Parameter(torch.zeros(1000))
        p.grad = torch.ones(1000)
        optimizer = AdaBelief([p], amsgrad=amsgrad)
        optimizer.step()
        state = dict(optimizer.state[p])
        assert state.pop("step").dim() == 0
        found["amsgrad" if amsgrad else "plain"] = sum(x.nbytes for x in state.values()) / p.numel()
    return found


@dataclass(frozen=True)
class Target:
    """A figure that is to hold."""

    what: str
    limit: float
    measured: float
    at_least: bool = False

    @property
    def holds(self) -> bool:
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


def targets(rows: Sequence[StepTime], bytes_per_second: float, cold: float, warm: float) -> list[Target]:
    """What the project asks of its optimizer."""
    ratio = {(row.size, row.optimizer): row.ratio for row in rows}
    ms = {(row.size, row.optimizer): row.ms for row in rows}
    found = []
    for size in sorted({row.size for row in rows}, key=list(SIZES).index):
        small = size == "17k in 6"
        found.append(Target(f"{FUSED} / {BASE}, {size}", 0.9 if small else 1.05, ratio[size, FUSED]))
        best = min(ratio[size, name] for name in OTHERS)
        found.append(Target(f"{NATIVE} / fastest other, {size}", 1.0, ratio[size, NATIVE] / best))
    large = "21M in 2"
    if (large, FUSED) in ms:
        reached = BYTES * 21e6 / (ms[large, FUSED] / 1e3) / bytes_per_second
        found.append(Target("share of the in-place copy bandwidth", 0.8, reached, at_least=True))
        found.append(Target(f"{NATIVE} / {BASE}, {large}", 2.2, ratio[large, NATIVE]))
    return [
        *found,
        Target("seconds of the first fused step, cold", 20, cold),
        Target("seconds of the first fused step, cached", 2, warm),
    ]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--quick", action="store_true", help="the smallest size only, and few rounds")
    given = parser.parse_args(argv)

    torch.set_num_threads(2)
    torch.manual_seed(0)
    plan = {"17k in 6": (40, 200), "11M in 95": (25, 3), "21M in 2": (15, 1)}
    if given.quick:
        plan = {"17k in 6": (5, 20)}
    cold, warm = compile_seconds()
    bytes_per_second = bandwidth(rounds=5 if given.quick else 50)
    rows = [row for size, (rounds, steps) in plan.items() for row in measure(size, rounds, steps)]
    checked = targets(rows, bytes_per_second, cold, warm)

    console = Console(width=max(110, Console().width))  # a table that is cut says nothing
    table = Table(title="A step, two threads: median ms, and times torch AdamW fused of the same turn")
    for heading in ("optimizer", *plan):
        table.add_column(heading, justify="left" if heading == "optimizer" else "right", no_wrap=True)
    for name in contenders():
        mine = [row for row in rows if row.optimizer == name]
        table.add_row(name, *(f"{row.ms:.3f}  {row.ratio:5.2f}x" for row in mine))
    console.print(table)
    memory = Table(title="Memory that a step takes on top of params, gradients and state: MiB")
    for heading in ("optimizer", *plan):
        memory.add_column(heading, justify="left" if heading == "optimizer" else "right", no_wrap=True)
    for name in contenders():
        extra = [row.extra_mib for row in rows if row.optimizer == name]
        memory.add_row(name, *("?" if x is None else f"{x:.1f}" for x in extra))
    console.print(memory)
    aims = Table(title="What is to hold")
    for heading in ("figure", "measured", "limit", "holds"):
        aims.add_column(heading, no_wrap=True)
    for target in checked:
        sign = ">=" if target.at_least else "<="
        aims.add_row(
            target.what, f"{target.measured:.2f}", f"{sign} {target.limit}", "yes" if target.holds else "NO"
        )
    console.print(aims)
    console.print(f"in-place copy: {bytes_per_second / 1e9:.1f} GB/s; state: {state_bytes()} bytes per param")
    if given.json:
        found: dict[str, Any] = {
            "rows": [asdict(row) for row in rows],
            "targets": [{**asdict(target), "holds": target.holds} for target in checked],
            "copy_bytes_per_second": bytes_per_second,
            "state_bytes_per_param": state_bytes(),
            "machine": {"torch": torch.__version__, "cpu": platform.processor(), "threads": 2},
        }
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()

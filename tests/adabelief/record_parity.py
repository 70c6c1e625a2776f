"""Record what adabelief-pytorch 0.2.1 computes, for tests that do without that package.

With the package installed, run, in the root of the repository,

    python -m tests.adabelief.record_parity
    ATEN_CPU_CAPABILITY=default python -m tests.adabelief.record_parity

Each writes one file of ``tests/adabelief/recorded``. There are two, as CPUs do not round alike:
``fused.json`` holds for those whose kernels round x + a * y once (all x86 with AVX2, for one),
``separate.json`` for those that round the product first. The inputs are integers over powers of two, so that
nothing depends on torch's random numbers.

A file has a list of ``tensors``, each the numbers of all parameters one after the other, as hexadecimal
floats; ``runs``, which tell by their place in that list what parameters and moments were after the last step;
and ``checkpoints``, which tell what parameters and ``state_dict()`` were on the way there.
"""

import contextlib
import io
import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "CHECKPOINTS",
    "CHECKPOINT_STEP",
    "FOLDER",
    "RUNS",
    "STEPS",
    "gradients",
    "numbers",
    "params",
    "read_state_dict",
    "record",
    "reference",
    "rounding",
    "rounds_as_recorded",
    "tensors",
    "text",
]

FOLDER = Path(__file__).parent / "recorded"
SIZES = (1, 3, 33)  # shorter than a vector register; longer than two of them, which is where kernels use them
STEPS, CHECKPOINT_STEP = 12, 7  # rectification begins at step 6

Run = dict[str, Any]
"""Arguments of our ``AdaBelief``, and the dtype of the parameters."""

DECAYS: dict[str, Run] = {
    "none": {},
    "decoupled": {"weight_decay": 0.01},
    "coupled": {"weight_decay": 0.01, "decoupled_weight_decay": False},
    "fixed": {"weight_decay": 0.01, "fixed_decay": True},
}


def _runs() -> Iterator[tuple[str, Run]]:
    for dtype, eps, decay in product((torch.float32, torch.float64), (1e-8, 1e-16), DECAYS):
        run = {"dtype": dtype, "lr": 0.1, "eps": eps, **DECAYS[decay]}
        name = f"{str(dtype).removeprefix('torch.')}, eps {eps}, decay {decay}"
        yield name, {**run, "rectify": False}
        yield f"{name}, rectify", {**run, "rectify": True}
        if decay in ("none", "coupled"):
            # Short memories, so that s falls below the largest s so far.
            yield f"{name}, amsgrad", {**run, "rectify": False, "amsgrad": True, "betas": (0.5, 0.75)}


RUNS = dict(_runs())
CHECKPOINTS = (
    "float32, eps 1e-08, decay none, amsgrad",
    "float32, eps 1e-16, decay decoupled, rectify",
    "float64, eps 1e-16, decay coupled",
)


def numbers(seed: int) -> list[float]:
    """Numbers in [-1, 1) for all parameters, each a multiple of 2**-23: exact in every dtype here."""
    x, found = seed, []
    for _ in range(sum(SIZES)):
        x = (6364136223846793005 * x + 1442695040888963407) % 2**64  # Knuth's generator
        found.append((x >> 40) / 2**23 - 1)
    return found


def tensors(values: list[float], dtype: torch.dtype) -> list[Tensor]:
    """The numbers as one tensor for each parameter."""
    return [x.clone() for x in torch.split(torch.tensor(values, dtype=dtype), list(SIZES))]


def params(dtype: torch.dtype) -> list[Any]:
    """The parameters before step 1."""
    return [x.requires_grad_() for x in tensors(numbers(0), dtype)]


def gradients(t: int, dtype: torch.dtype) -> list[Tensor]:
    """The gradients of step t."""
    # From 1 down to 2**-25, and 0, so that each eps counts somewhere; falling from step to step, for amsgrad.
    scales = [0.0 if i % 7 == 6 else 2.0 ** -(5 * (i % 7) + t // 2) for i in range(sum(SIZES))]
    return tensors([x * scale for x, scale in zip(numbers(t), scales, strict=True)], dtype)


def rounding() -> str | None:
    """How the kernels of this machine round a product and a sum: "fused" (once), "separate", or neither."""
    remainders = set()
    for dtype, k in ((torch.float32, 12), (torch.float64, 27)):
        y = torch.full((sum(SIZES),), 1 + 2.0**-k, dtype=dtype)
        square = torch.full_like(y, 1 + 2.0 ** (1 - k))  # y * y as it is rounded, which is down
        remainders |= {x > 0 for x in torch.add(-square, y, alpha=1 + 2.0**-k).tolist()}
        remainders |= {x > 0 for x in torch.addcmul(-square / 2, y, y, value=0.5).tolist()}
    return {(True,): "fused", (False,): "separate"}.get(tuple(remainders))


def divides_right() -> bool:
    """Whether a quotient is rounded to the nearest number, as it was where the records were made."""
    for dtype in (torch.float32, torch.float64):
        x, y = (torch.tensor(numbers(seed), dtype=torch.float64) for seed in (1, 2))
        expected = [a / b for a, b in zip(x.tolist(), y.tolist(), strict=True)]
        # Python's own quotient; in float32, rounding that once more gives the nearest one too (2p + 2 bits).
        if (x.to(dtype) / y.to(dtype)).tolist() != torch.tensor(expected).to(dtype).tolist():
            return False
    return True


ROOTS = 20_000


def misrounded_roots() -> float:
    """The share of float32 roots that are not the nearest number.

    torch takes roots from MKL, whose kernel depends on the CPU. Where the records were made next to none is
    misrounded; on a Zen 3 CPU it is every sixth.
    """
    x = torch.arange(1, ROOTS + 1, dtype=torch.float32) / ROOTS
    return (x.sqrt() != x.double().sqrt().float()).float().mean().item()


def rounds_as_recorded() -> bool:
    """Whether this machine rounds all that a step computes as the one did where the records were made.

    Roots cannot be told from a formula, as MKL misrounds a few on every CPU: so its kernel has to be the one
    for AVX-512, and to be as good as it is there.
    """
    return (
        rounding() is not None
        and divides_right()
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and misrounded_roots() < 0.005
    )


class _Table:
    """Tensors without repetition, as text."""

    def __init__(self) -> None:
        self.rows: list[str] = []

    def add(self, parts: list[Tensor]) -> int:
        values = torch.cat([x.detach() for x in parts]).tolist()
        row = " ".join(re.sub(r"\.?0*p", "p", x.hex(), count=1) for x in values)
        if row not in self.rows:
            self.rows.append(row)
        return self.rows.index(row)


def record() -> dict[str, Any]:
    """Run the reference, and return what the file of this machine's rounding holds."""
    table = _Table()
    runs, checkpoints = {}, {}
    for name, run in RUNS.items():
        run = dict(run)
        dtype, decoupled = run.pop("dtype"), run.pop("decoupled_weight_decay", True)
        trained = params(dtype)
        optimizer = reference(trained, weight_decouple=decoupled, **run)
        for t in range(1, STEPS + 1):
            for p, g in zip(trained, gradients(t, dtype), strict=True):
                p.grad = g
            optimizer.step()
            if t == CHECKPOINT_STEP and name in CHECKPOINTS:
                groups = optimizer.state_dict()["param_groups"]
                state = _state(optimizer, trained, table)
                checkpoints[name] = {"theta": table.add(trained), "state": state, "param_groups": groups}
                checkpoints[name] = json.loads(json.dumps(checkpoints[name]))  # as of now
        runs[name] = {"theta": table.add(trained), **_state(optimizer, trained, table)}
    return {
        "source": "adabelief-pytorch 0.2.1",
        "rounding": rounding(),
        "tensors": table.rows,
        "runs": runs,
        "checkpoints": checkpoints,
    }


def text(recorded: dict[str, Any]) -> str:
    """The JSON of a record, with a line for each tensor and each run."""
    lines = []
    for key, value in recorded.items():
        if isinstance(value, list):
            body = ",\n".join(json.dumps(x) for x in value)
            lines.append(f'"{key}": [\n{body}\n]')
        elif isinstance(value, dict):
            body = ",\n".join(f"{json.dumps(k)}: {json.dumps(x)}" for k, x in value.items())
            lines.append(f'"{key}": {{\n{body}\n}}')
        else:
            lines.append(f'"{key}": {json.dumps(value)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_state_dict(recorded: dict[str, Any], name: str) -> dict[str, Any]:
    """The recorded checkpoint of that name as the reference's ``state_dict()`` returned it."""
    checkpoint = recorded["checkpoints"][name]
    state: dict[int, dict[str, Any]] = {i: {} for i in range(len(SIZES))}
    for key, value in checkpoint["state"].items():
        for i in state:
            state[i][key] = value
        if key != "step":
            values = [float.fromhex(x) for x in recorded["tensors"][value].split()]
            for i, x in enumerate(tensors(values, RUNS[name]["dtype"])):
                state[i][key] = x
    groups = [{**group, "betas": tuple(group["betas"])} for group in checkpoint["param_groups"]]
    return {"state": state, "param_groups": groups}


def _state(optimizer: torch.optim.Optimizer, trained: list[Any], table: _Table) -> dict[str, int]:
    moments = [key for key in optimizer.state[trained[0]] if key != "step"]
    steps = {optimizer.state[p]["step"] for p in trained}
    (step,) = steps
    return {"step": step} | {key: table.add([optimizer.state[p][key] for p in trained]) for key in moments}


def reference(trained: list[Any], **settings: Any) -> torch.optim.Optimizer:
    import adabelief_pytorch

    with contextlib.redirect_stdout(io.StringIO()):  # it prints, even when it is told not to
        optimizer = adabelief_pytorch.AdaBelief(trained, print_change_log=False, **settings)
    assert isinstance(optimizer, torch.optim.Optimizer)
    return optimizer


def main() -> None:
    kind = rounding()
    if kind is None:
        raise SystemExit("the kernels of this machine round neither way throughout: nothing recorded")
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{kind}.json").write_text(text(record()))


if __name__ == "__main__":
    main()

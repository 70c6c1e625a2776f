"""Bit for bit what adabelief-pytorch 0.2.1 did where it was recorded; the package itself is not needed.

torch takes roots from MKL, which rounds them differently from CPU to CPU. On a machine whose roots are not
the recorded ones, a run still has the recorded bits if the package itself, trained here, has them; the others
agree within a bound that follows from how far two roundings can be apart. Moments that no root enters have
the recorded bits everywhere.

The files in ``recorded`` say how this came to be, and how the record is read, in ``record_parity``.
"""

import json
from functools import cache
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor

from adabelief import AdaBelief
from tests.adabelief.record_parity import (
    CHECKPOINT_STEP,
    CHECKPOINTS,
    FOLDER,
    RUNS,
    STEPS,
    gradients,
    params,
    read_state_dict,
    record,
    rounding,
    rounds_as_recorded,
    tensors,
    text,
)

ROUNDINGS = ["fused", "separate"]
MOMENTS = ["exp_avg", "exp_avg_var", "max_exp_avg_var"]

needs_a_record = pytest.mark.skipif(
    rounding() is None, reason="kernels that round unlike those of any machine that was recorded"
)


@cache
def read(kind: str) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((FOLDER / f"{kind}.json").read_text())
    return recorded


def run(
    name: str, foreach: bool, first: int = 1, checkpoint: dict[str, Any] | None = None, start: Any = None
) -> tuple[list[Any], AdaBelief]:
    """Train our optimizer as the reference was, from the start or from a checkpoint."""
    settings = dict(RUNS[name])
    dtype = settings.pop("dtype")
    trained = start or params(dtype)
    optimizer = AdaBelief(trained, foreach=foreach, **settings)
    if checkpoint is not None:
        optimizer.load_state_dict(checkpoint)
    for t in range(first, STEPS + 1):
        for p, g in zip(trained, gradients(t, dtype), strict=True):
            p.grad = g
        optimizer.step()
    return trained, optimizer


def hexadecimal(parts: list[Tensor]) -> list[str]:
    return [x.hex() for part in parts for x in part.tolist()]


def recorded_values(kind: str, name: str, key: str) -> list[float]:
    return values_of(read(kind), name, key)


@cache
def recorded_here() -> dict[str, Any] | None:
    """What the package does on this machine, if it is installed."""
    return record() if find_spec("adabelief_pytorch") else None


def values_of(recorded: dict[str, Any], name: str, key: str) -> list[float]:
    return [float.fromhex(x) for x in recorded["tensors"][recorded["runs"][name][key]].split()]


def has_recorded_bits(name: str) -> bool:
    """Whether the run has to have the recorded bits: the machine rounds so, or the package shows it."""
    if rounds_as_recorded():
        return True
    here, there = recorded_here(), read(str(rounding()))
    keys = there["runs"][name].keys() - {"step"}
    return here is not None and all(values_of(here, name, key) == values_of(there, name, key) for key in keys)


def tolerance(name: str, key: str) -> float:
    """How far a number of a run may be from the recorded one if only roots are rounded differently.

    Two roundings of a root are neighbors, so that a step, at some 0.1, is off by less than a unit of a number
    between 1 and 2, and so is its sum with a parameter, below 2. The moments depend on the parameters, and
    thereby on roots, only by coupled weight decay: a gradient of at most 1 is off by the decay times that,
    and by its rounding; the moments are weighted means of gradients, and of squares of differences of at most
    2, and each step rounds them once more.
    """
    run = RUNS[name]
    unit = torch.finfo(run["dtype"]).eps
    theta = 2 * STEPS * unit
    if key == "theta":
        return theta
    if run.get("decoupled_weight_decay", True):
        return 0.0
    gradient: float = run["weight_decay"] * theta + unit
    mean = gradient + STEPS * unit
    return mean if key == "exp_avg" else 2 * 2 * (gradient + mean + unit) + 2**2 * STEPS * unit


def assert_recorded(name: str, trained: list[Any], optimizer: AdaBelief) -> None:
    """Parameters and moments have the recorded bits, signs of zero included, or are within the tolerance."""
    kind = rounding()
    assert kind is not None
    keys = read(kind)["runs"][name].keys() - {"theta", "step"}
    assert keys == optimizer.state[trained[0]].keys() - {"step"}
    for key in ["theta", *keys]:
        actual = [p.detach() if key == "theta" else optimizer.state[p][key] for p in trained]
        expected = recorded_values(kind, name, key)
        bound = 0.0 if has_recorded_bits(name) else tolerance(name, key)
        if bound == 0:
            assert hexadecimal(actual) == [x.hex() for x in expected], key
        else:
            assert torch.cat(actual).tolist() == pytest.approx(expected, rel=0, abs=bound), key
    assert {optimizer.state[p]["step"].item() for p in trained} == {STEPS}


@needs_a_record
@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize("name", RUNS)
def test_same_bits_as_recorded(name: str, foreach: bool) -> None:
    assert_recorded(name, *run(name, foreach))


@needs_a_record
@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_recorded_checkpoint_goes_on_with_the_recorded_bits(name: str, foreach: bool) -> None:
    recorded, dtype = read(str(rounding())), RUNS[name]["dtype"]
    row = recorded["tensors"][recorded["checkpoints"][name]["theta"]]
    start = tensors([float.fromhex(x) for x in row.split()], dtype)
    checkpoint = read_state_dict(recorded, name)
    assert {state["step"] for state in checkpoint["state"].values()} == {CHECKPOINT_STEP}
    trained, optimizer = run(
        name, foreach, CHECKPOINT_STEP + 1, checkpoint, [x.requires_grad_() for x in start]
    )
    assert_recorded(name, trained, optimizer)


@pytest.mark.parametrize("kind", ROUNDINGS)
@pytest.mark.parametrize("name", RUNS)
def test_nearly_the_same_however_the_machine_rounds(name: str, kind: str) -> None:
    trained, _ = run(name, foreach=False)
    # A step rounds parameters below 2 by up to a unit, and is itself, at some 0.1, off by no more than that.
    tolerance = 2 * STEPS * torch.finfo(RUNS[name]["dtype"]).eps
    values = torch.cat([p.detach() for p in trained]).tolist()
    assert values == pytest.approx(recorded_values(kind, name, "theta"), rel=0, abs=tolerance)


def test_records_are_of_the_same_runs_and_differ_in_rounding() -> None:
    for kind in ROUNDINGS:
        recorded = read(kind)
        assert (recorded["rounding"], recorded["source"]) == (kind, "adabelief-pytorch 0.2.1")
        assert recorded["runs"].keys() == RUNS.keys()
        assert recorded["checkpoints"].keys() == set(CHECKPOINTS)
    assert read("fused")["tensors"] != read("separate")["tensors"]


@pytest.mark.parametrize("kind", ROUNDINGS)
def test_every_setting_of_a_run_counts(kind: str) -> None:
    recorded = read(kind)
    assert len({run["theta"] for run in recorded["runs"].values()}) == len(RUNS)
    for name, run in recorded["runs"].items():
        if "max_exp_avg_var" in run:
            assert run["max_exp_avg_var"] != run["exp_avg_var"], name


@needs_a_record
def test_recording_again_gives_the_same_file() -> None:
    """Where roots are rounded differently, the same but for them."""
    pytest.importorskip("adabelief_pytorch")
    kind = str(rounding())
    here, there, written = recorded_here(), read(kind), (FOLDER / f"{kind}.json").read_text()
    assert here is not None
    assert text(there) == written, "the form of the file"
    if rounds_as_recorded():
        assert text(here) == written
    assert here["runs"].keys() == there["runs"].keys()
    for name, run in there["runs"].items():
        assert here["runs"][name].keys() == run.keys()
        assert here["runs"][name]["step"] == run["step"]
        for key in run.keys() - {"step"}:
            expected = values_of(there, name, key)
            assert values_of(here, name, key) == pytest.approx(expected, rel=0, abs=tolerance(name, key))
    for name, checkpoint in there["checkpoints"].items():
        assert here["checkpoints"][name]["param_groups"] == checkpoint["param_groups"]
        assert here["checkpoints"][name]["state"].keys() == checkpoint["state"].keys()

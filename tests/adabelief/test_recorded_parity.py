"""Bit for bit what adabelief-pytorch 0.2.1 did where it was recorded; the package itself is not needed.

The files in ``recorded`` say how this came to be, and how the record is read, in ``record_parity``.
"""

import json
from functools import cache
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
    recorded = read(kind)
    return [float.fromhex(x) for x in recorded["tensors"][recorded["runs"][name][key]].split()]


def assert_recorded(name: str, trained: list[Any], optimizer: AdaBelief) -> None:
    """Parameters and moments have the recorded bits, signs of zero included."""
    kind = rounding()
    assert kind is not None
    keys = read(kind)["runs"][name].keys() - {"theta", "step"}
    assert keys == optimizer.state[trained[0]].keys() - {"step"}
    for key in ["theta", *keys]:
        actual = [p.detach() if key == "theta" else optimizer.state[p][key] for p in trained]
        assert hexadecimal(actual) == [x.hex() for x in recorded_values(kind, name, key)], key
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
    pytest.importorskip("adabelief_pytorch")
    assert text(record()) == (FOLDER / f"{rounding()}.json").read_text()

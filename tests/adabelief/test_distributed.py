"""Checkpoints of torch.distributed, and parameters that are shards of a tensor.

Two processes train the same models, once whole and once sharded; ``python -m`` runs this file as one of them.
"""

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed as dist
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

from adabelief import AdaBelief
from tests.builders.params import (
    FOREACH,
    FUSED,
    LOOP,
    PATHS,
    SETTINGS,
    Setting,
    assert_same_bits,
    build,
    go_on,
    noise,
    params_of,
    states,
)

FIXED_BY_TENSOR: Setting = {**SETTINGS["fixed decay"], "lr": torch.tensor(0.01)}
ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="no torch.distributed")
with_settings = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
on_paths = pytest.mark.parametrize("path", PATHS)


def make_model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 1))


def train(model: nn.Module, optimizer: AdaBelief, first: int, last: int) -> None:
    for t in range(first, last):
        optimizer.zero_grad()
        x = torch.randn(4, 5, generator=torch.Generator().manual_seed(t))
        model(x).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize(
    "setting", [*SETTINGS.values(), FIXED_BY_TENSOR], ids=[*SETTINGS, "fixed, tensor lr"]
)
def test_state_is_made_in_advance_and_no_bit_of_the_parameters_changes(setting: Setting) -> None:
    # The checkpoint's way: zero gradients, lr = 0 and a step.
    model = make_model()
    next(model.parameters()).data[0, 0] = -0.0
    optimizer = build(model.parameters(), setting)
    before = copy.deepcopy(model.state_dict())
    lr = copy.deepcopy(optimizer.param_groups[0]["lr"])
    state_dict = get_optimizer_state_dict(model, optimizer)
    for name, p in model.state_dict().items():
        assert torch.equal(p, before[name])
        assert torch.equal(p.signbit(), before[name].signbit())
    assert list(state_dict["state"]) == list(before)
    assert len(optimizer.state) == 4
    assert optimizer.param_groups[0]["lr"] == lr
    assert all(p.grad is None for p in model.parameters())


@with_settings
@on_paths
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_checkpoint_by_names_goes_on_to_the_bit(setting: Setting, path: Setting, dtype: torch.dtype) -> None:
    if dtype == torch.bfloat16 and path == FUSED and setting.get("amsgrad"):
        pytest.skip("one kernel more would be compiled")
    model = make_model().to(dtype)
    optimizer = build(model.parameters(), setting, path)
    for t in range(3):
        set_gradients(optimizer, t)
        optimizer.step()
    for options in (None, StateDictOptions(flatten_optimizer_state_dict=True)):
        one_model, other_model = copy.deepcopy(model), copy.deepcopy(model)
        one = build(one_model.parameters(), setting, path)
        # A flat one does not say what there is: the optimizer that loads it does.
        other = build(other_model.parameters(), *(() if options is None else (setting, path)))
        one.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        state_dict = copy.deepcopy(get_optimizer_state_dict(one_model, one, options=options))
        other.zero_grad()
        set_optimizer_state_dict(other_model, other, state_dict, options=options)
        assert_same_bits(other, one)
        assert {**other.param_groups[0], "params": 0} == {**one.param_groups[0], "params": 0}
        for t in range(3, 9):
            set_gradients(one, t)
            set_gradients(other, t)
            one.step()
            other.step()
        assert_same_bits(other, one)


def set_gradients(optimizer: AdaBelief, t: int) -> None:
    for i, p in enumerate(params_of(optimizer)):
        p.grad = noise(p, 100 * t + i)


def test_checkpoint_finds_its_parameters_by_name() -> None:
    model = make_model()
    one = build(model.parameters())
    for t in range(3):
        set_gradients(one, t)
        one.step()
    state_dict = copy.deepcopy(get_optimizer_state_dict(model, one))
    one.zero_grad()
    backwards = build(reversed(list(model.parameters())))
    set_optimizer_state_dict(model, backwards, state_dict)
    for p in model.parameters():
        for name, value in one.state[p].items():
            assert torch.equal(backwards.state[p][name], value)


# -- two processes -------------------------------------------------------------------------------------

SHARDED: list[Setting] = [
    LOOP,
    FOREACH,
    {},
    FUSED,
    {"capturable": True},
    {**SETTINGS["everything"], **FOREACH},
    {**SETTINGS["rectify, amsgrad"], **FUSED},
    FIXED_BY_TENSOR,
]


def check_fully_sharded_training(mesh: DeviceMesh) -> None:
    """Bit for bit as the whole model's: of equal gradients of two processes the mean is exact."""
    for setting in SHARDED:
        whole, sharded = make_model(), make_model()
        fully_shard(sharded[0], mesh=mesh)
        fully_shard(sharded, mesh=mesh)
        one, other = build(sharded.parameters(), setting), build(whole.parameters(), setting)
        for t in range(8):
            train(sharded, one, t, t + 1)  # every process has the same data
            train(whole, other, t, t + 1)
            for p, q in zip(params_of(one), params_of(other), strict=True):
                assert isinstance(p, DTensor)
                assert isinstance(one.state[p]["exp_avg"], DTensor)
                assert not isinstance(one.state[p]["step"], DTensor)
                assert torch.equal(p.full_tensor(), q), setting
                assert torch.equal(one.state[p]["exp_avg_var"].full_tensor(), other.state[q]["exp_avg_var"])
                assert one.state[p]["step"].item() == t + 1


def check_checkpoint_of_the_whole(mesh: DeviceMesh) -> None:
    """Gathered from shards and put back into shards, or into one process's whole."""
    options = StateDictOptions(full_state_dict=True)
    sharded = make_model()
    fully_shard(sharded, mesh=mesh)
    one = build(sharded.parameters(), {"lr": 0.05}, FOREACH)
    train(sharded, one, 0, 3)
    state_dict: Any = copy.deepcopy(get_optimizer_state_dict(sharded, one, options=options))
    moment = state_dict["state"]["0.weight"]["exp_avg"]
    assert not isinstance(moment, DTensor)
    assert moment.shape == (3, 5)
    again = make_model()
    fully_shard(again, mesh=mesh)
    again.load_state_dict(sharded.state_dict())
    other = build(again.parameters(), FOREACH)
    set_optimizer_state_dict(
        again, other, state_dict, options=StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    )
    train(sharded, one, 3, 6)
    train(again, other, 3, 6)
    for (name, x), (_, y) in zip(states(one), states(other), strict=True):
        x, y = (z.full_tensor() if isinstance(z, DTensor) else z for z in (x, y))
        assert torch.equal(x, y), name


def check_uneven_shards_and_gradients_placed_otherwise(mesh: DeviceMesh) -> None:
    """A shard may be empty, lie along any dimension, and have a gradient that is not divided as it is."""
    shapes = (1, 4), (3, 5), (7,), (4, 2)
    placements = Shard(0), Shard(1), Shard(0), Replicate()
    for setting in SHARDED:
        for shape, placement in zip(shapes, placements, strict=True):
            whole = noise(torch.empty(shape), 0)
            p: Any = distribute_tensor(whole.clone(), mesh, [placement]).requires_grad_()
            q = whole.clone().requires_grad_()
            one, other = build([p], setting), build([q], setting)
            for t in range(6):
                g = noise(whole, 1 + t)
                q.grad = g
                p.grad = distribute_tensor(g, mesh, [Replicate() if t % 2 else placement])
                one.step()
                other.step()
                # Slices of a tensor fill registers otherwise than the whole, so a kernel may round otherwise.
                torch.testing.assert_close(p.full_tensor(), q, rtol=5e-7, atol=1e-6)
            assert tuple(p.placements) == (placement,)


def check_sharded_state_in_advance(mesh: DeviceMesh) -> None:
    sharded = make_model()
    fully_shard(sharded, mesh=mesh)
    optimizer = build(sharded.parameters(), SETTINGS["fixed decay"])
    before = [p.full_tensor().clone() for p in params_of(optimizer)]
    get_optimizer_state_dict(sharded, optimizer)
    assert all(map(torch.equal, (p.full_tensor() for p in params_of(optimizer)), before))
    assert len(optimizer.state) == 4


CHECKS = [
    check_fully_sharded_training,
    check_checkpoint_of_the_whole,
    check_uneven_shards_and_gradients_placed_otherwise,
    check_sharded_state_in_advance,
]


def main(rank: int, meeting: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    for check in CHECKS:
        check(mesh)
        sys.stdout.write(f"{check.__name__}\n")
    dist.barrier()
    dist.destroy_process_group()


def test_shards_train_as_the_whole(tmp_path: Path) -> None:
    for setting in SHARDED:
        if setting.get("fused"):  # the kernels, which the processes would compile side by side
            go_on(build([torch.ones(3, requires_grad=True)], setting), 0, 1)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, "-W", "error", "-m", "tests.adabelief.test_distributed"]
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(tmp_path / "meeting")],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        ends = [process.communicate(timeout=200) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (out, err) in zip(processes, ends, strict=True):
        assert process.returncode == 0, err
        lines = [line for line in out.splitlines() if not line.startswith("[Gloo]")]  # as of torch 2.9
        assert lines == [check.__name__ for check in CHECKS]


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])

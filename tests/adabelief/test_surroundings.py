"""The optimizer among its neighbours: gradient scaling, averaging, flat parameters, torch.compile."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
from torch.optim.swa_utils import SWALR, AveragedModel

from tests.builders.params import (
    DEVICES,
    FOREACH,
    FUSED,
    LOOP,
    PATHS,
    PLAIN_SETTINGS,
    SETTINGS,
    Setting,
    assert_close_after_one_step,
    assert_same_bits,
    build,
    go_on,
    make_params,
    noise,
    params_of,
    realign,
    states,
)

on_devices = pytest.mark.parametrize("device", DEVICES)
on_paths = pytest.mark.parametrize("path", PATHS)


def make_model(device: str = "cpu") -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).to(device)


def batch(t: int, device: str = "cpu") -> Tensor:
    return torch.randn(6, 3, generator=torch.Generator().manual_seed(t)).to(device)


def backward(model: nn.Module, t: int, device: str = "cpu") -> None:
    model(batch(t, device)).square().mean().backward()


@on_devices
@pytest.mark.parametrize("path", [*PATHS, pytest.param({"capturable": True}, id="capturable")])
def test_gradient_scaler_changes_nothing_but_skips_steps_that_overflow(device: str, path: Setting) -> None:
    scaled, plain = make_model(device), make_model(device)
    one, other = build(scaled.parameters(), path), build(plain.parameters(), path)
    scaler = torch.amp.GradScaler(device, init_scale=2.0**10, growth_interval=3)
    skipped = 0
    for t in range(9):
        one.zero_grad()
        other.zero_grad()
        scale = scaler.get_scale()
        overflows = t in (0, 4)
        loss = scaled(batch(t, device)).square().mean() * (torch.inf if overflows else 1)
        scaler.scale(loss).backward()
        before = copy.deepcopy([x for _, x in states(one)])
        scaler.step(one)
        scaler.update()
        if overflows:
            skipped += 1
            assert all(map(torch.equal, [x for _, x in states(one)], before))
            assert scaler.get_scale() == scale / 2
        else:
            backward(plain, t, device)
            other.step()
            # A scale is a power of two, so it leaves no trace.
            assert_same_bits(one, other)
    assert skipped == 2


@on_devices
@on_paths
def test_mixed_precision_trains(device: str, path: Setting) -> None:
    model = make_model(device)
    optimizer = build(model.parameters(), path, {"lr": 0.01})
    scaler = torch.amp.GradScaler(device, enabled=device != "cpu")
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        with torch.autocast(device, dtype=torch.bfloat16):
            loss = (model(batch(0, device)) - 1).square().mean()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


@on_paths
@pytest.mark.parametrize("setting", PLAIN_SETTINGS.values(), ids=PLAIN_SETTINGS)
def test_chained_schedules_give_the_rates_they_promise(path: Setting, setting: Setting) -> None:
    optimizer = build(make_params((3, 2)), setting, path, {"lr": 0.5})
    schedule = SequentialLR(
        optimizer, [LinearLR(optimizer, 0.1, total_iters=4), CosineAnnealingLR(optimizer, 6)], milestones=[4]
    )
    rates = []
    for t in range(10):
        go_on(optimizer, t, t + 1)
        rates.append(optimizer.param_groups[0]["lr"])
        schedule.step()
    assert rates[:5] == pytest.approx([0.05, 0.1625, 0.275, 0.3875, 0.5])
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[7] == pytest.approx(0.25)


@on_paths
def test_averaged_weights_are_the_mean_of_the_weights(path: Setting) -> None:
    model = make_model()
    optimizer = build(model.parameters(), path, {"lr": 0.1})
    schedule = SWALR(optimizer, swa_lr=0.01, anneal_epochs=2)
    averaged = AveragedModel(model)
    seen: list[list[Tensor]] = []
    for t in range(5):
        optimizer.zero_grad()
        backward(model, t)
        optimizer.step()
        schedule.step()
        averaged.update_parameters(model)
        seen.append([p.detach().clone() for p in model.parameters()])
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.01)
    for p, *values in zip(averaged.module.parameters(), *seen, strict=True):
        # The mean is kept as a running one: a rounding for each of five updates.
        torch.testing.assert_close(p.detach(), torch.stack(values).mean(0), rtol=1e-6, atol=1e-6)


@on_paths
def test_parameters_in_one_flat_buffer_stay_in_it(path: Setting) -> None:
    flat = torch.nn.utils.parameters_to_vector(make_model().parameters()).detach()
    model, apart = make_model(), make_model()
    torch.nn.utils.vector_to_parameters(flat, model.parameters())  # parameters are views of it now
    one, other = build(model.parameters(), path), build(apart.parameters(), path)
    for t in range(5):
        for m, optimizer in ((model, one), (apart, other)):
            optimizer.zero_grad()
            backward(m, t)
            optimizer.step()
    assert_same_bits(one, other)
    assert torch.equal(flat, torch.nn.utils.parameters_to_vector(apart.parameters()))


@on_paths
def test_gradients_in_one_flat_buffer_are_read_from_it(path: Setting) -> None:
    model, apart = make_model(), make_model()
    buffer = torch.zeros(sum(p.numel() for p in model.parameters()))
    offset = 0
    for p in model.parameters():
        p.grad = buffer[offset : offset + p.numel()].view_as(p)  # as in the buckets of data parallel training
        offset += p.numel()
    one, other = build(model.parameters(), path), build(apart.parameters(), path)
    for t in range(5):
        buffer.zero_()
        backward(model, t)
        one.step()
        other.zero_grad()
        backward(apart, t)
        other.step()
    assert buffer.any()
    assert_same_bits(one, other)


@on_paths
def test_tied_weights_take_one_step(path: Setting) -> None:
    first, second = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    first.weight = second.weight
    model = nn.Sequential(first, second)
    optimizer = build(model.parameters(), path)
    assert len(params_of(optimizer)) == 1
    model(torch.ones(4)).sum().backward()
    optimizer.step()
    assert first.weight is second.weight
    assert optimizer.state[first.weight]["step"].item() == 1


@on_paths
def test_parametrized_weights_train(path: Setting) -> None:
    model = weight_norm(nn.Linear(3, 1))
    optimizer = build(model.parameters(), path, {"lr": 0.05})
    first = model(batch(0)).square().mean().item()
    for _ in range(30):
        optimizer.zero_grad()
        backward(model, 0)
        optimizer.step()
    assert parametrize.is_parametrized(model)
    assert model(batch(0)).square().mean().item() < 0.5 * first


@on_paths
def test_parameters_of_a_type_of_their_own_keep_it(path: Setting) -> None:
    class Marked(torch.Tensor):
        pass

    shapes = (17,), (3, 2), ()
    params = [p.detach().as_subclass(Marked).requires_grad_() for p in make_params(*shapes)]
    one, other = build(params, path), build(make_params(*shapes), LOOP)
    for t in range(4):
        for i, (p, q) in enumerate(zip(params, params_of(other), strict=True)):
            p.grad = q.grad = noise(q, 10 * t + i)
        one.step()
        other.step()
    for p, q in zip(params, params_of(other), strict=True):
        assert type(p) is Marked
        assert torch.equal(p.as_subclass(torch.Tensor), q)


def test_many_models_may_train_as_one_stack() -> None:
    # As torch.func has it: parameters of several models stacked, called by vmap, and stepped as one.
    models = [make_model() for _ in range(3)]
    for i, model in enumerate(models):
        for p in model.parameters():
            p.data += 0.1 * i
    names = [name for name, _ in models[0].named_parameters()]
    stacked = {n: torch.stack([m.get_parameter(n).detach() for m in models]).requires_grad_() for n in names}
    one = build(stacked.values(), {"lr": 0.01})
    apart = [build(model.parameters(), {"lr": 0.01}) for model in models]
    template = copy.deepcopy(models[0])

    def call(weights: dict[str, Tensor], x: Tensor) -> Any:
        return functional_call(template, weights, (x,))

    for t in range(10):
        one.zero_grad()
        torch.vmap(call, in_dims=(0, None))(stacked, batch(t)).square().mean((1, 2)).sum().backward()
        for name in names:  # the same gradients, as a batched product rounds otherwise
            for model, g in zip(models, stacked[name].grad, strict=True):  # type: ignore[arg-type]
                model.get_parameter(name).grad = g.clone()
        one.step()
        for optimizer in apart:
            optimizer.step()
    for name, value in stacked.items():
        assert torch.equal(value, torch.stack([m.get_parameter(name) for m in models]))


# dynamo's own, on what it imports
quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")


@pytest.fixture
def dynamo() -> Iterator[Any]:
    import torch._dynamo
    import torch._dynamo.testing

    torch._dynamo.reset()
    yield torch._dynamo
    torch._dynamo.reset()


COMPILED = {
    **{name: SETTINGS[name] | LOOP for name in ("everything", "capturable, everything")},
    "tensor lr, foreach": SETTINGS["tensor lr, rectify"] | FOREACH,
    "tensor lr, fused": SETTINGS["tensor lr, rectify"] | FUSED,
    "tensor lr, torch's choice": SETTINGS["tensor lr"] | SETTINGS["fixed decay"],
}


@quiet
@pytest.mark.parametrize("setting", COMPILED.values(), ids=COMPILED)
def test_compiled_step_is_the_for_loop_and_compiled_once(dynamo: Any, setting: Setting) -> None:
    plain = {**setting, **LOOP, "fused": False, "capturable": False}
    one, other = build(make_params((3, 2)), setting), build(make_params((3, 2)), plain)
    backend = dynamo.testing.CompileCounter()
    step: Callable[[], object] = torch.compile(one.step, backend=backend)
    frames = []
    for t in range(10):
        for i, (p, q) in enumerate(zip(params_of(one), params_of(other), strict=True)):
            p.grad = q.grad = noise(q, 10 * t + i)
        if t > 4 and isinstance(one.param_groups[0]["lr"], Tensor):
            one.param_groups[0]["lr"].mul_(0.9)
            other.param_groups[0]["lr"].mul_(0.9)
        step()
        other.step()
        frames.append(backend.frame_count)
        # The scalars of a compiled step are tensors, as in a capturable one.
        assert_close_after_one_step(one, other, lr=float(setting.get("lr", 1e-3)))
        realign(one, other)
    assert frames[:3] == [1, 2, 2]  # the first step makes the state, the others find it
    assert frames[-1] == 2
    assert one.state[params_of(one)[0]]["step"].item() == 10


@quiet
def test_compiled_step_is_the_for_loop_through_the_compilers_autograd_too(dynamo: Any) -> None:
    del dynamo
    one, other = (build(make_params((17,), (3, 2)), {"rectify": True}, LOOP) for _ in range(2))
    step: Callable[[], object] = torch.compile(one.step, backend="aot_eager")
    for t in range(8):
        for i, (p, q) in enumerate(zip(params_of(one), params_of(other), strict=True)):
            p.grad = q.grad = noise(q, 10 * t + i)
        step()
        other.step()
        assert_close_after_one_step(one, other, lr=1e-3)
        realign(one, other)


@quiet
def test_compiled_training_step_with_its_backward_pass(dynamo: Any) -> None:
    del dynamo
    compiled, plain = make_model(), make_model()
    one, other = build(compiled.parameters()), build(plain.parameters())

    def train(model: nn.Module, optimizer: Any, x: Tensor) -> None:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    step = torch.compile(train, backend="eager")
    for t in range(4):
        step(compiled, one, batch(t))
        train(plain, other, batch(t))
        assert_close_after_one_step(one, other, lr=1e-3)
        realign(one, other)

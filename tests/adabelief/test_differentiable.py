"""differentiable=True: autograd passes through the step, to parameters, gradients and learning rate."""

import warnings

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from tests.builders.params import (
    LOOP,
    PLAIN_SETTINGS,
    Setting,
    assert_same_bits,
    build,
    go_on,
    make_params,
    noise,
    params_of,
)

STEPS = 3
# A tensor lr has a test of its own. Gradients of a size, an eps and an lr at which no curvature is extreme.
SETTINGS = {
    name: setting | {"lr": 0.05, "eps": 1e-2, "betas": (0.7, 0.9)}
    for name, setting in PLAIN_SETTINGS.items()
    if "tensor" not in name
}
DIFFERENTIABLE: Setting = {"differentiable": True}

with_settings = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)


def float64(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return noise(torch.empty(shape, dtype=dtype), seed).requires_grad_()


def unrolled(setting: Setting, theta: Tensor, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """theta and its moments after a step with each of the gradients."""
    p = theta.clone()
    optimizer = build([p], setting, DIFFERENTIABLE)
    if isinstance(setting["lr"], Tensor):
        optimizer.param_groups[0]["lr"] = setting["lr"]  # not a copy of it
    for g in gradients:
        p.grad = g
        optimizer.step()
    state = optimizer.state[p]
    return p, *(state[name] for name in state if name != "step")


@with_settings
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
def test_step_is_differentiable_in_parameter_and_gradients(setting: Setting, dtype: torch.dtype) -> None:
    inputs = [float64(3, seed=seed, dtype=dtype) for seed in range(STEPS + 1)]
    assert gradcheck(lambda theta, *g: unrolled(setting, theta, g), inputs)


@with_settings
def test_step_is_differentiable_in_the_learning_rate(setting: Setting) -> None:
    lr = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
    inputs = [lr, *(float64(3, seed=seed) for seed in range(STEPS + 1))]
    assert gradcheck(lambda lr, theta, *g: unrolled({**setting, "lr": lr}, theta, g), inputs)


def test_step_is_differentiable_twice() -> None:
    setting = SETTINGS["coupled decay"]
    lr = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
    inputs = [lr, *(float64(2, seed=seed) for seed in range(3))]
    assert gradgradcheck(lambda lr, theta, *g: unrolled({**setting, "lr": lr}, theta, g)[0], inputs)


def test_rectified_steps_are_differentiable_too() -> None:
    # At beta2 = .9 rho exceeds 5 from step 6 on.
    setting = SETTINGS["rectify, amsgrad"]
    lr = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
    inputs = [lr, *(float64(2, seed=seed) for seed in range(9))]
    assert gradcheck(lambda lr, theta, *g: unrolled({**setting, "lr": lr}, theta, g)[0], inputs)


def final_loss(lr: Tensor, setting: Setting, steps: int) -> Tensor:
    """The loss of a small network after training, as a function of the learning rate."""
    x, y = float64(8, 3, seed=50).detach(), float64(8, 1, seed=51).detach()
    weights = [float64(3, 4, seed=52).clone(), float64(4, 1, seed=53).clone()]

    def loss() -> Tensor:
        # Of copies, as the step writes into the weights, of which the way back needs these values.
        first, second = (p.clone() for p in weights)
        return ((x @ first).tanh() @ second - y).square().mean()

    optimizer = build(weights, setting, DIFFERENTIABLE)
    optimizer.param_groups[0]["lr"] = lr
    for _ in range(steps):
        gradients = torch.autograd.grad(loss(), weights, create_graph=True)
        for p, g in zip(weights, gradients, strict=True):
            p.grad = g
        optimizer.step()
    return loss()


@with_settings
def test_gradient_of_a_whole_training_by_the_learning_rate_is_its_slope(setting: Setting) -> None:
    lr = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(final_loss(lr, setting, 10), lr)
    h = 1e-6
    with torch.no_grad():
        at = torch.tensor([0.05 - h, 0.05 + h], dtype=torch.float64)
    low, high = (final_loss(value, setting, 10).item() for value in at)
    # Central differences: off by h^2 times the third derivative, and by 1e-16 / h of rounding.
    assert slope.item() == pytest.approx((high - low) / (2 * h), rel=1e-5, abs=1e-8)
    assert slope.item() != 0


def test_learning_rate_learns_by_its_gradient() -> None:
    lr = torch.tensor(0.02, dtype=torch.float64, requires_grad=True)
    outer = build([lr], {"lr": 0.005})
    losses = []
    for _ in range(15):
        outer.zero_grad()
        loss = final_loss(lr, {"eps": 1e-4}, 5)
        loss.backward()  # type: ignore[no-untyped-call]
        outer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


@with_settings
def test_values_are_those_of_the_plain_step(setting: Setting) -> None:
    shapes = (3, 2), (), (17,)
    plain = build(make_params(*shapes, dtype=torch.float64), setting, LOOP)
    leaves = make_params(*shapes, dtype=torch.float64)
    optimizer = build([p.clone() for p in leaves], setting, DIFFERENTIABLE)
    go_on(plain, 0, 9)
    go_on(optimizer, 0, 9)
    assert_same_bits(optimizer, plain)
    assert all(p.requires_grad and not p.is_leaf for p in params_of(optimizer))
    sum(p.sum() for p in params_of(optimizer)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in leaves)


def test_tensor_learning_rate_of_any_kind_gives_the_values_of_the_number() -> None:
    for setting in SETTINGS.values():
        results = [
            unrolled({**setting, "lr": lr}, float64(3), tuple(float64(3, seed=s) for s in range(1, 9)))
            for lr in (0.0625, torch.tensor(0.0625), torch.tensor([0.0625], requires_grad=True))
        ]
        for other in results[1:]:
            for x, y in zip(results[0], other, strict=True):
                # A float32 lr keeps all digits of 2**-4; a product rounds once more.
                torch.testing.assert_close(y, x, rtol=1e-14, atol=1e-14)


def test_step_of_a_leaf_is_refused_by_autograd() -> None:
    optimizer = build(make_params((3,)), DIFFERENTIABLE)
    with pytest.raises(RuntimeError, match="leaf"):
        go_on(optimizer, 0, 1)


def test_plain_step_records_nothing_and_takes_no_parameter_that_is_none() -> None:
    (p,) = make_params((3,))
    optimizer = build([p])
    with torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        go_on(optimizer, 0, 2)
    assert p.is_leaf
    assert p.grad_fn is None
    assert not any(x.requires_grad for x in optimizer.state[p].values())
    with pytest.raises(ValueError, match="non-leaf"):
        build([p * 2])

"""AdaGradNorm: its equations, what makes it differ from Adagrad, and the duties of a torch optimizer."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from adadagrad import AdaGradNorm

CURVATURES = torch.tensor([3.0, 0.2, 1.0, 0.5, 2.0], dtype=torch.float64)


def params_of(*starts: Tensor) -> list[nn.Parameter]:
    return [nn.Parameter(start.clone()) for start in starts]


def gradients(count: int, *shapes: tuple[int, ...], dtype: torch.dtype = torch.float64) -> list[list[Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [[torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes] for _ in range(count)]


def stepped(optimizer: torch.optim.Optimizer, params: list[nn.Parameter], steps: list[list[Tensor]]) -> None:
    for grads in steps:
        for param, grad in zip(params, grads, strict=True):
            param.grad = grad.clone()
        optimizer.step()


def test_the_sum_is_over_all_params_of_all_groups() -> None:
    params = params_of(torch.ones(2, 3).double(), torch.ones(4).double(), torch.ones(()).double())
    groups: list[dict[str, Any]] = [
        {"params": params[:1]},
        {"params": params[1:], "lr": 0.5, "weight_decay": 0.1},
    ]
    optimizer = AdaGradNorm(groups, lr=2.0, b0=0.3)
    expected, total = [param.detach().clone() for param in params], 0.3**2
    for grads in gradients(6, (2, 3), (4,), ()):
        stepped(optimizer, params, [grads])
        decayed = [
            grad + decay * param for grad, param, decay in zip(grads, expected, (0, 0.1, 0.1), strict=True)
        ]
        total += sum(float(grad.square().sum()) for grad in decayed)
        for param, grad, lr in zip(expected, decayed, (2.0, 0.5, 0.5), strict=True):
            param -= lr * grad / math.sqrt(total)
    for param, wanted in zip(params, expected, strict=True):
        torch.testing.assert_close(param.detach(), wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("b0", [0.1, 3.0])
def test_one_number_is_stepped_as_adagrad_does(b0: float) -> None:
    """Which adds its eps to the root; at 1e-10 beside sums of 1 it is a share of 1e-10."""
    steps = gradients(50, ())
    (mine,), (theirs,) = params_of(torch.ones(()).double()), params_of(torch.ones(()).double())
    stepped(AdaGradNorm([mine], lr=0.3, b0=b0, weight_decay=0.1), [mine], steps)
    adagrad = torch.optim.Adagrad([theirs], lr=0.3, weight_decay=0.1, initial_accumulator_value=b0**2)
    stepped(adagrad, [theirs], steps)
    torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-9)


def test_a_rotation_of_the_params_changes_nothing() -> None:
    """Adagrad, which has a sum for each entry, ends elsewhere."""
    rotation = torch.linalg.qr(gradients(1, (5, 5))[0][0]).Q

    def ends(kind: Any, turned: bool) -> Tensor:
        turn = rotation if turned else torch.eye(5).double()
        start = torch.linspace(-1, 2, 5, dtype=torch.float64)
        (param,) = params_of(turn @ start)
        optimizer = kind([param], lr=0.3)
        for _ in range(20):
            param.grad = turn @ (CURVATURES * (turn.T @ param.detach()))
            optimizer.step()
        return turn.T @ param.detach()

    torch.testing.assert_close(ends(AdaGradNorm, True), ends(AdaGradNorm, False), rtol=1e-11, atol=1e-12)
    apart = (ends(torch.optim.Adagrad, True) - ends(torch.optim.Adagrad, False)).abs().max()
    assert apart > 0.01


@pytest.mark.parametrize(("b0", "travel"), [(0.0, 61.801), (0.1, 61.788)])
def test_it_travels_as_the_sum_of_the_inverse_roots(b0: float, travel: float) -> None:
    """Under a gradient of 1 by lr times the sum of 1 / sqrt(b0^2 + j): each of 1,000 sums in float32 rounds
    by at most 2**-24 of about 60."""
    exact = sum(1 / math.sqrt(b0**2 + j) for j in range(1, 1001))
    assert exact == pytest.approx(travel, abs=5e-4)
    (param,) = params_of(torch.zeros(()))
    stepped(AdaGradNorm([param], lr=1.0, b0=b0), [param], [[torch.ones(())]] * 1000)
    assert -param.item() == pytest.approx(exact, abs=1000 * 60 * 2**-24)


def test_from_a_start_of_0_the_first_step_is_lr_long_and_none_is_nan() -> None:
    (param,) = params_of(torch.zeros(3))
    optimizer = AdaGradNorm([param], lr=0.5, b0=0.0)
    stepped(optimizer, [param], [[torch.zeros(3)]])
    assert torch.equal(param.detach(), torch.zeros(3))
    stepped(optimizer, [param], [[torch.tensor([3.0, 0.0, 4.0]) * 1e-12]])
    torch.testing.assert_close(param.detach(), torch.tensor([-0.3, 0.0, -0.4]))


def test_to_ascend_is_to_descend_the_negative() -> None:
    (up,), (down,) = params_of(torch.ones(3).double()), params_of(torch.ones(3).double())
    steps = gradients(5, (3,))
    stepped(AdaGradNorm([up], maximize=True, weight_decay=0.1), [up], steps)
    stepped(AdaGradNorm([down], weight_decay=0.1), [down], [[-one] for (one,) in steps])
    assert torch.equal(up, down)


def test_gradients_are_left_as_they_are() -> None:
    (param,) = params_of(torch.ones(3))
    param.grad = torch.full((3,), 0.5)
    AdaGradNorm([param], weight_decay=0.1).step()
    assert torch.equal(param.grad, torch.full((3,), 0.5))


def test_a_param_without_a_gradient_stays() -> None:
    kept, moved = params_of(torch.ones(3), torch.ones(2))
    optimizer = AdaGradNorm([kept, moved])
    optimizer.step()  # nothing to do at all
    moved.grad = torch.ones(2)
    optimizer.step()
    assert torch.equal(kept.detach(), torch.ones(3))
    assert not torch.equal(moved.detach(), torch.ones(2))


def test_a_closure_is_called_with_gradients_on() -> None:
    (param,) = params_of(torch.ones(2))
    optimizer = AdaGradNorm([param])

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = param.square().sum()
        torch.autograd.backward(loss)
        return loss

    assert optimizer.step(closure).item() == 2.0
    assert not torch.equal(param.detach(), torch.ones(2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_saved_state_goes_on_to_the_bit(dtype: torch.dtype) -> None:
    """Its sum keeps the precision that it had, even where the params have less."""
    steps = gradients(8, (3, 2), (4,), dtype=dtype)
    whole = params_of(torch.ones(3, 2).to(dtype), torch.ones(4).to(dtype))
    optimizer = AdaGradNorm(whole, lr=0.3, b0=0.2)
    stepped(optimizer, whole, steps[:4])
    saved, later = copy.deepcopy(optimizer.state_dict()), params_of(*(one.detach() for one in whole))
    other = AdaGradNorm(later)
    other.load_state_dict(saved)
    cloned = copy.deepcopy(optimizer)
    stepped(optimizer, whole, steps[4:])
    stepped(other, later, steps[4:])
    again: list[nn.Parameter] = cloned.param_groups[0]["params"]
    stepped(cloned, again, steps[4:])
    for left, middle, right in zip(whole, later, again, strict=True):
        assert torch.equal(left, middle)
        assert torch.equal(left, right)
    wide = torch.promote_types(dtype, torch.float32)
    assert other.state[later[0]]["sum_of_squares"].dtype == wide


def test_squares_of_half_precision_do_not_overflow() -> None:
    (param,) = params_of(torch.zeros(2, dtype=torch.float16))
    stepped(AdaGradNorm([param], lr=1.0), [param], [[torch.tensor([3e4, 4e4], dtype=torch.float16)]])
    torch.testing.assert_close(param.detach().float(), torch.tensor([-0.6, -0.8]), rtol=1e-3, atol=0)


def test_params_of_several_dtypes_share_the_sum() -> None:
    half, double = params_of(torch.zeros(1, dtype=torch.bfloat16), torch.zeros(1, dtype=torch.float64))
    optimizer = AdaGradNorm([half, double], b0=0.0)
    half.grad, double.grad = torch.ones_like(half), torch.ones_like(double)
    optimizer.step()
    assert double.item() == pytest.approx(-1 / math.sqrt(2), rel=1e-15)


@pytest.mark.parametrize(
    ("name", "value"),
    [("lr", -1.0), ("lr", math.nan), ("b0", -0.1), ("b0", math.inf), ("weight_decay", -1e-3)],
)
def test_what_is_out_of_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 0 and finite, got {value}"):
        AdaGradNorm(params_of(torch.ones(2)), **{name: value})  # type: ignore[arg-type]


def test_groups_have_one_start() -> None:
    first, second = params_of(torch.ones(2), torch.ones(2))
    optimizer = AdaGradNorm([first], b0=0.1)
    with pytest.raises(ValueError, match="one number for all groups"):
        optimizer.add_param_group({"params": [second], "b0": 0.2})
    assert len(optimizer.param_groups) == 1


def test_complex_params_and_sparse_gradients_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="view_as_real"):
        AdaGradNorm(params_of(torch.ones(2, dtype=torch.complex64)))
    (param,) = params_of(torch.ones(2))
    param.grad = torch.ones(2).to_sparse()
    with pytest.raises(RuntimeError, match="sparse=False"):
        AdaGradNorm([param]).step()


class NoReading(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses to read a value out of a tensor, which would wait for the device."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert "_local_scalar_dense" not in str(function)
        return function(*args, **(kwargs or {}))


def test_a_step_reads_no_value_of_the_device() -> None:
    params = params_of(torch.ones(3), torch.ones(2, 2))
    optimizer = AdaGradNorm(params, lr=torch.tensor(0.1), weight_decay=0.1)
    with NoReading():  # type: ignore[no-untyped-call]
        stepped(optimizer, params, gradients(3, (3,), (2, 2), dtype=torch.float32))
    with pytest.raises(AssertionError), NoReading():  # type: ignore[no-untyped-call]
        params[0].sum().item()

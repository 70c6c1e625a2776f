"""What holds for every setting: symmetries, and features that equal doing the same by hand."""

from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from adabelief import AdaBelief

STEPS = 12  # enough for both branches of rectify at the betas below

# Example times depend on what else the machine does, so there is no deadline.
fast = settings(max_examples=15, deadline=None)

seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from([torch.float32, torch.float64])
flags = ("decoupled_weight_decay", "fixed_decay", "rectify", "amsgrad", "maximize")
any_setting = st.fixed_dictionaries(
    {
        "lr": st.floats(1e-5, 1.0),
        "betas": st.tuples(st.floats(0.1, 0.99), st.floats(0.0, 0.999)),
        "eps": st.sampled_from([1e-16, 1e-8, 1e-2]),
        "weight_decay": st.sampled_from([0.0, 1e-4, 0.5]),
        **{flag: st.booleans() for flag in flags},
    }
)


def draw(seed: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, list[Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn((STEPS + 1, 3, 5), generator=generator, dtype=torch.float64).to(dtype)
    return values[0], list(values[1:])


def train(theta: Tensor, gradients: list[Tensor], **setting: Any) -> Tensor:
    p = theta.clone().requires_grad_()
    optimizer = AdaBelief([p], **setting)
    for g in gradients:
        p.grad = g
        optimizer.step()
    return p.detach()


@fast
@given(seeds, dtypes, any_setting, st.integers(-12, 12))
def test_scale_of_the_gradient_does_not_matter(
    seed: int, dtype: torch.dtype, setting: dict[str, Any], k: int
) -> None:
    # Exact for powers of two, without what has a scale of its own: eps, coupled decay, the SGD of rectify.
    setting |= {"eps": 0.0, "decoupled_weight_decay": True, "rectify": False}
    theta, gradients = draw(seed, dtype)
    scaled = [g * 2.0**k for g in gradients]
    assert torch.equal(train(theta, gradients, **setting), train(theta, scaled, **setting))


@fast
@given(seeds, dtypes, any_setting)
def test_mirrored_run_is_the_mirror_image(seed: int, dtype: torch.dtype, setting: dict[str, Any]) -> None:
    theta, gradients = draw(seed, dtype)
    mirrored = train(-theta, [-g for g in gradients], **setting)
    assert torch.equal(train(theta, gradients, **setting), -mirrored)


@fast
@given(seeds, dtypes, any_setting)
def test_maximize_is_minimize_with_negated_gradients(
    seed: int, dtype: torch.dtype, setting: dict[str, Any]
) -> None:
    theta, gradients = draw(seed, dtype)
    ascended = train(theta, gradients, **setting | {"maximize": True})
    descended = train(theta, [-g for g in gradients], **setting | {"maximize": False})
    assert torch.equal(ascended, descended)


@fast
@given(seeds, dtypes, any_setting)
def test_decay_is_what_one_would_do_by_hand(seed: int, dtype: torch.dtype, setting: dict[str, Any]) -> None:
    theta, gradients = draw(seed, dtype)
    lr, decay = setting["lr"], setting.pop("weight_decay")
    shrink = 1 - decay if setting["fixed_decay"] else 1 - lr * decay
    sign = -1 if setting["maximize"] else 1
    p = theta.clone().requires_grad_()
    optimizer = AdaBelief([p], **setting)
    for g in gradients:
        if setting["decoupled_weight_decay"]:
            p.data.mul_(shrink)
            p.grad = g
        else:
            p.grad = g.add(p.detach(), alpha=sign * decay)
        optimizer.step()
    assert torch.equal(train(theta, gradients, weight_decay=decay, **setting), p.detach())


@fast
@given(seeds, dtypes, any_setting, any_setting)
def test_each_group_has_settings_of_its_own(
    seed: int, dtype: torch.dtype, one: dict[str, Any], other: dict[str, Any]
) -> None:
    theta, gradients = draw(seed, dtype)
    p, q, late = (theta.clone().requires_grad_() for _ in range(3))
    optimizer = AdaBelief([{"params": [p], **one}, {"params": [q], **other}])
    optimizer.add_param_group({"params": [late], **other})
    for g in gradients:
        p.grad = q.grad = late.grad = g
        optimizer.step()
    assert torch.equal(p, train(theta, gradients, **one))
    assert torch.equal(q, train(theta, gradients, **other))
    assert torch.equal(late, q)


@fast
@given(seeds, any_setting)
def test_pieces_train_as_the_whole(seed: int, setting: dict[str, Any]) -> None:
    theta, gradients = draw(seed)
    pieces = [theta[0].clone().requires_grad_(), theta[1:].clone().requires_grad_()]
    optimizer = AdaBelief(pieces, **setting)
    for g in gradients:
        pieces[0].grad, pieces[1].grad = g[0], g[1:]
        optimizer.step()
    whole = train(theta, gradients, **setting)
    # A kernel may round the tail of a vector otherwise than its body, and such a last digit may be amplified.
    torch.testing.assert_close(torch.cat([pieces[0][None], pieces[1]]), whole, rtol=1e-10, atol=1e-10)


@fast
@given(seeds, dtypes, any_setting, st.integers(0, STEPS))
def test_learning_rate_zero_keeps_every_bit_but_still_learns_the_moments(
    seed: int, dtype: torch.dtype, setting: dict[str, Any], zeros: int
) -> None:
    theta, gradients = draw(seed, dtype)
    theta[0, 0] = -0.0
    p = theta.clone().requires_grad_()
    optimizer = AdaBelief([p], **setting | {"lr": 0.0, "eps": 0.0})
    for i, g in enumerate(gradients):
        p.grad = g * (i >= zeros)  # at zero gradients and eps = 0 the step itself would be 0 / 0
        optimizer.step()
    assert torch.equal(p.detach(), theta)
    assert torch.equal(p.detach().signbit(), theta.signbit())
    assert optimizer.state[p]["step"].item() == STEPS
    assert bool(optimizer.state[p]["exp_avg"].any()) == (
        zeros < STEPS or (setting["weight_decay"] > 0 and not setting["decoupled_weight_decay"])
    )


@fast
@given(seeds, dtypes, any_setting)
def test_zero_gradients_move_nothing(seed: int, dtype: torch.dtype, setting: dict[str, Any]) -> None:
    theta, gradients = draw(seed, dtype)
    zeros = [torch.zeros_like(g) for g in gradients]
    assert torch.equal(train(theta, zeros, **setting | {"weight_decay": 0.0}), theta)


@fast
@given(seeds, any_setting)
def test_no_gradient_leaves_parameter_and_state_alone(seed: int, setting: dict[str, Any]) -> None:
    theta, gradients = draw(seed)
    p, never = theta.clone().requires_grad_(), theta.clone().requires_grad_()
    optimizer = AdaBelief([p, never], **setting)
    for g in gradients:
        p.grad = g
        optimizer.step()
        p.grad = None
        optimizer.step()
    assert torch.equal(p.detach(), train(theta, gradients, **setting))
    assert optimizer.state[p]["step"].item() == STEPS
    assert torch.equal(never.detach(), theta)
    assert never not in optimizer.state

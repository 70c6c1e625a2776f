"""Where one optimizer is another: the classes that the catalog names, held against each other."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from whichopt.service.catalog.optimizers import optimizer
from whichopt.workers.engine import optimizers

STEPS = 30


def gradients(count: int = STEPS, *, size: float = 1.0) -> list[list[Tensor]]:
    """Of a matrix and a vector, noise about a mean that is not 0, in float64."""
    generator = torch.Generator().manual_seed(3)
    shapes = ((4, 3), (5,))
    return [
        [size * (0.3 + torch.randn(shape, generator=generator, dtype=torch.float64)) for shape in shapes]
        for _ in range(count)
    ]


def started() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(4)
    return [
        nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64)) for shape in ((4, 3), (5,))
    ]


def path(name: str, steps: list[list[Tensor]], **changed: Any) -> list[Tensor]:
    """All params, joined, after each step of the catalog's optimizer with its default and these changes."""
    params = started()
    made = optimizers.build(name, {**optimizer(name).default, **changed}, params)
    places = []
    for grads in steps:
        for param, grad in zip(params, grads, strict=True):
            param.grad = grad.clone()
        made.step()
        places.append(torch.cat([param.detach().flatten() for param in params]))
    return places


def same(ours: list[Tensor], theirs: list[Tensor], *, rtol: float, atol: float) -> None:
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=rtol, atol=atol)


SHARED: dict[str, Any] = {"lr": 1e-2, "beta1": 0.8, "beta2": 0.95}
ROUNDING: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-12}
"""Of tens of steps in float64, each by some operations of 1e-16."""


def test_qhadam_of_nothing_but_averages_is_adam() -> None:
    """It keeps the weights of its averages in float32, which rounds by 6e-8."""
    steps = gradients()
    ours = path("qhadam", steps, **SHARED, eps=1e-8, nu1=1.0, nu2=1.0, weight_decay=1e-2)
    same(ours, path("adam", steps, **SHARED, eps=1e-8, weight_decay=1e-2), rtol=1e-6, atol=1e-7)


def after(name: str, steps: list[list[Tensor]], *, at: int | None = None, **changed: Any) -> Tensor:
    """The last step of a run, which NAdam takes as if it were step `at`."""
    params = started()
    made = optimizers.build(name, {**optimizer(name).default, **changed}, params)
    for number, grads in enumerate(steps, start=1):
        before = torch.cat([param.detach().flatten() for param in params])
        for param, grad in zip(params, grads, strict=True):
            param.grad = grad.clone()
            if at is not None and number == len(steps):
                made.state[param]["step"].fill_(at - 1)
                made.state[param]["mu_product"].fill_(0.0)
        made.step()
    return torch.cat([param.detach().flatten() for param in params]) - before


def test_nadam_is_qhadam_with_nu1_at_beta1_once_its_momentum_has_risen() -> None:
    """torch's NAdam takes the momentum of a step as beta1 (1 - 0.96^(0.004 t) / 2): after 40,000 steps that
    is beta1 within a thousandth."""
    assert 0.96 ** (0.004 * 40_000) / 2 < 1e-3
    steps = gradients(300)  # 0.95^300 of the squares' correction is left: 2e-7
    ours = after("nadam", steps, at=40_000, **SHARED)
    theirs = after("qhadam", steps, **SHARED, nu1=SHARED["beta1"], nu2=1.0)
    torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=2e-3 * SHARED["lr"])


def test_lamb_with_a_trust_ratio_of_1_is_adamw_once_its_averages_have_settled() -> None:
    """It corrects the mean alone, and the decay with it; 0.95^300 of that is left: 2e-7. What the decay adds
    depends on where the params have come: a share of 1e-4 of them, beside steps of 1e-2."""
    steps = gradients(300)
    shared: dict[str, Any] = {"lr": 1e-2, "betas": (0.8, 0.95), "eps": 1e-12, "weight_decay": 1e-2}
    kinds: dict[str, dict[str, Any]] = {
        optimizer("lamb").build.target: {**optimizer("lamb").build.fixed, "adam": True},
        optimizer("adamw").build.target: {},
    }
    moves = []
    for target, fixed in kinds.items():
        params = started()
        made: Any = optimizers.optimizer_class(target)(params, **shared, **fixed)
        for grads in steps:
            before = torch.cat([param.detach().flatten() for param in params])
            for param, grad in zip(params, grads, strict=True):
                param.grad = grad.clone()
            made.step()
        moves.append(torch.cat([param.detach().flatten() for param in params]) - before)
    torch.testing.assert_close(*moves, rtol=1e-4, atol=1e-4)


def test_padam_at_a_half_is_adam_but_for_the_place_of_eps() -> None:
    """Which it adds before the squares are corrected."""
    steps = gradients()
    ours = path("padam", steps, **SHARED, eps=1e-30, partial=0.5, weight_decay=1e-2)
    same(ours, path("adam", steps, **SHARED, eps=1e-30, weight_decay=1e-2), **ROUNDING)


def test_padam_near_0_is_sgd_with_an_average_for_momentum() -> None:
    """Its denominators are then 1: with p at 1e-3, entries of 1e-2 to 1e2 make one within 1% of that. Its
    average is (1 - beta1) times SGD's sum, and corrected at the start."""
    steps = gradients(120)
    ours = path("padam", steps, lr=1e-2, beta1=0.8, beta2=0.95, eps=1e-8, partial=1e-3)
    theirs = path("sgd", steps, lr=1e-2 * 0.2, momentum=0.8)
    # 0.95^80, what is left of the correction of the squares, is 2%.
    moved, wanted = ours[-1] - ours[-40], theirs[-1] - theirs[-40]
    torch.testing.assert_close(moved, wanted, rtol=0.02, atol=0.02 * float(wanted.abs().max()))


def test_adabound_with_bounds_wide_open_is_adam() -> None:
    """At a small gamma t the lower bound is about 0 and the upper one above every step size. The class adds
    1e-15 to the squares."""
    steps = gradients()
    shared = {**SHARED, "eps": 1e-30, "weight_decay": 1e-2}
    ours = path("adabound", steps, **shared, gamma=1e-12, final_lr=0.1)
    same(ours, path("adam", steps, **shared), rtol=1e-7, atol=1e-9)


def test_adabound_ends_as_sgd_with_momentum() -> None:
    """With gamma t far above 1 both bounds are final_lr."""
    steps = gradients()
    ours = path("adabound", steps, **SHARED, gamma=1.0, final_lr=0.05, eps=1e-8)
    momentum = SHARED["beta1"]
    theirs = path("sgd", steps, lr=0.05 * (1 - momentum), momentum=momentum)
    moved, wanted = ours[-1] - ours[-2], theirs[-1] - theirs[-2]
    # At step 30 the bounds are within 1 / 31 of final_lr.
    torch.testing.assert_close(moved, wanted, rtol=1 / 30 + 1e-9, atol=0)


def test_yogis_first_step_is_adams_from_a_start_that_is_not_0() -> None:
    """v is then 1e-6 plus (1 - beta2) g^2, and m is 1e-6 beta1 plus (1 - beta1) g; both are corrected."""
    (grads,) = gradients(1)
    (place,) = path("yogi", [grads], **SHARED, eps=1e-3)
    g, start = torch.cat([one.flatten() for one in grads]), torch.cat([one.flatten() for one in started()])
    v = (1e-6 + 0.05 * g.square()) / 0.05
    m = (0.8 * 1e-6 + 0.2 * g) / 0.2
    torch.testing.assert_close(place, start - 1e-2 * m / (v.sqrt() + 1e-3), **ROUNDING)


def test_yogi_forgets_a_large_gradient_more_slowly_than_adam() -> None:
    """100 small gradients after a large one: Adam's step is back, Yogi's is not."""
    large = [[torch.full((4, 3), 10.0).double(), torch.full((5,), 10.0).double()]]
    small = [[torch.full((4, 3), 0.1).double(), torch.full((5,), 0.1).double()]] * 100
    lengths = {}
    for name in ("yogi", "adam"):
        places = path(name, large + small, **SHARED, eps=1e-8)
        lengths[name] = float((places[-1] - places[-2]).abs().mean())
    assert lengths["yogi"] < 0.2 * lengths["adam"]


def test_every_step_of_lion_is_a_sign() -> None:
    for before, now in pairwise(path("lion", gradients(), lr=1e-3, weight_decay=0.0)):
        torch.testing.assert_close((now - before).abs(), torch.full_like(now, 1e-3), rtol=1e-10, atol=0)


def test_lion_without_averages_is_the_sign_of_the_gradient() -> None:
    (grads,) = gradients(1)
    (place,) = path("lion", [grads], lr=1e-3, weight_decay=0.0)
    g, start = torch.cat([one.flatten() for one in grads]), torch.cat([one.flatten() for one in started()])
    torch.testing.assert_close(place, start - 1e-3 * g.sign(), **ROUNDING)


def test_adan_under_one_gradient_is_adam() -> None:
    """Its differences are 0 then, and its averages those of Adam with beta3 in the place of beta2."""
    steps = gradients(1) * STEPS
    ours = path("adan", steps, lr=1e-2, beta1=0.8, beta2=0.9, beta3=0.95, eps=1e-8, weight_decay=0.0)
    same(ours, path("adam", steps, **SHARED, eps=1e-8), **ROUNDING)


def test_adopt_without_averages_divides_by_the_gradient_before() -> None:
    """With beta1 = beta2 = 0: the step is lr times the quotient of the last two, clipped at t^(1/4)."""
    steps = gradients(8)
    places = path("adopt", steps, lr=1e-2, beta1=0.0, beta2=0.0, eps=1e-6)
    flat = [torch.cat([one.flatten() for one in grads]) for grads in steps]
    start = torch.cat([one.detach().flatten() for one in started()])
    assert torch.equal(places[0], start)
    for t, (before, now) in enumerate(pairwise(flat), start=2):
        moved = places[t - 2] - places[t - 1]
        clip = t**0.25
        torch.testing.assert_close(moved, 1e-2 * (now / before.abs()).clamp(-clip, clip), **ROUNDING)


def test_soap_without_matrices_is_adam_one_step_late() -> None:
    """Of vectors it has no preconditioner; its first step only begins, and its eps is not corrected."""
    steps = [[grads[1]] for grads in gradients()]

    def ends(name: str, used: list[list[Tensor]], **changed: Any) -> Tensor:
        param = nn.Parameter(torch.ones(5, dtype=torch.float64))
        made = optimizers.build(name, {**optimizer(name).default, **SHARED, **changed}, [param])
        for (grad,) in used:
            param.grad = grad.clone()
            made.step()
        return param.detach()

    ours = ends("soap", steps, eps=1e-30, weight_decay=0.0)
    torch.testing.assert_close(ours, ends("adam", steps[1:], eps=1e-30), **ROUNDING)


def test_prodigys_learning_rate_grows_until_it_is_of_the_distances_size() -> None:
    """From 1e-6 to some share of the way to the minimum, whatever the size of the gradient."""
    for scale in (1e-2, 1e2):
        param = nn.Parameter(torch.full((20,), 3.0))
        made = optimizers.build("prodigy", optimizer("prodigy").default, [param])
        for _ in range(300):
            param.grad = scale * param.detach().sign()
            made.step()
        found = made.param_groups[0]["d"]
        assert 0.01 < found < float(torch.full((20,), 3.0).norm())


def test_schedule_free_sgd_trains_between_plain_sgd_and_the_mean_of_its_path() -> None:
    """z is plain SGD's path, as these gradients do not depend on the params, and its mean is evaluated."""
    steps = gradients()
    config = {"lr": 0.1, "momentum": 0.7, "weight_decay": 0.0, "warmup_steps": 0}
    fast = path("sgd", steps, lr=0.1, momentum=0.0, nesterov=False, weight_decay=0.0)
    mean = torch.stack(fast).mean(dim=0)
    params = started()
    made: Any = optimizers.build("schedulefree_sgd", config, params)
    made.train()
    for grads in steps:
        for param, grad in zip(params, grads, strict=True):
            param.grad = grad.clone()
        made.step()
    trained = torch.cat([param.detach().flatten() for param in params])
    torch.testing.assert_close(trained, 0.3 * fast[-1] + 0.7 * mean, **ROUNDING)
    made.eval()
    evaluated = torch.cat([param.detach().flatten() for param in params])
    torch.testing.assert_close(evaluated, mean, **ROUNDING)


def test_fromage_at_a_share_of_lr_turns_and_keeps_the_length() -> None:
    """A gradient at right angles to the params leaves their norm: (1 + lr^2) / (1 + lr^2)."""
    param = nn.Parameter(torch.tensor([3.0, 0.0], dtype=torch.float64))
    made = optimizers.build("fromage", {"lr": 0.3}, [param])
    param.grad = torch.tensor([0.0, 8.0], dtype=torch.float64)
    made.step()
    torch.testing.assert_close(
        param.detach(), 3 / (1 + 0.3**2) ** 0.5 * torch.tensor([1.0, -0.3], dtype=torch.float64)
    )
    assert param.detach().norm().item() == pytest.approx(3.0, rel=1e-12)


def test_msvag_without_noise_is_sgd_with_an_average_for_momentum() -> None:
    """Under one gradient the variance is 0 and nothing is shortened; the average is corrected."""
    steps = gradients(1) * 12
    places = path("msvag", steps, lr=1e-2, beta=0.9)
    g = torch.cat([one.flatten() for one in steps[0]])
    start = torch.cat([one.detach().flatten() for one in started()])
    # What rounding leaves of a variance is 1e-16 of the square, times r / (1 - r), at most 1e4.
    torch.testing.assert_close(places[-1], start - 12 * 1e-2 * g, rtol=1e-9, atol=1e-9)


def test_adamax_under_one_gradient_steps_by_lr() -> None:
    steps = gradients(1) * 6
    places = path("adamax", steps, lr=1e-2, beta1=0.9, beta2=0.999, eps=1e-12)
    g = torch.cat([one.flatten() for one in steps[0]])
    start = torch.cat([one.detach().flatten() for one in started()])
    # |g| + eps is the larger one at every step: eps, 1e-12, beside entries of 1e-2 and more.
    torch.testing.assert_close(places[-1], start - 6e-2 * g.sign(), rtol=1e-8, atol=1e-9)


def test_adadelta_does_not_see_the_units_of_the_loss() -> None:
    """At an eps far below the gradients' squares, a loss ten times as large makes the same steps."""
    shared = {"lr": 1.0, "rho": 0.9, "eps": 1e-20, "weight_decay": 0.0}
    ours, theirs = (path("adadelta", gradients(size=size), **shared) for size in (1.0, 10.0))
    start = torch.cat([one.detach().flatten() for one in started()])
    torch.testing.assert_close(ours[-1] - start, theirs[-1] - start, rtol=1e-6, atol=0)

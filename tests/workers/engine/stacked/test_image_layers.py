"""Image layers of a stack: each network gets what it would get alone, and the same bits in any company."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from whichopt.workers.engine.stacked import image_layers
from whichopt.workers.engine.stacked.image_layers import IMAGE_LAYERS
from whichopt.workers.engine.stacked.layers import LAYERS, Layer

COMPANIES = ((3, 0), (0, 3), (0, 1, 2, 3, 4), tuple(range(16)), tuple(reversed(range(33))))
"""Which of 33 networks share a stack."""


@dataclass(frozen=True)
class Case:
    """`pixels` are (batch, height, width)."""

    channels: int
    outputs: int
    pixels: tuple[int, int, int]
    kernel: Any = 3
    stride: Any = 1
    padding: Any = 1
    bias: bool = True

    def module(self, dtype: torch.dtype = torch.float32) -> nn.Conv2d:
        return nn.Conv2d(
            self.channels, self.outputs, self.kernel, self.stride, self.padding, bias=self.bias, dtype=dtype
        )

    def inputs(self, n: int, dtype: torch.dtype = torch.float32) -> Tensor:
        batch, *size = self.pixels
        return torch.randn(n, batch, self.channels, *size, dtype=dtype)


CASES = (
    Case(1, 16, (32, 8, 8)),
    Case(16, 32, (32, 4, 4)),
    Case(16, 32, (13, 4, 4), bias=False),
    Case(3, 5, (7, 5, 9)),
    Case(6, 1, (3, 7, 5)),
    Case(1, 1, (1, 8, 8)),
    Case(1, 3, (5, 4, 6), kernel=1, padding=0),
    Case(8, 4, (4, 6, 5), kernel=1, padding=0, bias=False),
    Case(6, 4, (5, 9, 8), stride=2),
    Case(2, 7, (5, 9, 8), stride=(2, 3), padding=(0, 1)),
    Case(4, 3, (6, 7, 11), kernel=(2, 5), padding=(1, 2)),
    Case(5, 3, (2, 6, 6), kernel=5, stride=(1, 2), padding=(3, 0), bias=False),
    Case(8, 8, (17, 2, 1)),
    Case(8, 8, (4, 3, 3), kernel=3, padding=0),
    # Products with a vector, by another kernel where there is one of them only; two networks fit a chunk.
    Case(17, 1, (16, 5, 8), kernel=(3, 2), stride=(1, 2), padding=0),
    # torch 2.13's own kernel, told that the one channel comes last, leaves the outputs unwritten.
    Case(1, 3, (16, 4, 1), kernel=(1, 2), stride=(1, 2), padding=(0, 1)),
    Case(2, 1, (16, 4, 1), kernel=(1, 2), stride=(1, 2), padding=(0, 1)),
)


@pytest.fixture(params=["columns", "each"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of a convolution, whatever its size; and few networks to a chunk."""
    monkeypatch.setattr(image_layers, "MANY_PRODUCTS", math.inf if request.param == "columns" else 0)
    monkeypatch.setattr(image_layers, "CHUNK_BYTES", {"cpu": 1 << 17})


def layer_of(module: nn.Module) -> Layer:
    layer = {**LAYERS, **IMAGE_LAYERS}[type(module)](module)
    assert layer is not None
    return layer


def randomly(shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """Values around one, of either sign, whole in quarters: there are ties and zeros among them."""
    return torch.randn(*shape, dtype=dtype).mul(4).round().div(4)


def stacked(module: nn.Module, n: int) -> list[Tensor]:
    """Params of n networks."""
    return [torch.randn(n, *p.shape, dtype=p.dtype) * 0.5 for p in module.parameters()]


def through(
    chain: Sequence[Layer], params: Sequence[Sequence[Tensor]], x: Tensor, g: Tensor, further: bool = True
) -> tuple[Tensor, Tensor | None, list[Tensor]]:
    """Outputs, gradient of the inputs, and gradients of the params, from the gradient of the outputs."""
    left, grads = [], [[torch.full(p.shape, math.nan, dtype=p.dtype) for p in own] for own in params]
    for layer, own in zip(chain, params, strict=True):
        x, kept = layer.forward(x, own, None)
        left.append(kept)
    assert x.shape == g.shape
    below: Tensor | None = g.clone()
    for i in reversed(range(len(chain))):
        assert below is not None
        below = chain[i].backward(below, left[i], params[i], grads[i], further or i > 0)
    return x, below, [grad for own in grads for grad in own]


def alone(
    module: nn.Module, params: Sequence[Tensor], x: Tensor, g: Tensor
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """The same of one network, by autograd."""
    own = dict(zip((name for name, _ in module.named_parameters()), params, strict=True))
    leaves = {name: p.clone().requires_grad_() for name, p in own.items()}
    x = x.clone().requires_grad_()
    y = torch.func.functional_call(module, leaves, (x,))
    below, *grads = torch.autograd.grad(y, [x, *leaves.values()], g)
    return y.detach(), below, list(grads)


def agree(module: nn.Module, x: Tensor, sums: int, shape: Sequence[int]) -> None:
    """The stack of a module (or a sequence of them) with each network alone.

    The order of a sum may differ: k terms of about one err by less than k times their precision.
    """
    parts = list(module) if isinstance(module, nn.Sequential) else [module]
    n, params = len(x), [stacked(part, len(x)) for part in parts]
    g = randomly((n, *shape), x.dtype)
    y, below, grads = through([layer_of(part) for part in parts], params, x, g)
    flat = [p for own in params for p in own]
    for i in range(n):
        found = (y[i], below[i] if below is not None else None, [grad[i] for grad in grads])
        expected = alone(module, [p[i] for p in flat], x[i], g[i])
        torch.testing.assert_close(found, expected, rtol=0, atol=sums * torch.finfo(x.dtype).eps)


def outputs(module: nn.Module, x: Tensor) -> tuple[int, ...]:
    with torch.no_grad():
        return tuple(module(x[0]).shape)


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_stacked_convolution_is_each_networks_own(case: Case, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    module, x = case.module(dtype), case.inputs(5, dtype)
    shape = outputs(module, x)
    terms = module.weight[0].numel()
    agree(module, x, 4 * max(terms, case.outputs * 9, shape[0] * shape[2] * shape[3]), shape)


@pytest.mark.bits
@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_networks_bits_do_not_depend_on_its_company(case: Case) -> None:
    torch.manual_seed(0)
    module = case.module()
    check_company([module], case.inputs(33), outputs(module, case.inputs(1)))


def check_company(parts: Sequence[nn.Module], x: Tensor, shape: Sequence[int]) -> None:
    """What networks get beside all 33, fewer, in another order, or beside networks full of inf and nan."""
    chain, params = [layer_of(part) for part in parts], [stacked(part, 33) for part in parts]
    g = randomly((33, *shape))

    def run(rows: Sequence[int], ill: Sequence[int] = ()) -> list[Tensor | None]:
        took = [x[list(rows)], g[list(rows)], *(p[list(rows)] for own in params for p in own)]
        for tensor in took:
            for i in ill:
                tensor[i] = (math.inf, -math.inf, math.nan)[i % 3]
        inputs, above, *flat = took
        own = [[flat.pop(0) for _ in part.parameters()] for part in parts]
        y, below, grads = through(chain, own, inputs, above)
        return [y, below, *grads]

    whole = run(range(33))
    for rows in COMPANIES:
        for found, reference in zip(run(rows), whole, strict=True):
            assert found is not None
            assert reference is not None
            assert torch.equal(found, reference[list(rows)])
    ill = list(range(0, 33, 2))
    for found, reference in zip(run(range(33), ill), whole, strict=True):
        assert found is not None
        assert reference is not None
        assert torch.equal(found[1::2], reference[1::2])


@pytest.mark.bits
@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_shared_inputs_give_the_bits_of_copies(case: Case) -> None:
    torch.manual_seed(0)
    module, x = case.module(), case.inputs(1).expand(5, -1, -1, -1, -1)
    params, g = [stacked(module, 5)], torch.randn(5, *outputs(module, x))
    for further in (True, False):
        once = through([layer_of(module)], params, x, g, further)
        copied = through([layer_of(module)], params, x.contiguous(), g, further)
        torch.testing.assert_close(once, copied, rtol=0, atol=0)


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_params_may_lie_anywhere_between_the_networks(case: Case) -> None:
    torch.manual_seed(0)
    module, x = case.module(), case.inputs(5)
    params, g = stacked(module, 5), torch.randn(5, *outputs(module, x))
    room = torch.randn(5, 7 + sum(p[0].numel() for p in params))
    spread, start = [], 3
    for p in params:
        spread.append(torch.unflatten(room[:, start : start + p[0].numel()], 1, p.shape[1:]).copy_(p))
        start += p[0].numel() + 1
    expected = through([layer_of(module)], [params], x, g)
    torch.testing.assert_close(through([layer_of(module)], [spread], x, g), expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    "module",
    [nn.Conv2d(2, 3, 3), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Unflatten(3, (2, 4))],
    ids=str,
)
def test_a_gradient_nobody_asks_for_is_not_computed(module: nn.Module) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 6, 2, 8, 8)
    params, g = [stacked(module, 4)], torch.randn(4, *outputs(module, x))
    y, below, grads = through([layer_of(module)], params, x, g, further=False)
    assert below is None
    same, asked, as_well = through([layer_of(module)], params, x, g)
    assert asked is not None
    torch.testing.assert_close((y, grads), (same, as_well), rtol=0, atol=0)


def in_memory(x: Tensor, *order: int) -> Tensor:
    """x as it is, its axes ordered so in memory."""
    back = sorted(range(len(order)), key=order.__getitem__)
    return x.permute(*order).contiguous().permute(*back)


ORDERS = {"plain": (0, 1, 2, 3, 4), "channels last": (0, 1, 3, 4, 2), "batch within": (0, 3, 4, 1, 2)}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize(
    "module",
    [
        nn.MaxPool2d(2),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.MaxPool2d((2, 3), stride=(1, 2), ceil_mode=True),
        nn.MaxPool2d(2, dilation=2),
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(5, 3, 8, 8), (4, 1, 5, 7), (1, 6, 4, 5), (1, 1, 4, 4)], ids=str)
def test_max_pooling_is_bit_for_bit_torchs(
    module: nn.MaxPool2d, shape: Sequence[int], order: Sequence[int]
) -> None:
    """Few values, so that windows have ties; and zeros of both signs, of which the first is taken."""
    torch.manual_seed(0)
    x = in_memory(torch.tensor([-1.0, -0.0, 0.0, 0.25])[torch.randint(4, (4, *shape))], *order)
    g = randomly((4, *outputs(module, x)))
    y, below, _ = through([layer_of(module)], [[]], x, g)
    assert below is not None
    for i in range(4):
        expected, expected_below, _ = alone(module, [], x[i].contiguous(), g[i])
        assert torch.equal(y[i], expected)
        assert torch.equal(y[i].signbit(), expected.signbit())
        assert torch.equal(below[i], expected_below)


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("shape", [(13, 5, 3, 7), (32, 32, 2, 2), (3, 1, 1, 1)], ids=str)
def test_the_mean_is_each_networks_own_in_any_company(shape: Sequence[int], order: Sequence[int]) -> None:
    torch.manual_seed(0)
    x = in_memory(torch.randn(33, *shape), *order)
    agree(nn.AdaptiveAvgPool2d(1), x[:3], 4, (*shape[:2], 1, 1))
    layer = layer_of(nn.AdaptiveAvgPool2d((1, 1)))
    whole, _ = layer.forward(x, [], None)
    for rows in COMPANIES:
        part, _ = layer.forward(in_memory(x[list(rows)], *order), [], None)
        assert torch.equal(part, whole[list(rows)])


@pytest.mark.parametrize(
    "module",
    [nn.Flatten(), nn.Flatten(1, 2), nn.Flatten(-2, -1), nn.Unflatten(1, (2, 3)), nn.Unflatten(-1, (5, 1))],
    ids=str,
)
def test_reshaping_counts_the_dimensions_of_one_network(module: nn.Module) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 4, 6, 5)
    agree(module, x, 0, outputs(module, x))


def cnn(image: tuple[int, int, int], activation: Callable[[], nn.Module]) -> nn.Sequential:
    """As `whichopt.workers.workload.models` builds it, with dropout besides."""
    channels, height, width = image
    pool = [nn.MaxPool2d(2)] if min(height, width) >= 4 else []
    return nn.Sequential(
        nn.Unflatten(1, image),
        *(nn.Conv2d(channels, 4, 3, padding=1), activation(), *pool, nn.Dropout(0.25)),
        *(nn.Conv2d(4, 7, 3, padding=1), activation(), nn.Dropout(0.25)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(7, 3)),
    )


IMAGES = ((1, 8, 8), (3, 5, 7), (2, 3, 2))


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("image", IMAGES, ids=str)
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.GELU])
def test_a_whole_network_is_what_it_is_alone(
    image: tuple[int, int, int], activation: Callable[[], nn.Module]
) -> None:
    """To a multiple of the longest sum's error, since the layers above may enlarge it."""
    torch.manual_seed(0)
    module, x = cnn(image, activation).double().eval(), torch.randn(4, 13, math.prod(image)).double()
    agree(module, x, 16 * 13 * image[1] * image[2], (13, 3))


@pytest.mark.bits
@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("image", IMAGES, ids=str)
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.GELU])
def test_a_whole_networks_bits_do_not_depend_on_its_company(
    image: tuple[int, int, int], activation: Callable[[], nn.Module]
) -> None:
    torch.manual_seed(0)
    check_company(list(cnn(image, activation)), torch.randn(33, 13, math.prod(image)), (13, 3))


@pytest.mark.usefixtures("_way")
def test_dropout_between_images_drops_what_it_would_alone() -> None:
    torch.manual_seed(0)
    module = cnn((3, 6, 5), nn.ReLU).train()
    x, params = torch.randn(4, 9, 90), [stacked(part, 4) for part in module]
    y = x
    generators = [torch.Generator().manual_seed(i) for i in range(4)]
    for part, own in zip(module, params, strict=True):
        y, _ = layer_of(part).forward(y, own, generators)
    flat = [p for own in params for p in own]
    names = [name for name, _ in module.named_parameters()]
    for i in range(4):
        torch.manual_seed(i)
        alone_params = dict(zip(names, (p[i] for p in flat), strict=True))
        expected = torch.func.functional_call(module, alone_params, (x[i],))
        torch.testing.assert_close(y[i], expected, rtol=1e-5, atol=1e-5)


def test_which_way_is_taken_is_told_by_one_networks_shapes() -> None:
    def way(case: Case, n: int) -> type:
        layer = layer_of(case.module())
        assert isinstance(layer, image_layers.Conv2d)
        (weight, *_), x = stacked(case.module(), n), case.inputs(1).expand(n, -1, -1, -1, -1)
        return type(layer._way(x.shape, weight))

    for n in (2, 64):
        assert way(Case(16, 32, (32, 4, 4)), n) is image_layers.Columns
        assert way(Case(3, 32, (64, 32, 32)), n) is image_layers.Each
        assert way(Case(1, 32, (64, 32, 32)), n) is image_layers.Columns


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 4, 3, dilation=2),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.MaxPool2d(2, return_indices=True),
        nn.AdaptiveAvgPool2d(2),
        nn.AdaptiveAvgPool2d((1, None)),
    ],
    ids=str,
)
def test_what_no_layer_knows_is_refused(module: nn.Module) -> None:
    assert IMAGE_LAYERS[type(module)](module) is None

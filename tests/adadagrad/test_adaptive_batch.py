"""A growing batch in a loop of one's own: gathering, stepping, saving and loading."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from adadagrad import AdaptiveBatch, Gathered, Growth
from adadagrad.growth import norm_test, variance

INPUTS = torch.randn(400, 6, generator=torch.Generator().manual_seed(1))
TARGETS = INPUTS @ torch.linspace(-1, 1, 6) + 0.3 * torch.randn(
    400, generator=torch.Generator().manual_seed(2)
)


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1))


def gradients(net: nn.Module, rows: slice) -> None:
    net.zero_grad()
    torch.autograd.backward(nn.functional.mse_loss(net(INPUTS[rows])[:, 0], TARGETS[rows]))


def joined(net: nn.Module) -> Tensor:
    return torch.cat([param.grad.flatten() for param in net.parameters() if param.grad is not None])


def test_a_full_batch_leaves_its_mean_gradient() -> None:
    net = model()
    batch = AdaptiveBatch(net.parameters(), Growth(0.5, start=32, most=32, micro=8))
    for start in range(0, 32, 8):
        gradients(net, slice(start, start + 8))
        full = batch.add(8)
        assert full == (start == 24)
    found = joined(net).clone()
    gradients(net, slice(0, 32))
    # Sums of 32 float32 numbers in another order: a few roundings of 6e-8.
    torch.testing.assert_close(found, joined(net), rtol=1e-5, atol=1e-7)
    assert (batch.seen, batch.size) == (0, 32)


def test_the_last_batch_of_a_training_is_full_with_what_it_has() -> None:
    net = model()
    batch = AdaptiveBatch(net.parameters(), Growth(0.5, start=32, micro=8))
    gradients(net, slice(0, 8))
    assert not batch.add(8)
    gradients(net, slice(8, 11))
    assert batch.filled(3, last=True) == 11
    assert batch.add(3, last=True)
    found = joined(net).clone()
    gradients(net, slice(0, 11))
    torch.testing.assert_close(found, joined(net), rtol=1e-5, atol=1e-7)
    assert batch.test is None, "a part that was cut short tells no variance"
    assert batch.size == 32


def test_a_param_without_a_gradient_has_one_of_0() -> None:
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
    batch = AdaptiveBatch([used, unused], Growth(0.5, start=4, micro=2))
    for _ in range(2):
        used.grad = torch.ones(2)
        full = batch.add(2)
    assert full
    assert unused.grad is not None
    assert not unused.grad.any()


def trained(net: nn.Module, batch: AdaptiveBatch, optimizer: Optimizer, parts: Sequence[int]) -> None:
    for at in parts:
        optimizer.zero_grad()
        rows = slice(at, at + 4)
        torch.autograd.backward(nn.functional.mse_loss(net(INPUTS[rows])[:, 0], TARGETS[rows]))
        if batch.add(4):
            optimizer.step()


def test_it_goes_on_inside_a_half_full_batch_to_the_same_bits() -> None:
    starts = [4 * at % 400 for at in range(300)]
    net = model()
    batch = AdaptiveBatch(net.parameters(), Growth(0.4, start=16, micro=4, most=200))
    optimizer = torch.optim.Adagrad(net.parameters(), lr=0.1)
    trained(net, batch, optimizer, starts[:150])
    assert batch.seen, "the point of this test is a batch that is half full"
    saved = copy.deepcopy((net.state_dict(), batch.state_dict(), optimizer.state_dict()))
    trained(net, batch, optimizer, starts[150:])

    again = model()
    other = AdaptiveBatch(again.parameters(), Growth(0.4, start=16, micro=4, most=200))
    taken_up = torch.optim.Adagrad(again.parameters(), lr=0.1)
    again.load_state_dict(saved[0])
    other.load_state_dict(saved[1])
    taken_up.load_state_dict(saved[2])
    trained(again, other, taken_up, starts[150:])
    assert all(map(torch.equal, net.parameters(), again.parameters()))
    assert (other.size, other.test, other.seen) == (batch.size, batch.test, batch.seen)
    assert batch.size > 16


def test_rows_side_by_side_are_each_as_alone() -> None:
    generator = torch.Generator().manual_seed(3)
    drawn = 0.05 + torch.randn(60, 3, 1000, generator=generator)
    growths = [Growth(eta, start=16, micro=4, most=400) for eta in (0.2, 0.5, 0.9)]

    def sizes(rows: Sequence[int]) -> list[list[int]]:
        gathered = Gathered([growths[row] for row in rows], drawn[0, 0])
        found = []
        for part in drawn:
            due = [at for at, filled in enumerate(gathered.after(4, last=False)) if filled is not None]
            gathered.add(part[list(rows)], 4)
            if due:
                gathered.close(due)
            found.append(list(gathered.sizes))
        return [list(column) for column in zip(*found, strict=True)]

    together = sizes([0, 1, 2])
    assert together == [sizes([row])[0] for row in range(3)]
    assert all(one == sorted(one) for one in together)
    assert together[0][-1] > together[2][-1]


def test_a_training_that_has_diverged_keeps_its_batch_size() -> None:
    gathered = Gathered([Growth(0.5, start=8, micro=4)], torch.zeros(3))
    for value in (1.0, float("nan")):
        gathered.add(torch.full((1, 3), value), 4)
    gathered.close([0])
    assert (gathered.sizes, gathered.tests) == ([8], [None])


def test_micro_batches_tell_the_variance_of_single_examples() -> None:
    """Over all divisions of a batch into parts, the mean estimate is the sample variance of its examples."""
    net, count, size = model(), 64, 8

    def loss(params: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        answer: Tensor = torch.func.functional_call(net, params, (x[None],))[0, 0]
        return (answer - y).square()

    params = {name: param.detach() for name, param in net.named_parameters()}
    each = torch.func.vmap(torch.func.grad(loss), (None, 0, 0))(params, INPUTS[:count], TARGETS[:count])
    of_examples = torch.cat([one.flatten(1) for one in each.values()], dim=1)
    exact = variance(of_examples.square().sum().item(), of_examples.mean(0).square().sum().item(), count, 1)
    found = []
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        parts = torch.unflatten(of_examples[torch.randperm(count, generator=generator)], 0, (-1, size)).mean(
            1
        )
        square = parts.mean(0).square().sum().item()
        found.append(variance(parts.square().sum().item(), square, count // size, size))
    samples = torch.tensor(found)
    assert samples.mean().item() == pytest.approx(exact, abs=4 * samples.std().item() / 20)

    batch = AdaptiveBatch(net.parameters(), Growth(0.5, start=count, micro=size, most=count))
    for at in range(0, count, size):
        gradients(net, slice(at, at + size))
        batch.add(size)
    parts = torch.unflatten(of_examples, 0, (-1, size)).mean(1)
    square = parts.mean(0).square().sum().item()
    one = norm_test(variance(parts.square().sum().item(), square, count // size, size), square, 0.5)
    assert batch.test == pytest.approx(one / count, rel=1e-4)  # float32 sums in another order


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"eta": 1.0}, "eta is 1; it must be between 0 and 1"),
        ({"eta": 0.0}, "eta is 0"),
        ({"eta": float("nan")}, "eta is nan"),
        ({"start": 8}, "start is 8, and micro 8: a batch needs 2 micro-batches"),
        ({"factor": 1.0}, "factor is 1; it must be above 1"),
        ({"most": 16}, "most is 16, and the batch starts with 32"),
        ({"micro": 0}, "micro 0"),
    ],
)
def test_what_could_not_grow_is_refused(wrong: dict[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Growth(**{"eta": 0.5, **wrong})  # type: ignore[arg-type]


def test_it_needs_params() -> None:
    with pytest.raises(ValueError, match="no params"):
        AdaptiveBatch([], Growth(0.5))

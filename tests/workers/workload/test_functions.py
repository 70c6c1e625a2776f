"""Functions whose bits do not depend on where an entry lies in memory."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from whichopt.workers.workload import functions

NUMBERS = torch.cat([torch.linspace(-40, 40, 173), torch.tensor([-1e4, -90.0, -1e-8, 0.0, 1e-8, 90.0, 1e4])])


@pytest.mark.parametrize("name", ["sigmoid", "softplus"])
def test_a_function_is_what_its_name_says(name: str) -> None:
    ours, theirs = getattr(functions, name), getattr(F, name)
    x, other = (NUMBERS.clone().requires_grad_() for _ in range(2))
    ours(x).sum().backward()
    theirs(other).sum().backward()
    assert torch.allclose(ours(x), theirs(other), rtol=1e-6, atol=1e-37)
    assert x.grad is not None
    assert other.grad is not None
    # torch's own slope of the sigmoid is y * (1 - y), of which y and 1 - y round by 6e-8 each near 1.
    assert torch.allclose(x.grad, other.grad, rtol=1e-5, atol=1.2e-7)


@pytest.mark.parametrize("name", ["sigmoid", "softplus"])
def test_an_entry_has_the_same_bits_wherever_it_lies(name: str) -> None:
    function = getattr(functions, name)
    whole = function(NUMBERS)
    for start in range(9):
        for stop in range(start + 1, len(NUMBERS)):
            assert torch.equal(function(NUMBERS[start:stop]), whole[start:stop])


def test_a_mean_has_the_same_bits_however_it_lies() -> None:
    values = torch.randn(7, 45, generator=torch.Generator().manual_seed(0))
    beside = values.t().contiguous().t()
    for row in range(7):
        assert torch.equal(functions.mean(beside[row]), functions.mean(values[row]))
        assert functions.mean(values[row]).item() == pytest.approx(
            values[row].double().mean().item(), abs=1e-6
        )


def test_a_total_has_the_same_bits_however_it_lies() -> None:
    values = torch.randn(7, 45, generator=torch.Generator().manual_seed(0))
    beside = values.t().contiguous().t()
    assert torch.equal(functions.total(beside), functions.total(values))
    assert torch.allclose(functions.total(values), values.sum(dim=1), atol=1e-5)

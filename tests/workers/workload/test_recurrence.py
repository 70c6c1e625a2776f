"""The LSTM of a stack: torch's own numbers, forward and backward, for one network and for many."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from whichopt.service.catalog.language import LSTMOptions
from whichopt.workers.workload.recurrence import recurrence
from whichopt.workers.workload.text_networks import LSTM

TOKENS, WINDOWS, LENGTH = 11, 5, 9

RELATIVE, ABSOLUTE = 1e-9, 1e-12
"""In float64 two orders of the same sums are no further apart: 9 steps of functions with slopes below 1."""


def _networks(count: int, **options: int) -> list[LSTM]:
    torch.manual_seed(0)
    return [LSTM(LSTMOptions.model_validate(options), TOKENS).double() for _ in range(count)]


def _drawn(networks: int) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    tokens = torch.randint(TOKENS, (networks, WINDOWS, LENGTH))
    hidden, cell = torch.rand(2, networks, WINDOWS, 2, 6, dtype=torch.float64) - 0.5
    return tokens, hidden, cell


def _objective(outputs: Tensor, hidden: Tensor, cell: Tensor) -> Tensor:
    """Something of all that comes out, so that every gradient is needed."""
    return outputs.square().mean() + (hidden * 0.3).sum() + cell.square().sum()


def _gradients(of: Callable[[], Tensor], wanted: list[Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(of(), wanted))


@pytest.mark.parametrize("companions", [1, 4])
def test_a_stack_gives_what_torch_gives(companions: int) -> None:
    networks = _networks(companions, layers=2, hidden=6, embedding=3)
    tokens, hidden, cell = _drawn(companions)
    hidden.requires_grad_()
    cell.requires_grad_()
    names = [name for name, _ in networks[0].named_parameters()]
    stacked = {
        name: torch.stack([one.get_parameter(name).detach() for one in networks]).requires_grad_()
        for name in names
    }
    base = _networks(1, layers=2, hidden=6, embedding=3)[0]
    base.in_stack = True

    def one(params: dict[str, Tensor], *inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return functional_call(base, params, inputs)  # type: ignore[no-any-return]

    together = vmap(one)(stacked, tokens, hidden, cell)
    found = _gradients(
        lambda: sum(
            (_objective(*(part[i] for part in together)) for i in range(companions)), tokens.new_zeros(())
        ),
        [*stacked.values(), hidden, cell],
    )
    for i, network in enumerate(networks):
        alone = network(tokens[i], hidden[i], cell[i])
        for ours, torchs in zip(together, alone, strict=True):
            torch.testing.assert_close(ours[i], torchs, rtol=RELATIVE, atol=ABSOLUTE)
        wanted = _gradients(lambda: _objective(*alone), [*network.parameters(), hidden, cell])  # noqa: B023
        for name, ours, torchs in zip([*names, "hidden", "cell"], found, wanted, strict=True):
            of_all = name in ("hidden", "cell")
            torch.testing.assert_close(
                ours[i], torchs[i] if of_all else torchs, rtol=RELATIVE, atol=ABSOLUTE, msg=name
            )


def test_its_gradients_are_those_of_its_outputs() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(2, 4, 12, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(12, 3, dtype=torch.float64, requires_grad=True)
    hidden, cell = torch.randn(2, 2, 3, dtype=torch.float64).requires_grad_().unbind()
    assert torch.autograd.gradcheck(recurrence, (inputs, weight, hidden, cell))


def test_its_params_are_torchs_own() -> None:
    (network,) = _networks(1, layers=3, hidden=6, embedding=3)
    torch.manual_seed(0)
    embedding, lstm, head = nn.Embedding(TOKENS, 3), nn.LSTM(3, 6, 3), nn.Linear(6, TOKENS)
    wanted = {
        f"{name}.{param}": tensor.double()
        for name, part in (("embedding", embedding), ("lstm", lstm), ("head", head))
        for param, tensor in part.named_parameters()
    }
    found = dict(network.named_parameters())
    assert list(found) == list(wanted)
    assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())


def test_large_numbers_close_and_open_its_gates() -> None:
    inputs = torch.tensor([[[1e4, -1e4, 1e4, 1e4], [-1e4, 1e4, -1e4, -1e4]]])
    outputs, cell = recurrence(inputs, torch.zeros(4, 1), torch.zeros(1, 1), torch.full((1, 1), 7.0))
    assert outputs.flatten().tolist() == pytest.approx([torch.tensor(1.0).tanh().item(), 0.0])
    assert cell.item() == pytest.approx(1.0)

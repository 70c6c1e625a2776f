"""The recurrence of an LSTM for many networks at once, forward and backward through time.

torch's `vmap` cannot run the kernel of `nn.LSTM`. In a stack this runs instead: all inputs have gone through
their weights in one product before, and a step is one product of all networks and a few functions of each
entry. Those are made of operations whose bits do not depend on the networks beside (see
`whichopt.workers.workload.functions`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def recurrence(inputs: Tensor, weight: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Return the outputs (N, T, H) of an LSTM layer and its last cell state (N, H).

    Args:
        inputs: what the inputs give to the gates, with both biases (N, T, 4 H), in torch's order: input,
            forget, cell and output gate.
        weight: from the outputs before to the gates (4 H, H).
        hidden: the outputs before the first step (N, H).
        cell: the cell state before it (N, H).
    """
    outputs, last = Recurrence.apply(inputs, weight, hidden, cell)  # type: ignore[no-untyped-call]
    return outputs, last


class Recurrence(torch.autograd.Function):
    """The recurrence of one network; under `vmap` it is that of all of them, by `Stacked`."""

    @staticmethod
    def forward(inputs: Tensor, weight: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        outputs, cells, _ = _forward(*(tensor.unsqueeze(0) for tensor in (inputs, weight, hidden, cell)))
        return outputs.squeeze(0), cells[-1, 0].clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Any) -> None:  # noqa: ARG004
        ctx.save_for_backward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outputs: Tensor, last: Tensor) -> tuple[Tensor, ...]:
        inputs, weight, hidden, cell = (tensor.unsqueeze(0) for tensor in ctx.saved_tensors)
        kept = (weight, hidden, *_forward(inputs, weight, hidden, cell))
        found = _backward(outputs.unsqueeze(0), last.unsqueeze(0), *kept)
        return tuple(gradient.squeeze(0) for gradient in found)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *tensors: Tensor) -> tuple[Any, Any]:
        stacked = [
            tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
            for tensor, dim in zip(tensors, in_dims, strict=True)
        ]
        return Stacked.apply(*stacked), (0, 0)  # type: ignore[no-untyped-call]


class Stacked(torch.autograd.Function):
    """The recurrence of n networks, whose tensors have a dimension more in front."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor, hidden: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor]:
        outputs, cells, gates = _forward(inputs, weight, hidden, cell)
        ctx.save_for_backward(weight, hidden, outputs, cells, gates)
        return outputs, cells[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outputs: Tensor, last: Tensor) -> tuple[Tensor, ...]:
        return _backward(outputs, last, *ctx.saved_tensors)


def _forward(inputs: Tensor, weight: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the outputs (n, N, T, H), the cells (T + 1, n, N, H) and the gates (T, n, N, 4 H).

    All gates are computed by one function: with s(x) = 1 / (1 + exp(-x)), tanh(x) is 2 s(2 x) - 1.
    """
    n, size, steps, width = inputs.shape
    units = width // 4
    twice = inputs.new_ones(width)
    twice[2 * units : 3 * units] = 2
    less = 1 - twice
    # Time comes first in all that is kept, so that a step's part lies in one piece. exp(-x) is wanted.
    given = torch.mul(inputs.permute(2, 0, 1, 3), -twice).contiguous()
    through = weight.transpose(1, 2) * -twice
    gates = inputs.new_empty(steps, n, size, width)
    cells = inputs.new_empty(steps + 1, n, size, units)
    outputs = inputs.new_empty(steps, n, size, units)
    cells[0] = cell
    for step in range(steps):
        opened = torch.baddbmm(given[step], hidden, through).exp_().add_(1).reciprocal_()
        gate = torch.addcmul(less, opened, twice, out=gates[step])
        enter, forget, new, leave = torch.split(gate, units, dim=-1)
        now = torch.mul(forget, cells[step], out=cells[step + 1]).addcmul_(enter, new)
        hidden = torch.mul(leave, now.tanh(), out=outputs[step])
    return outputs.permute(1, 2, 0, 3).contiguous(), cells, gates


def _backward(
    outputs_gradient: Tensor,
    last_gradient: Tensor,
    weight: Tensor,
    hidden: Tensor,
    outputs: Tensor,
    cells: Tensor,
    gates: Tensor,
) -> tuple[Tensor, ...]:
    """Return the gradients of the inputs, the weight, the hidden state and the cell state.

    What does not depend on later steps is computed for all steps at once.
    """
    steps, n, size, width = gates.shape
    units = width // 4
    enter, forget, new, leave = torch.split(gates, units, dim=-1)
    bent = cells[1:].tanh()
    slopes = gates * (1 - gates)
    slopes[..., 2 * units : 3 * units] = 1 - new * new
    into_cell = leave * (1 - bent * bent)
    for part, factor in enumerate((new, cells[:-1], enter, bent)):
        slopes[..., part * units : (part + 1) * units].mul_(factor)
    given = outputs_gradient.permute(2, 0, 1, 3).contiguous()
    found = gates.new_empty(steps, n, size, width)
    of_cell = last_gradient
    for step in range(steps - 1, -1, -1):
        of_output = given[step]
        if step < steps - 1:
            of_output = torch.baddbmm(of_output, found[step + 1], weight)
        of_cell = torch.addcmul(of_cell, of_output, into_cell[step])
        parts, own = (torch.unflatten(of[step], -1, (4, units)) for of in (found, slopes))
        torch.mul(own[..., :3, :], of_cell.unsqueeze(-2), out=parts[..., :3, :])
        torch.mul(own[..., 3, :], of_output, out=parts[..., 3, :])
        of_cell = of_cell * forget[step]
    of_inputs = found.permute(1, 2, 0, 3).contiguous()
    before = torch.cat([hidden.unsqueeze(2), outputs[:, :, :-1]], dim=2)
    flat = of_inputs.view(n, size * steps, width)
    of_weight = torch.bmm(flat.transpose(1, 2), before.reshape(n, size * steps, units))
    return of_inputs, of_weight, torch.bmm(found[0], weight), of_cell

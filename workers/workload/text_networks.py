"""The networks for texts: from tokens (N, T) to outputs (N, T, tokens), and the state that goes on."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from whichopt.service.catalog.language import LSTMOptions, TransformerOptions
from whichopt.service.catalog.model_options import ModelOptions
from whichopt.service.catalog.shapes import Shape
from whichopt.workers.workload.functions import gelu
from whichopt.workers.workload.recurrence import recurrence


class ForStacks(nn.Module):
    """A network that has another way to compute for stacks, as torch's own cannot be mapped over networks.

    A stack sets `in_stack` on its own copy.
    """

    in_stack = False


class LSTM(ForStacks):
    """An embedding, LSTM layers and a linear layer. Called with its state, too, which it gives behind the
    outputs: hidden and cell state, each (N, layers, hidden)."""

    def __init__(self, options: LSTMOptions, tokens: int) -> None:
        super().__init__()
        between = options.dropout if options.layers > 1 else 0.0  # of one layer torch warns
        self.embedding = nn.Embedding(tokens, options.embedding)
        self.lstm = nn.LSTM(
            options.embedding, options.hidden, options.layers, dropout=between, batch_first=True
        )
        self.dropout = nn.Dropout(options.dropout)
        self.head = nn.Linear(options.hidden, tokens)

    def forward(
        self, tokens: Tensor, hidden: Tensor | None = None, cell: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        embedded = self.embedding(tokens)
        if hidden is None or cell is None:
            hidden = cell = embedded.new_zeros(len(tokens), self.lstm.num_layers, self.lstm.hidden_size)
        if self.in_stack:
            outputs, hidden, cell = self._unrolled(embedded, hidden, cell)
        else:
            layers_first = (state.transpose(0, 1).contiguous() for state in (hidden, cell))
            outputs, (hidden, cell) = self.lstm(embedded, tuple(layers_first))
            hidden, cell = hidden.transpose(0, 1), cell.transpose(0, 1)
        return over_tokens(self.head, self.dropout(outputs)), hidden, cell

    def _unrolled(self, inputs: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What `self.lstm` gives, without dropout, with the states (N, layers, hidden)."""
        last_hidden, last_cell = [], []
        for layer in range(self.lstm.num_layers):
            into, through, bias, other = (
                getattr(self.lstm, f"{name}_l{layer}")
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            flat = torch.addmm(bias + other, inputs.flatten(0, 1), into.t())
            given = torch.unflatten(flat, 0, inputs.shape[:2])
            inputs, end = recurrence(given, through, hidden[:, layer], cell[:, layer])
            last_hidden.append(inputs[:, -1])
            last_cell.append(end)
        return inputs, torch.stack(last_hidden, dim=1), torch.stack(last_cell, dim=1)


class Block(nn.Module):
    """Causal attention and two linear layers, each with layer normalization before it and added."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.attention = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        """Return what becomes of x (N, T, width); `hidden` (T, T) is -inf where a token must not look."""
        x = x + self._attended(self.norm1(x), hidden)
        inner = gelu(over_tokens(self.up, self.norm2(x)))
        return x + over_tokens(self.down, inner)

    def _attended(self, x: Tensor, hidden: Tensor) -> Tensor:
        each = torch.unflatten(over_tokens(self.attention, x), -1, (3, self.heads, -1))
        query, key, value = each.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1])) + hidden
        mixed = (scores.softmax(dim=-1) @ value).transpose(1, 2).flatten(2)
        return over_tokens(self.project, mixed)


class Transformer(nn.Module):
    """An embedding with learned positions, blocks, a normalization and a linear layer."""

    def __init__(self, options: TransformerOptions, tokens: int, length: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, options.width)
        self.positions = nn.Embedding(length, options.width)
        for table in (self.embedding, self.positions):
            nn.init.normal_(table.weight, std=0.02)
        self.blocks = nn.ModuleList(Block(options.width, options.heads) for _ in range(options.layers))
        self.norm = nn.LayerNorm(options.width)
        self.head = nn.Linear(options.width, tokens)

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        x = self.embedding(tokens) + self.positions.weight[:length]
        hidden = x.new_full((length, length), -math.inf).triu(1)
        for block in self.blocks:
            x = block(x, hidden)
        return over_tokens(self.head, self.norm(x))


def over_tokens(linear: nn.Linear, x: Tensor) -> Tensor:
    """Apply the layer to each token of x (N, T, width): in a stack that is then one product a network."""
    return torch.unflatten(linear(x.flatten(0, 1)), 0, x.shape[:2])


def lstm(options: ModelOptions, shape: Shape) -> nn.Module:
    assert isinstance(options, LSTMOptions)
    return LSTM(options, shape.outputs)


def transformer(options: ModelOptions, shape: Shape) -> nn.Module:
    assert isinstance(options, TransformerOptions)
    return Transformer(options, shape.outputs, shape.features)

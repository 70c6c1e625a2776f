"""A network as data: the modules of torch that it is a chain of. Workers make them, snippets write them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

RESIDUAL = (
    "class Residual(torch.nn.Sequential):",
    "    def forward(self, inputs):",
    "        return inputs + super().forward(inputs)",
)
"""The one class that torch lacks, as code."""

Argument = int | float | bool | tuple[int, ...]


@dataclass(frozen=True)
class Module:
    """A class of `torch.nn` and its arguments; or, if `inside` is given, a residual block of modules."""

    name: str
    arguments: tuple[Argument, ...] = ()
    options: tuple[tuple[str, Argument], ...] = ()
    inside: tuple[Module, ...] | None = None


def module(name: str, *arguments: Argument, **options: Argument) -> Module:
    """Return the module `torch.nn.NAME(*arguments, **options)`."""
    return Module(name, arguments, tuple(options.items()))


def residual(inside: Sequence[Module]) -> Module:
    """Return the block that adds its inputs to what the modules make of them."""
    return Module("Residual", inside=tuple(inside))


def code(network: Sequence[Module]) -> list[str]:
    """Return the lines that make the network as `model`, with the class of residual blocks if it has any."""
    blocks = any(one.inside is not None for one in network)
    lines = ["model = torch.nn.Sequential(", *_lines(network, 1), ")"]
    return ["", "", *RESIDUAL, "", "", *lines] if blocks else lines


def _lines(network: Sequence[Module], depth: int) -> Iterator[str]:
    margin = "    " * depth
    for one in network:
        if one.inside is not None:
            yield f"{margin}{one.name}("
            yield from _lines(one.inside, depth + 1)
            yield f"{margin}),"
        else:
            named = (f"{name}={value!r}" for name, value in one.options)
            yield f"{margin}torch.nn.{one.name}({', '.join([*map(repr, one.arguments), *named])}),"

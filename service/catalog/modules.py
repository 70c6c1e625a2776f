"""A network as data: the modules of torch that it is a chain of. Workers make them, snippets write them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

CLASSES = {
    "Residual": (
        "class Residual(torch.nn.Sequential):",
        "    def forward(self, inputs):",
        "        return inputs + super().forward(inputs)",
    ),
    "Projected": (
        "class Projected(torch.nn.Sequential):",
        "    def forward(self, inputs):",
        "        block, shortcut = self",
        "        return block(inputs) + shortcut(inputs)",
    ),
    "Joined": (
        "class Joined(torch.nn.Sequential):",
        "    def forward(self, inputs):",
        "        return torch.cat([inputs, super().forward(inputs)], 1)",
    ),
}
"""The blocks of modules that torch lacks, as code."""

Argument = int | float | bool | tuple[int, ...]


@dataclass(frozen=True)
class Module:
    """A class of `torch.nn` and its arguments; or, if `inside` is given, a block of modules.

    A block is one of CLASSES, or `Sequential`, a chain inside of one.
    """

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


def projected(inside: Sequence[Module], shortcut: Sequence[Module]) -> Module:
    """Return the block that adds what two chains of modules make of its inputs."""
    return Module(
        "Projected", inside=tuple(Module("Sequential", inside=tuple(of)) for of in (inside, shortcut))
    )


def joined(inside: Sequence[Module]) -> Module:
    """Return the block that appends to the channels of its inputs those that the modules make of them."""
    return Module("Joined", inside=tuple(inside))


def code(network: Sequence[Module]) -> list[str]:
    """Return the lines that make the network as `model`, with the classes of the blocks that it has."""
    blocks = set(_blocks(network))
    classes = [line for name, lines in CLASSES.items() if name in blocks for line in ("", "", *lines)]
    lines = ["model = torch.nn.Sequential(", *_lines(network, 1), ")"]
    return [*classes, "", "", *lines] if classes else lines


def _blocks(network: Sequence[Module]) -> Iterator[str]:
    """Yield the names of the blocks, at whatever depth."""
    for one in network:
        if one.inside is not None:
            yield one.name
            yield from _blocks(one.inside)


def _lines(network: Sequence[Module], depth: int) -> Iterator[str]:
    margin = "    " * depth
    for one in network:
        if one.inside is not None:
            yield f"{margin}{one.name if one.name in CLASSES else f'torch.nn.{one.name}'}("
            yield from _lines(one.inside, depth + 1)
            yield f"{margin}),"
        else:
            named = (f"{name}={value!r}" for name, value in one.options)
            yield f"{margin}torch.nn.{one.name}({', '.join([*map(repr, one.arguments), *named])}),"

"""Networks of layers, and of blocks that add or join what they make to what they took: counted and made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TypeAlias

from whichopt.service.catalog.layers import Activation, BatchNorm, Passed, SimpleLayer, Size
from whichopt.service.catalog.modules import joined, projected, residual
from whichopt.service.catalog.shapes import Shape


@dataclass(frozen=True)
class Added:
    """A block that adds what its parts make to its inputs, or to what a shortcut makes of them."""

    parts: Sequence[Part]
    shortcut: Sequence[Part] = ()


@dataclass(frozen=True)
class Joined:
    """A block that appends the channels that its parts make to those of its inputs."""

    parts: Sequence[Part]


Part: TypeAlias = SimpleLayer | Added | Joined
"""What a network is made of."""


def chained(parts: Sequence[Part], size: Size, shape: Shape) -> Passed:
    """Return what the parts, one after the other, make of an example of that size.

    A batch normalization before an activation keeps nothing of its own: its gradient is told from its inputs,
    which the part before it keeps, and the activation's from its outputs.
    """
    passed: list[Passed] = []
    for before, part in zip((None, *parts), parts, strict=False):
        one = _passed(part, passed[-1].size if passed else size, shape)
        normed = isinstance(before, BatchNorm) and isinstance(part, Activation)
        passed.append(replace(one, kept=one.kept - prod(one.size)) if normed else one)
    return Passed(
        size=passed[-1].size,
        modules=tuple(made for one in passed for made in one.modules),
        params=sum(one.params for one in passed),
        kept=sum(one.kept for one in passed),
        least=max(one.least for one in passed),
    )


def _passed(part: Part, size: Size, shape: Shape) -> Passed:
    if isinstance(part, Added):
        return _added(part, size, shape)
    if isinstance(part, Joined):
        return _joined(part, size, shape)
    return part.pass_on(size, shape)


def _added(block: Added, size: Size, shape: Shape) -> Passed:
    terms = [chained(parts, size, shape) for parts in (block.parts, block.shortcut) if parts]
    made, *shortcuts = terms
    assert {term.size for term in (*terms, *(() if shortcuts else (Passed(size, ()),)))} == {made.size}
    return Passed(
        size=made.size,
        modules=(projected(made.modules, shortcuts[0].modules) if shortcuts else residual(made.modules),),
        params=sum(term.params for term in terms),
        kept=sum(term.kept - prod(made.size) for term in terms),  # what is added is not needed again
        least=max(term.least for term in terms),
    )


def _joined(block: Joined, size: Size, shape: Shape) -> Passed:
    made = chained(block.parts, size, shape)
    assert made.size[1:] == size[1:], "images of one size can be joined"
    after = (size[0] + made.size[0], *size[1:])
    kept = made.kept - prod(made.size) + prod(after)  # the inputs and what was made of them, in a copy
    return Passed(after, (joined(made.modules),), made.params, kept, made.least)

"""Ways to run the update over many tensors: one by one, packed, compiled. The mathematics is elsewhere.

A tensor that does not fit the cache is updated slice by slice, so that the dozen passes of an update cost one
trip to memory. Small tensors are packed: copied into one flat tensor, updated together and copied back, since
for them it is the number of calls that costs. Neither changes a bit of the result where the kernels of torch
round every entry alike, as they do on CPUs. The memory that a step takes is a few chunks, whatever the model.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import Parameter

from adabelief.functional import Coefficients, apply_

__all__ = ["PLAIN", "Kernel", "Leaf", "flat_leaf", "run_each", "run_kernel", "run_packed"]

Kernel = Callable[[list[Tensor]], object]
"""A compiled update of vectors: theta, g, m, s, s_max where there is one; then the coefficients."""

PLAIN = (Tensor, Parameter)
"""Types of which a part means what it seems to; of a subclass only the whole is known."""

PACKED = 2**14
"""Tensors of fewer elements are packed."""

# Elements of a slice or a pack: what fits the cache of a core, what fills an accelerator.
CPU_CHUNK, ACCELERATOR_CHUNK = 2**16, 2**24


class Leaf(NamedTuple):
    """A parameter and what belongs to it: real tensors of one shape, and the coefficients of its step.

    If ``flat``, they are vectors over the memory of the originals; else they have no common order, or are of
    a type of their own, and are only to be taken whole.
    """

    tensors: list[Tensor]
    """theta, g, m, s and, with AMSGrad, s_max."""
    c: Coefficients
    flat: bool


def flat_leaf(tensors: list[Tensor], c: Coefficients) -> Leaf:
    """The leaf of theta, g, m, s (and s_max), as vectors where they have a common order."""
    if all(type(x) in PLAIN for x in tensors):
        if all(x.is_contiguous() for x in tensors):
            return Leaf([x.view(-1) for x in tensors], c, flat=True)
        stride = tensors[0].stride()
        if all(x.stride() == stride and torch.ops.aten.is_non_overlapping_and_dense(x) for x in tensors):
            return Leaf([x.as_strided((x.numel(),), (1,)) for x in tensors], c, flat=True)
    return Leaf(tensors, c, flat=False)


def run_each(leaves: Iterable[Leaf]) -> None:
    """Update every leaf by itself, in slices where it is large."""
    for tensors, c, flat in leaves:
        chunk = _chunk(tensors[0])
        if not flat or tensors[0].numel() <= chunk:
            _apply(tensors, c)
            continue
        work = torch.empty(chunk, dtype=tensors[2].dtype, device=tensors[2].device)
        for parts in zip(*(torch.split(x, chunk) for x in tensors), strict=True):
            _apply(parts, c, work[: parts[0].numel()])


def run_packed(leaves: Iterable[Leaf]) -> None:
    """Update the large leaves each by itself, and the small ones packed."""
    for pack in _packs(leaves):
        if len(pack) == 1:
            run_each(pack)
            continue
        columns = list(zip(*(leaf.tensors for leaf in pack), strict=True))
        packed = [torch.cat(column) for column in columns]
        _apply(packed, pack[0].c, torch.empty_like(packed[2]))
        sizes = [x.numel() for x in columns[0]]
        changed = [(x, column) for i, (x, column) in enumerate(zip(packed, columns, strict=True)) if i != 1]
        torch._foreach_copy_(
            list(chain.from_iterable(column for _, column in changed)),
            list(chain.from_iterable(torch.split(x, sizes) for x, _ in changed)),
        )


def run_kernel(leaves: Iterable[Leaf], kernel_for: Callable[[Tensor, Tensor], Kernel | None]) -> None:
    """Update the leaves by the compiled kernel for theta and m; those without one as ``run_packed`` does."""
    rest = []
    of: tuple[object, ...] = ()
    for leaf in leaves:
        tensors, c, flat = leaf
        theta, m = tensors[0], tensors[2]
        if of != (theta.dtype, theta.device, m.dtype, c):
            of = theta.dtype, theta.device, m.dtype, c
            kernel = kernel_for(theta, m)
            column = _column(leaf)
        if kernel is None or not flat:
            rest.append(leaf)
        else:
            kernel([*tensors, column])
    run_packed(rest)


def _apply(tensors: Iterable[Tensor], c: Coefficients, work: Tensor | None = None) -> None:
    theta, g, m, s, *s_max = tensors
    # Half precision is computed in float32 and rounded once, when it is copied back.
    wide = theta.to(m.dtype)
    apply_(wide, g.to(m.dtype), m, s, s_max[0] if s_max else None, c, work)
    if wide is not theta:
        theta.copy_(wide)


def _chunk(x: Tensor) -> int:
    return CPU_CHUNK if x.device.type == "cpu" else ACCELERATOR_CHUNK


def _packs(leaves: Iterable[Leaf]) -> Iterator[list[Leaf]]:
    """The large leaves one by one; the small ones that may be updated as one, no more than fit a chunk."""
    packs: dict[object, list[Leaf]] = {}
    sizes: dict[object, int] = {}
    for leaf in leaves:
        theta, _, m = leaf.tensors[:3]
        size = theta.numel()
        if size >= PACKED or not leaf.flat:
            yield [leaf]
            continue
        # Coefficients that are tensors are equal only where they are the same.
        kind = theta.dtype, m.dtype, theta.device, leaf.c
        sizes[kind] = sizes.get(kind, 0) + size
        if sizes[kind] > _chunk(theta):
            yield packs.pop(kind)
            sizes[kind] = size
        packs.setdefault(kind, []).append(leaf)
    yield from packs.values()


def _column(leaf: Leaf) -> Tensor:
    """The coefficients as one tensor, as a kernel takes them."""
    c, dtype, device = leaf.c, leaf.tensors[2].dtype, leaf.tensors[2].device
    if not any(isinstance(x, Tensor) for x in c):
        return torch.tensor(cast(tuple[float, ...], c), dtype=dtype, device=device)
    return torch.stack(
        [
            x.to(device, dtype) if isinstance(x, Tensor) else torch.full((), x, dtype=dtype, device=device)
            for x in c
        ]
    )

"""Ways to run the update over many tensors: one by one, packed, compiled. The mathematics is elsewhere.

A tensor that does not fit the cache is updated slice by slice, so that the dozen passes of an update cost
one trip to memory. Small tensors are packed: copied into one flat tensor, updated together and copied back,
since for them it is the number of calls that costs. Neither changes a bit of the result where the kernels
of torch round every entry alike, as they do on CPUs. The memory that a step takes is a few chunks, whatever
the model; but a tensor whose values and gradient lie in different orders is taken whole.

But for the for-loop these ways take no heed of the order of the parameters: of what shares memory, give each
one by itself (``overlaps`` tells).
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import cast

import torch
from torch import Tensor

from adabelief.functional import Coefficients, Scalar, apply_
from adabelief.steps import adam_fallback
from adabelief.steps.compiled_kernel import kernel
from adabelief.steps.overlaps import overlap_themselves
from adabelief.steps.param_views import Kind, ParamViews

__all__ = ["coefficient_columns", "run_each", "run_fallback", "run_fused", "run_packed"]

PACKED = 2**14
"""Tensors of fewer elements are packed: for them it is the number of calls that costs."""

# Elements of a slice or a pack: what fits the cache of a core, what fills an accelerator.
CPU_CHUNK, ACCELERATOR_CHUNK = 2**18, 2**24


def run_each(params: Iterable[ParamViews]) -> None:
    """Update every parameter by itself, in slices if it is large."""
    for tensors, c, kind, _ in params:
        if kind is None:
            _apply(tensors, c)
        else:
            for parts, work in _slices(tensors):
                _apply(parts, c, work)


def run_packed(params: Iterable[ParamViews]) -> None:
    """Update the large parameters each by itself, and the small ones packed."""
    for pack in _packs(params):
        if len(pack) == 1:
            run_each(pack)
            continue
        columns = list(zip(*(tensors for tensors, *_ in pack), strict=True))
        packed = [torch.cat(column) for column in columns]
        _apply(packed, pack[0][1], torch.empty_like(packed[2]))
        del columns[1], packed[1]  # the gradients, which are as they were
        sizes = [x.numel() for x in columns[0]]
        torch._foreach_copy_(
            list(chain.from_iterable(columns)),
            list(chain.from_iterable(x.split_with_sizes(sizes) for x in packed)),
        )


def run_fused(params: Iterable[ParamViews]) -> None:
    """Update the parameters by compiled kernels; those that have none by torch's own."""
    rest, changed = [], []
    kind: Kind | None = None
    c: Coefficients | None = None
    for views in params:
        tensors, own_c, own_kind, _ = views
        if own_kind is not kind or own_c is not c:
            kind, c = own_kind, own_c
            run = None if kind is None else kernel(*kind)
            column = _column(c, tensors[2])
        if run is None:
            rest.append(views)
        else:
            run([*tensors, column])
            changed.append(tensors[0])
    torch.autograd.graph.increment_version(changed)  # autograd does not see what a kernel of ours writes
    run_fallback(rest)


def run_fallback(params: Iterable[ParamViews]) -> None:
    """Update the parameters by torch's kernel for its own Adam; those that it does not suit, packed."""
    for pack in _packs(params):
        tensors, c, kind, _ = pack[0]
        if not adam_fallback.suits(c, kind):
            run_packed(pack)
        elif len(pack) > 1:
            adam_fallback.update_(list(zip(*(tensors for tensors, *_ in pack), strict=True)), c)
        else:
            for parts, work in _slices(tensors):
                adam_fallback.update_([[x] for x in parts], c, work)


def _apply(tensors: Sequence[Tensor], c: Coefficients, work: Tensor | None = None) -> None:
    theta, g, m, s, *s_max = tensors
    # Half precision is computed in float32 and rounded once, when it is copied back.
    wide = theta.to(m.dtype)
    apply_(wide, g.to(m.dtype), m, s, s_max[0] if s_max else None, c, work)
    if wide is not theta:
        theta.copy_(wide)


def _slices(tensors: list[Tensor]) -> Iterator[tuple[Sequence[Tensor], Tensor]]:
    """The vectors in slices, or whole if they fit a chunk, with memory for the values in between.

    Where they share memory, a slice may be written by the update of another, so they are taken whole as well.
    """
    theta, _, m, *_ = tensors
    chunk = _chunk(theta.device)
    if theta.numel() <= chunk or overlap_themselves(tensors):
        yield tensors, torch.empty_like(m)
        return
    work = torch.empty(chunk, dtype=m.dtype, device=m.device)
    for parts in zip(*(torch.split(x, chunk) for x in tensors), strict=True):
        yield parts, work[: parts[0].numel()]


def _chunk(device: torch.device) -> int:
    return CPU_CHUNK if device.type == "cpu" else ACCELERATOR_CHUNK


def _packs(params: Iterable[ParamViews]) -> Iterator[list[ParamViews]]:
    """The large parameters one by one; small ones that may be updated as one, no more than fit a chunk."""
    packs: dict[tuple[int, int], list[ParamViews]] = {}
    room: dict[tuple[int, int], int] = {}
    for views in params:
        tensors, c, kind, _ = views
        size = tensors[0].numel()
        if kind is None or size >= PACKED:
            yield [views]
            continue
        key = id(kind), id(c)  # by identity, as to compare tensors would be to wait for them
        if key in packs and size > room[key]:
            yield packs.pop(key)
        if key not in packs:
            packs[key], room[key] = [], _chunk(kind[2])
        packs[key].append(views)
        room[key] -= size
    yield from packs.values()


def _column(c: Coefficients, m: Tensor) -> Tensor:
    """The coefficients as one tensor, as a kernel takes them."""
    if not isinstance(c.size, Tensor) and not isinstance(c.shrink, Tensor):
        return _numbers(cast(tuple[float, ...], c), m)
    return torch.stack(
        [
            x.to(m.device, m.dtype)
            if isinstance(x, Tensor)
            else torch.full((), x, dtype=m.dtype, device=m.device)
            for x in cast(tuple[Scalar, ...], c)
        ]
    )


def coefficient_columns(steps: Sequence[Coefficients], m: Tensor) -> Sequence[Tensor]:
    """For each step its coefficients, which are numbers, as one tensor, as a kernel takes them."""
    numbers = cast(Iterable[float], chain.from_iterable(steps))
    return _numbers(numbers, m).view(len(steps), -1).unbind()


def _numbers(numbers: Iterable[float], m: Tensor) -> Tensor:
    """As a tensor of the dtype of m, where that is: in a third of the time of torch.tensor."""
    packed = array("d" if m.dtype == torch.float64 else "f", numbers)
    return torch.frombuffer(packed, dtype=m.dtype).to(m.device)

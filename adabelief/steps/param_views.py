"""What belongs to a parameter at a step, as the update takes it: real, local, flat if it can be."""

from collections.abc import Sequence
from operator import is_
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import Parameter

from adabelief.functional import Coefficients

__all__ = ["Counts", "Kind", "Memory", "ParamViews", "ViewMaker", "extent", "real_tensors", "written"]

Kind = tuple[torch.dtype, torch.dtype, torch.device, bool]
"""The dtype of theta, the dtype of its moments, their device, and whether there is an s_max."""

Memory = tuple[int, ...]
"""Where what an update writes begins and ends, in turn: theta, m, s and, with AMSGrad, s_max."""

ParamViews = tuple[list[Tensor], Coefficients, Kind | None, Memory]
"""theta, g, m, s and, with AMSGrad, s_max, of one shape; the coefficients of the step; and the kind, if these
tensors are vectors over the memory of the originals. If not, they have no common order, or are of a type of
their own, and are only to be taken whole. Views of a kind have the same object for it. At last the memory:
the same object as in the last step, if it is the same.

A plain tuple, as one is made for every parameter at every step.
"""

PLAIN = (Tensor, Parameter)
"""Types of which a part means what it seems to."""

KEPT = 2**18
"""Elements below which a tensor's vectors are kept."""

_ONE = torch.tensor(1.0, device="cpu")  # a number would be made a tensor at every step


class Counts:
    """Counts the steps of parameters, on the CPU.

    The counts of those that first step together become elements of one vector, so that one addition does for
    all of them: one addition each would be a tenth of the step of a small model.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Tensor, list[Tensor]]] = {}

    def advance(self, states: list[dict[str, Any]]) -> list[float]:
        """Add one to the ``step`` of each state, and give the new counts."""
        if not states:
            return []
        steps = [state["step"] for state in states]
        first = id(steps[0])
        vector, elements = self._known.get(first, (_ONE, []))
        if len(steps) == len(elements) and all(map(is_, steps, elements)):
            known: list[float] = vector.add_(_ONE).tolist()
            return known
        # Of layers that come and go at random there is no end of sets, so not each gets a vector.
        if len(set(map(id, steps))) < len(steps):  # one parameter twice steps twice, as torch has it
            return [step.add_(_ONE).item() for step in steps]
        for i, (state, step) in enumerate(zip(states, steps, strict=True)):
            if step.device.type != "cpu":  # moved by somebody who moved all of the state
                state["step"] = steps[i] = step.cpu()
        if first not in self._known and len(self._known) < 16 and len({x.dtype for x in steps}) == 1:
            vector = torch.stack(steps)
            steps = list(vector.unbind())
            for state, step in zip(states, steps, strict=True):
                state["step"] = step
            self._known[id(steps[0])] = vector, steps
            counts: list[float] = vector.add_(_ONE).tolist()
            return counts
        torch._foreach_add_(steps, _ONE, alpha=1.0)
        return [step.item() for step in steps]


class ViewMaker:
    """Makes the views of parameters, and keeps them from step to step while the tensors are where they were.

    Making four views a step costs a small tensor as much as updating it. A vector holds its memory, so that
    no address can come to mean something else, and whatever has been moved or replaced is noticed. Of large
    tensors, whose memory somebody may wait for, none is kept.
    """

    def __init__(self) -> None:
        self._kinds: dict[Kind, Kind] = {}
        self._known: dict[int, tuple[Any, ...]] = {}
        self._memories: dict[int, Memory] = {}

    def of(self, p: Tensor, g: Tensor, state: dict[str, Any], amsgrad: bool, c: Coefficients) -> ParamViews:
        """Return the views of the parameter p.

        Args:
            p: the parameter.
            g: its gradient, dense.
            state: ``exp_avg``, ``exp_avg_var`` and, with AMSGrad, ``max_exp_avg_var``.
            amsgrad: whether s_max is wanted.
            c: the coefficients of its step.
        """
        m, s = state["exp_avg"], state["exp_avg_var"]
        known = self._known.get(id(p))
        if known is not None and type(g) is Tensor and g.is_contiguous():
            m0, s0, p_at, m_at, s_at, size, kind, memory, theta, m_vector, s_vector = known
            if (
                m is m0
                and s is s0
                and p.data_ptr() == p_at
                and m.data_ptr() == m_at
                and s.data_ptr() == s_at
                and g.numel() == size
                and p.is_contiguous()
                and g.dtype is kind[0]
                and not g.is_neg()
                and not amsgrad
            ):
                return [theta, g if g.dim() == 1 else g.view(-1), m_vector, s_vector], c, kind, memory
        tensors = real_tensors(p, g, state, amsgrad)
        vectors = _flat(tensors)
        if vectors is None:
            return tensors, c, None, self._memory(p, tensors)
        kind = vectors[0].dtype, vectors[2].dtype, vectors[0].device, amsgrad
        kind = self._kinds.setdefault(kind, kind)
        memory = self._memory(p, vectors)
        if p.numel() < KEPT and not amsgrad and tensors[0] is p and p.is_contiguous():
            addresses = p.data_ptr(), m.data_ptr(), s.data_ptr()
            self._known[id(p)] = m, s, *addresses, p.numel(), kind, memory, vectors[0], *vectors[2:]
        return vectors, c, kind, memory

    def _memory(self, p: Tensor, tensors: list[Tensor]) -> Memory:
        memory = written(tensors)
        last = self._memories.get(id(p))
        if last == memory:
            return last
        self._memories[id(p)] = memory
        return memory


def real_tensors(p: Tensor, g: Tensor, state: dict[str, Any], amsgrad: bool) -> list[Tensor]:
    """theta, g, m, s and, with AMSGrad, s_max, with values that stand in memory as they are."""
    if g.dtype != p.dtype:
        g = g.to(p.dtype)
    tensors = [p, g, state["exp_avg"], state["exp_avg_var"]]
    if amsgrad:
        tensors.append(state["max_exp_avg_var"])
    if type(p) not in PLAIN and hasattr(p, "to_local"):
        tensors = [_local(x, p) for x in tensors]
    tensors[1] = tensors[1].resolve_conj().resolve_neg()
    if p.is_complex():  # a pair of reals, each a parameter of its own
        tensors = [torch.view_as_real(x) for x in tensors]
    return tensors


def written(tensors: Sequence[Tensor]) -> Memory:
    """The memory of what an update of theta, g, m, s (and s_max) writes."""
    ranges: list[int] = []
    for i, x in enumerate(tensors):
        if i != 1:
            ranges += extent(x)
    return tuple(ranges)


def extent(x: Tensor) -> tuple[int, int]:
    """Where the memory of x begins and ends; twice 0 where it has none."""
    try:
        begin = x.data_ptr()
    except RuntimeError:  # a type of its own, which wraps others and has no memory itself
        return 0, 0
    if begin == 0 or x.is_contiguous():
        return begin, begin + x.nbytes if begin else 0
    last = sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True))
    return begin, begin + (last + 1) * x.element_size()


def _local(x: Any, p: Any) -> Tensor:
    """The part of the DTensor x on this process, divided as the parameter p is."""
    if x.placements != p.placements:
        x = x.redistribute(placements=p.placements)
    return cast(Tensor, x.to_local())


def _flat(tensors: list[Tensor]) -> list[Tensor] | None:
    """The tensors as vectors over the same memory, or None where they have no common order."""
    contiguous, size = True, tensors[0].numel()
    for x in tensors:
        if type(x) not in PLAIN or x.numel() != size:
            return None
        contiguous = contiguous and x.is_contiguous()
    if contiguous:
        return [x.view(-1) for x in tensors]
    stride = tensors[0].stride()
    if all(x.stride() == stride and torch.ops.aten.is_non_overlapping_and_dense(x) for x in tensors):
        return [x.as_strided((x.numel(),), (1,)) for x in tensors]
    return None

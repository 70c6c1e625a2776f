"""Which parameters share memory: what packs and reorders updates may not do it to them.

Parameters over one memory come about by ``decoder.weight.data = encoder.weight.data``, by views, or by a
gradient that is set to a parameter's own tensor. An update of one changes what the next one reads, so they go
one after the other, in the order of the parameters, as in the for-loop. Memory is compared by its addresses,
which wait for no device, and what has been compared is kept.
"""

import sys
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise, repeat
from operator import le

from torch import Tensor

from adabelief.steps.param_views import Memory, ParamViews, extent, written

__all__ = ["Overlaps", "overlap_themselves"]

KEPT = 2**14
"""Memories, and addresses of gradients, that are remembered besides those of the step at hand."""


class Overlaps:
    """Tells the parameters that share memory from those that may be updated in any order or at once.

    Parameters that have been found apart are, where they were then; only gradients come to lie anywhere.
    """

    def __init__(self) -> None:
        self._apart: dict[int, Memory] = {}  # by identity, as are the bytes of each one's theta
        self._sizes: dict[int, int] = {}
        self._bounds: list[int] = []  # where the memory of those begins, ends, begins, ...
        self._room: dict[int, int] = {}  # from an address on, the bytes until the next of those

    def part(self, params: list[ParamViews]) -> tuple[list[ParamViews], list[ParamViews]]:
        """The views that share no memory, and those that do, which are to be updated one after the other.

        Views that share memory among themselves come back without their kind: only to be taken whole.
        """
        ids = [id(views[3]) for views in params]
        distinct = set(ids)
        if (
            len(distinct) == len(params)
            and distinct <= self._apart.keys()
            and self._is_read_apart(params, ids)
        ):
            return params, []
        tied, selves = _tied([views[3] for views in params], [extent(views[0][1]) for views in params])
        if not tied:
            self._remember(params, ids)
            return params, []
        free = [views for i, views in enumerate(params) if i not in tied]
        return free, [_whole(params[i]) if i in selves else params[i] for i in sorted(tied)]

    def _is_read_apart(self, params: list[ParamViews], ids: list[int]) -> bool:
        """Whether no gradient lies in the memory of parameters that are apart."""
        # Of a vector, which is as long as theta, the address is enough.
        begins = [0 if views[2] is None else views[0][1].data_ptr() for views in params]
        if not all(map(le, map(self._sizes.__getitem__, ids), map(self._room.get, begins, repeat(-1)))):
            if len(self._room) > KEPT:
                self._room.clear()
            for begin, i in zip(begins, ids, strict=True):
                if begin not in self._room:
                    self._room[begin] = self._room_at(begin)
                if self._room[begin] < self._sizes[i]:
                    return False
        for tensors, _, kind, _ in params:
            if kind is None:
                begin, end = extent(tensors[1])
                if self._room_at(begin) < end - begin:
                    return False
        return True

    def _room_at(self, begin: int) -> int:
        at = bisect_right(self._bounds, begin)
        if begin == 0 or at == len(self._bounds):
            return sys.maxsize
        return 0 if at % 2 else self._bounds[at] - begin

    def _remember(self, params: list[ParamViews], ids: list[int]) -> None:
        """Keep that these are apart; of the older ones, those that may still be in use."""
        memories = {i: views[3] for i, views in zip(ids, params, strict=True)}
        for apart in (self._apart | memories, memories):
            ranges = sorted(_ranges(apart.values()))
            self._apart, self._bounds, self._room = apart, list(chain.from_iterable(ranges)), {}
            self._sizes = {i: memory[1] - memory[0] for i, memory in apart.items()}
            clear = all(end <= begin for (_, end), (begin, _) in pairwise(ranges))
            if clear and len(apart) <= KEPT + len(memories) and self._is_read_apart(params, ids):
                return


def overlap_themselves(tensors: Sequence[Tensor]) -> bool:
    """Whether memory that an update of theta, g, m, s (and s_max) writes is another of them's too."""
    return bool(_tied([written(tensors)], [extent(tensors[1])])[0])


def _tied(memories: Sequence[Memory], gradients: Sequence[tuple[int, int]]) -> tuple[set[int], set[int]]:
    """Which share written memory with another or themselves, and which with themselves."""
    tied: set[int] = set()
    selves: set[int] = set()

    # Ranges that overlap, directly or by others in between, are one block.
    blocks: list[tuple[int, list[int]]] = []
    begins: list[int] = []
    for begin, end, i in sorted((*r, i) for i, memory in enumerate(memories) for r in _ranges([memory])):
        if blocks and begin < blocks[-1][0]:
            last, owners = blocks[-1]
            selves.update({i}.intersection(owners))
            owners.append(i)
            tied.update(owners)
            blocks[-1] = max(last, end), owners
        else:
            begins.append(begin)
            blocks.append((end, [i]))

    for i, (begin, end) in enumerate(gradients):
        at = bisect_right(begins, begin) - 1
        for block_begin, (block_end, owners) in zip(begins[max(at, 0) :], blocks[max(at, 0) :], strict=True):
            if block_begin >= end:
                break
            if begin < block_end:
                tied.update((i, *owners))
                selves.update({i}.intersection(owners))
    return tied, selves


def _ranges(memories: Iterable[Memory]) -> Iterable[tuple[int, int]]:
    """The first and the last address, exclusively, of whatever takes up memory."""
    for memory in memories:
        for begin, end in zip(memory[::2], memory[1::2], strict=True):
            if begin < end:
                yield begin, end


def _whole(views: ParamViews) -> ParamViews:
    tensors, c, _, memory = views
    return tensors, c, None, memory

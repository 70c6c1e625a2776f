"""Estimates the memory of a stack, and how many trials may be stacked at once."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from whichopt.workers.processes import memory_left

SHARE = 0.5
"""Share of the free memory that is used: other workers take some too, and it is only an estimate."""

EVALUATED_BYTES = 2**26
"""Most bytes of an evaluation, which goes through the rows of a stack block by block."""

FULL = ("can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""Message of torch when a CPU has no memory left: a RuntimeError without a class of its own."""


@dataclass(frozen=True)
class Footprint:
    """Bytes that a trial of a stack takes: between steps, at most in a step, and more in an evaluation."""

    resting: int
    stepping: int
    evaluating: int

    @property
    def block(self) -> int:
        """Trials that are evaluated at once."""
        return max(1, EVALUATED_BYTES // max(1, self.evaluating))

    def of(self, trials: int) -> int:
        """Return the most bytes that that many trials take."""
        evaluating = self.resting * trials + self.evaluating * min(trials, self.block)
        return max(self.stepping * trials, evaluating)

    def most(self, device: torch.device) -> int:
        """Return the number of trials that fit the free memory of the device, at least one."""
        free = int(SHARE * free_bytes(device)) - max(EVALUATED_BYTES, self.evaluating)
        return max(1, free // self.stepping)


class Tracker(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all tensors that are made while it is on and still there."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = self.peak = 0
        self.known: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._note(tensor.untyped_storage())
        return made

    def _note(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        if key in self.known:
            return

        def gone(_: weakref.ref[Any]) -> None:
            del self.known[key]
            self.bytes -= size

        self.known[key] = weakref.ref(storage, gone)
        self.bytes += size
        self.peak = max(self.peak, self.bytes)

    def peak_of(self, work: Callable[[], Any]) -> int:
        """The most bytes that there are while `work` runs."""
        self.peak = self.bytes
        work()
        return self.peak


def free_bytes(device: torch.device) -> int:
    """Return the bytes that may still be allocated, by the device, or by the machine and its containers."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    return memory_left()


def is_full(error: BaseException) -> bool:
    """Tell if the error says that memory has run out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in FULL)

"""The start of a trial, seen by hooks of its optimizers at the first step; and the count of their steps."""

from __future__ import annotations

import hashlib
import inspect
import pickle
import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from whichopt.service.guests import Start

MOST_GROUPS = 64
"""Groups whose settings are recorded: a network with an lr for each layer has hundreds."""

NOT_THEIRS = (str(Path(torch.__file__).parent), str(Path(__file__).parent))
"""Folders of the code between a person's line and the hook of an optimizer's step."""

Closure = Callable[[], Any]


class Steps:
    """Counts the steps of a trial's optimizers, and tells once from where the first one began."""

    def __init__(
        self, tell: Callable[[Start], None], lacks_closure: Callable[[str], None] | None = None
    ) -> None:
        """Begin to count.

        Args:
            tell: takes the start.
            lacks_closure: is called with the place of a step without a closure, if steps need one.
        """
        self.optimizers: list[Optimizer] = []
        self.start: Start | None = None
        self._tell = tell
        self._lacks_closure = lacks_closure
        self._counts: list[int] = []

    @property
    def count(self) -> int:
        """Steps so far: those of the optimizer that took most, if there are several."""
        return max(self._counts, default=0)

    def watch(self, optimizer: Optimizer) -> None:
        """Follow this optimizer, too."""
        number = len(self.optimizers)
        self.optimizers.append(optimizer)
        self._counts.append(self._resumed if number == 0 else 0)

        def before_step(stepping: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if self._lacks_closure is not None and _closure(args, kwargs) is None:
                self._lacks_closure(_place_of_step())
            self._counts[number] += 1
            return None if self.start is not None else self._at_first_step(stepping, args, kwargs)

        optimizer.register_step_pre_hook(before_step)

    _resumed = 0

    def resume(self, count: int, start: Start | None) -> None:
        """Go on from a checkpoint."""
        self._resumed, self.start = count, start
        if self._counts:
            self._counts[0] = count

    def is_finite(self) -> bool:
        """Tell if all params that are trained, and their gradients, are finite."""
        with torch.no_grad():
            return all(
                bool(torch.isfinite(tensor).all())
                for param in _trained(self.optimizers)
                for tensor in (param.detach(), param.grad)
                if tensor is not None and not tensor.is_sparse
            )

    def _at_first_step(self, stepping: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = _closure(args, kwargs)
        if given is None:
            self._told(stepping, closure=False)
            return None

        def closure() -> Any:
            loss = given()
            if self.start is None:  # before it there was no gradient, and a later call is another place
                self._told(stepping, closure=True)
            return loss

        if len(args) > 1:
            return (args[0], closure, *args[2:]), kwargs
        return args, {**kwargs, "closure": closure}

    def _told(self, stepping: Optimizer, *, closure: bool) -> None:
        params = list(_trained(self.optimizers))
        gradients = [param.grad for param in _trained([stepping])]
        self.start = Start(
            params=_hash(params),
            gradient=_hash(gradients) if any(one is not None for one in gradients) else None,
            generators=generators(),
            count=sum(param.numel() for param in params),
            groups=tuple(_groups(self.optimizers))[:MOST_GROUPS],
            closure=closure,
        )
        self._tell(self.start)


def _closure(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Closure | None:
    """Return the closure that a step was called with."""
    given: Closure | None = args[1] if len(args) > 1 else kwargs.get("closure")
    return given


def _place_of_step() -> str:
    """Return the line that calls the step: the innermost one of neither torch nor this package."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(NOT_THEIRS):
        frame = frame.f_back
    return "a step" if frame is None else f"{frame.f_code.co_filename}, line {frame.f_lineno},"


def generators() -> dict[str, str]:
    """Return a hash of the state of each random generator."""
    states = {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": pickle.dumps(np.random.get_state(), protocol=4),
        "python": pickle.dumps(random.getstate(), protocol=4),
    }
    if uses_cuda():
        states["cuda"] = torch.cuda.get_rng_state().numpy().tobytes()
    return {name: hashlib.sha256(state).hexdigest()[:16] for name, state in states.items()}


def uses_cuda() -> bool:
    """Tell if this process uses CUDA: no copy of it could."""
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def _trained(optimizers: Iterable[Optimizer]) -> Iterator[Tensor]:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            yield from (param for param in group["params"] if param.requires_grad)


def _hash(tensors: Iterable[Tensor | None]) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        if tensor is None:
            digest.update(b"none")
            continue
        dense = tensor.detach()
        for part in _dense(dense):
            digest.update(str((part.dtype, tuple(part.shape))).encode())
            digest.update(part.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def _dense(tensor: Tensor) -> Iterator[Tensor]:
    if tensor.is_sparse:
        together = tensor.coalesce()
        yield from (together.indices().cpu(), together.values().cpu().contiguous())
    else:
        yield tensor.cpu().contiguous()


def _groups(optimizers: Iterable[Optimizer]) -> Iterator[dict[str, Any]]:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            shown = {name: _shown(value) for name, value in group.items() if name != "params"}
            yield {name: value for name, value in shown.items() if value is not _HIDDEN}


_HIDDEN = object()


def _shown(value: Any) -> Any:
    """Return the value as JSON has it; `_HIDDEN` if JSON has nothing like it."""
    if isinstance(value, Tensor):
        return value.item() if value.numel() == 1 else _HIDDEN
    if isinstance(value, list | tuple):
        inside = [_shown(one) for one in value]
        return _HIDDEN if _HIDDEN in inside else inside
    return value if value is None or isinstance(value, bool | int | float | str) else _HIDDEN

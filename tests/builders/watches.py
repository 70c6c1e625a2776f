"""A watch over a run that remembers what it is told."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import torch

from whichopt.service.trials import Point
from whichopt.workers.engine import State


class Onlooker:
    """A watch that remembers what it is told, and cancels or keeps states when it is told to.

    `states` are as a file would give them back; `cancel_at` is the evaluation at which it says stop.
    """

    def __init__(self, cancel_at: int | None = None, keeping: bool = False) -> None:
        self.cancel_at = cancel_at
        self.keeping = keeping
        self.asked = 0
        self.seen: list[tuple[int, int, list[Point]]] = []
        self.states: list[State] = []

    def cancelled(self) -> bool:
        self.asked += 1
        return self.asked == self.cancel_at

    def progress(self, position: int, examples: int, curve: Sequence[Point]) -> None:
        self.seen.append((position, examples, list(curve)))

    def checkpoint(self, state: Callable[[], State]) -> None:
        if self.keeping:
            file = io.BytesIO()
            torch.save(state(), file)
            file.seek(0)
            self.states.append(torch.load(file, weights_only=True))

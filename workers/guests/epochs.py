"""The epochs of a run, as a range that tells when its loop begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import overload


class Epochs(Sequence[int]):
    """The numbers of the epochs that are left, as a range has them."""

    def __init__(self, left: range, begins: Callable[[], None]) -> None:
        self._left = left
        self._begins = begins

    def __iter__(self) -> Iterator[int]:
        self._begins()
        yield from self._left

    def __len__(self) -> int:
        return len(self._left)

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[int]: ...
    def __getitem__(self, at: int | slice) -> int | Sequence[int]:
        return self._left[at]

    def __repr__(self) -> str:
        return repr(self._left)

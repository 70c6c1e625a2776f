"""What takes long to make and much memory to keep: as much of it as fits a number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar

ValueT = TypeVar("ValueT")


class Cached:
    """Values by key, of which those that were asked for last are kept.

    The last one is kept however large it is, as who asks for it holds it anyway.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = Lock()

    @property
    def bytes(self) -> int:
        """The bytes of all that is kept."""
        with self._lock:
            return sum(size for _, size in self._kept.values())

    def get(self, key: Hashable, make: Callable[[], ValueT], size: Callable[[ValueT], int]) -> ValueT:
        """Return the value of the key, made by `make` if it is not kept; `size` tells its bytes."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                found: ValueT = self._kept[key][0]
                return found
        made = make()
        with self._lock:
            self._kept[key] = made, size(made)
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and sum(size for _, size in self._kept.values()) > self.most_bytes:
                self._kept.popitem(last=False)
        return made

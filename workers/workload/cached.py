"""What takes long to make and much memory to keep: as much of it as fits a number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar

ValueT = TypeVar("ValueT")


class Cached:
    """Values by key, of which those that were asked for last are kept.

    The last one is kept however large it is, as who asks for it holds it anyway. Before another is made, half
    of the bytes are freed.
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
            self._free(self.most_bytes // 2, spared=0)
        made = make()
        with self._lock:
            self._kept[key] = made, size(made)
            self._kept.move_to_end(key)
            self._free(self.most_bytes, spared=1)
        return made

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._kept.clear()

    def _free(self, most_bytes: int, *, spared: int) -> None:
        """Let go of what was not asked for longest until the rest fits; `spared` values stay anyway."""
        while len(self._kept) > spared and sum(size for _, size in self._kept.values()) > most_bytes:
            self._kept.popitem(last=False)

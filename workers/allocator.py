"""Keeps a worker's memory between the steps of a training run, and gives it back afterwards."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Constants of glibc's malloc.h."""

MOST = 2**31 - 1


def _glibc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None


def keep() -> None:
    """Lets freed memory stay with the process; without glibc, does nothing.

    Else each large tensor of each step is fetched anew from the kernel, page by page, which can cost a stack
    of convolutions a third of its time.
    """
    library = _glibc()
    if library is not None:
        library.mallopt(M_TRIM_THRESHOLD, MOST)
        library.mallopt(M_MMAP_THRESHOLD, MOST)


def give_back() -> None:
    """Returns what is kept and not in use."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)

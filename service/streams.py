"""Standard streams as a command finds them: of any encoding, or closed."""

from __future__ import annotations

import io
import os
import sys


def prepare_output() -> None:
    """Let nothing that is printed fail: what an encoding lacks becomes a question mark."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by who started us
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif name == "stdout" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # stderr escapes them by itself


def read_input() -> bytes:
    """Return all of standard input.

    Raises:
        OSError: there is none.
    """
    if sys.stdin is None:
        raise OSError(0, "standard input is closed")
    return sys.stdin.buffer.read()

"""Standard streams as a command finds them: of any encoding, or closed."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator

from service.exit_codes import BROKEN_PIPE


def prepare_output() -> None:
    """Let nothing that is printed fail: what an encoding lacks becomes a question mark."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by who started us
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif name == "stdout" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # stderr escapes them by itself


@contextlib.contextmanager
def quiet_pipe() -> Iterator[None]:
    """End the process with BROKEN_PIPE, and without a word, if who reads its output has closed it."""
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # here, and not as Python ends, which would tell of it
    except (BrokenPipeError, SystemExit) as error:
        # typer and rich end the process themselves, with 1, which says that a job did not succeed.
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            raise
        # What is still in the buffer goes nowhere.
        with contextlib.suppress(OSError, ValueError), open(os.devnull, "w", encoding="utf-8") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        raise SystemExit(BROKEN_PIPE) from None


def read_input() -> bytes:
    """Return all of standard input.

    Raises:
        OSError: there is none.
    """
    if sys.stdin is None:
        raise OSError(0, "standard input is closed")
    return sys.stdin.buffer.read()

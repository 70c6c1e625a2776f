"""The pipe from a child to its parent: one JSON document a line."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

Message = Mapping[str, Any]

CHUNK = 65536


class Sender:
    """The child's end. If the parent is gone, so is the reason to go on."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._process = os.getpid()

    def __call__(self, message: Message) -> None:
        if os.getpid() != self._process:
            raise RuntimeError(
                "a copy of the trial's process cannot report for it: let the process that was given the run "
                "report, and end the others before"
            )
        data = json.dumps(message).encode() + b"\n"  # NaN is written as Python reads it: both ends are ours
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except BrokenPipeError:
            os._exit(1)


class Receiver:
    """The parent's end; it never waits."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.is_open = True
        self._rest = b""

    def read(self) -> list[Message]:
        """Return the messages that have come since; `is_open` is False once no more can come."""
        messages: list[Message] = []
        while self.is_open:
            try:
                data = os.read(self.descriptor, CHUNK)
            except BlockingIOError:
                break
            self.is_open = bool(data)
            *lines, self._rest = (self._rest + data).split(b"\n")
            messages += [_message(line) for line in lines]
        return messages

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.descriptor)
        self.is_open = False


def _message(line: bytes) -> Message:
    """Return the message of a line; that it is none, if something else was written there."""
    try:
        message = json.loads(line)
    except ValueError:
        message = None
    if isinstance(message, dict):
        return message
    detail = (
        f"something else was written into the pipe by which its process reports, {line[:40]!r}: write only "
        "to the files and descriptors that the function has opened itself"
    )
    return {"fault": {"code": "function_failed", "detail": detail}}

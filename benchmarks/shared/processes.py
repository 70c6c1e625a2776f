"""Processes that are started, have imported and are warm before the clock runs, and begin together."""

from __future__ import annotations

import multiprocessing as mp
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

R = TypeVar("R")
SPAWN = mp.get_context("spawn")

PROCESSES = 2
"""Number of processes that train side by side."""


class Crew(Generic[R]):
    """Processes that wait for the start."""

    def __init__(self, connections: list[Connection]) -> None:
        self._connections = connections

    def run(self) -> tuple[float, list[R]]:
        """Starts them all: the seconds until the last was done, and what each gave."""
        started = time.perf_counter()
        for connection in self._connections:
            connection.send("go")
        results: list[R] = [connection.recv() for connection in self._connections]
        return time.perf_counter() - started, results


@contextmanager
def crew(count: int, prepare: Callable[..., Callable[[], R]], *arguments: Any) -> Iterator[Crew[R]]:
    """`count` processes, each of which has called `prepare(*arguments)` and will call what that returned.

    Raises:
        EOFError: a process ended before its time; its error is on stderr.
    """
    with members(count, _member, prepare, arguments) as connections:
        yield Crew(connections)


@contextmanager
def members(count: int, target: Callable[..., None], *arguments: Any) -> Iterator[list[Connection]]:
    """Connections to `count` processes that run `target` over theirs, once each has said that it is ready."""
    connections, processes = [], []
    for _ in range(count):
        ours, theirs = SPAWN.Pipe()
        process = SPAWN.Process(target=target, args=(theirs, *arguments), daemon=True)
        process.start()
        theirs.close()
        connections.append(ours)
        processes.append(process)
    try:
        for connection in connections:
            connection.recv()
        yield connections
    finally:
        for connection in connections:
            connection.close()
        for process in processes:
            process.join(timeout=10)
            if process.is_alive():
                process.kill()


def _member(connection: Connection, prepare: Callable[..., Callable[[], Any]], arguments: Any) -> None:
    run = prepare(*arguments)
    connection.send("ready")
    connection.recv()
    connection.send(run())

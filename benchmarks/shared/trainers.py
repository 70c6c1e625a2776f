"""Processes that wait, warm, for things to train; whoever is free gets the next.

    with trainers(2, stacked, spec.model_dump_json()) as crew:
        crew.feed(source, sink)

Each process has one torch thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

import torch

from benchmarks.shared.processes import members
from whichopt.service.spec import ResolvedSpec
from whichopt.service.trials import TrialPlan, TrialResult
from whichopt.workers import workload
from whichopt.workers.engine import Unwatched
from whichopt.workers.engine.executors import EXECUTORS

Thing = TypeVar("Thing")
Answer = TypeVar("Answer")


class Trainers(Generic[Thing, Answer]):
    """Processes that answer one thing at a time."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        self._idle = list(connections)
        self.count = len(self._idle)

    def feed(self, source: Callable[[], Thing | None], sink: Callable[[Thing, Answer], None]) -> None:
        """Hands out what `source` gives until that is None, and each answer to `sink`; then all are in.

        Raises:
            EOFError: a process ended before its time; its error is on stderr.
        """
        busy: dict[Any, Thing] = {}
        while True:
            while self._idle and (thing := source()) is not None:
                connection = self._idle.pop()
                connection.send(thing)
                busy[connection] = thing
            if not busy:
                return
            for ready in wait(list(busy)):
                assert isinstance(ready, Connection)
                answer: Answer = ready.recv()
                self._idle.append(ready)
                sink(busy.pop(ready), answer)

    def everyone(self, things: Sequence[Thing]) -> None:
        """Makes each process answer all of `things`, and drops the answers."""
        for connection in self._idle:
            for thing in things:
                connection.send(thing)
        for connection in self._idle:
            for _ in things:
                connection.recv()

    def map(self, things: Sequence[Thing], heard: Callable[[int, Answer], None]) -> None:
        """Hands out all of `things`; `heard` gets the number of each with its answer, as they come."""
        left = iter(range(len(things)))
        taken: dict[int, int] = {}

        def source() -> Thing | None:
            number = next(left, None)
            if number is None:
                return None
            taken[id(things[number])] = number
            return things[number]

        self.feed(source, lambda thing, answer: heard(taken[id(thing)], answer))


AnyTrainers = Trainers[Any, Any]


@contextmanager
def trainers(
    count: int, prepare: Callable[..., Callable[[Any], Any]], *arguments: Any
) -> Iterator[AnyTrainers]:
    """`count` processes, each of which has called `prepare(*arguments)` and answers by what that returned."""
    with members(count, _member, prepare, arguments) as connections:
        yield Trainers(connections)


def _member(
    connection: Connection, prepare: Callable[..., Callable[[Any], Any]], arguments: Sequence[Any]
) -> None:
    torch.set_num_threads(1)
    answer = prepare(*arguments)
    connection.send("ready")
    while True:
        try:
            thing = connection.recv()
        except EOFError:
            return
        connection.send(answer(thing))


def stacked(spec_json: str) -> Callable[[list[TrialPlan]], list[TrialResult]]:
    """In a process: trains cohorts of that spec's workload as a worker does, with the stacked executor."""
    built = workload.build(ResolvedSpec.model_validate_json(spec_json).cataloged)
    executor = EXECUTORS["stacked"]()
    return lambda plans: executor.run(built, plans, Unwatched())

"""A stack on its way: fed, stepped and judged, until its last trial has ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from time import perf_counter

import torch
from torch import Tensor

from whichopt.service.trials import Sample, TrialPlan, TrialResult
from whichopt.workers.engine import State, Watch
from whichopt.workers.engine.beats import Beat, Stopped
from whichopt.workers.engine.growing import share
from whichopt.workers.engine.record import Record
from whichopt.workers.engine.stacked.feed import Feed
from whichopt.workers.engine.stacked.nets import Nets
from whichopt.workers.engine.stacked.stack import LEAST, Stack
from whichopt.workers.workload import Examples, Workload, beside, generator, side_by_side


class Run:
    """The trials of a stack, by their positions in the plans. It stands still at its evaluations, where it
    can be saved and loaded; `block` is how many trials are evaluated at once."""

    def __init__(
        self,
        workload: Workload,
        kind: Nets,
        plans: Sequence[TrialPlan],
        positions: Sequence[int],
        saved: State | None,
        block: int,
    ) -> None:
        self.workload = workload
        self.kind = kind
        self.block = block
        self.records = {
            at: Record(workload, plans[at], workload.splits(plans[at].seeds.split)) for at in positions
        }
        self._assemble()
        if saved is not None:
            rows = [saved["positions"].index(at) for at in positions]
            self.stack.load(saved["tensors"], rows)
            for at, row in zip(positions, rows, strict=True):
                self.records[at].load(saved["records"][row])

    def _assemble(self) -> None:
        """The stack of the trials that are left, as they were at their start."""
        plans = [record.plan for record in self.records.values()]
        self.stack = Stack(self.workload, self.kind, plans)
        shown = [*self.records.values(), *[list(self.records.values())[-1]] * (self.stack.rows - len(plans))]
        self.feed = Feed(
            [record.plan for record in shown], [record.splits for record in shown], self.workload.draw
        )

    def tell(self, watch: Watch) -> None:
        """Tells the watch how far the trials have come."""
        for position, record in self.records.items():
            watch.progress(position, record.examples, record.selection)

    def advance(self, beat: Beat | None = None) -> dict[int, TrialResult]:
        """Trains to the next evaluation and evaluates; the results of the trials that end there, by position.

        `beat` is called between steps; what it raises ends the training there.
        A trial's seconds are what its optimizer took, and its equal share of what else the stack did.
        """
        started, own_before = perf_counter(), self.stack.own_seconds()
        records = list(self.records.values())
        before = records[0].examples
        try:
            losses = self.train(records[0].boundary, beat).tolist()
        except Stopped:
            for record in records:
                record.seconds += (perf_counter() - started) / len(records)
            raise
        scores = self.scores()
        for row, record in enumerate(records):
            record.gauges = self.stack.gauges(row)
        states = [
            record.judge(
                loss, before, partial(scores, row), partial(scores.values.get, row), partial(self._made, row)
            )
            for row, (record, loss) in enumerate(zip(records, losses, strict=False))
        ]
        seconds = perf_counter() - started
        seconds_by_row = [now - then for now, then in zip(self.stack.own_seconds(), own_before, strict=True)]
        shared = max(0.0, seconds - sum(seconds_by_row)) / len(records)
        for record, taken in zip(records, seconds_by_row, strict=True):
            record.seconds += shared + taken
        ended = {}
        for (position, record), state in zip(list(self.records.items()), states, strict=True):
            if state is not None:
                ended[position] = record.result(state)
                del self.records[position]
        if ended and self.records:
            saved = self.stack.state()
            self._assemble()
            self.stack.load(saved, [row for row, state in enumerate(states) if state is None])
        return ended

    def train(self, stop: int, beat: Beat | None = None) -> Tensor:
        """Trains all until each has seen `stop` examples; the mean losses on the way (rows,), in float64.

        They are summed where they are computed, so that no step waits for the device.
        """
        records, device = list(self.records.values()), self.workload.device
        before = seen = records[0].examples
        ticks, length = records[0].steps, records[0].plan.length  # those of players that take turns
        schedules = [record.plan.training.schedule for record in records]
        alike = {schedule: at for at, schedule in enumerate(schedules)}
        firsts = [alike[schedule] for schedule in schedules]
        random = None
        if self.kind.random:
            random = [generator(order, before, device) for order, _ in self.feed.seeds]
        total = torch.zeros(self.stack.rows, dtype=torch.float64, device=device)
        for batch in self.feed.batches(before, stop):
            count = batch.targets.shape[1]
            seen += count
            filled = self.stack.filled(count, last=seen == length)
            shares = _shares(records, firsts, seen, filled)
            losses = self.stack.step(ticks, batch, shares, random)
            total.add_(losses, alpha=count)
            ticks += 1
            for record, its in zip(records, shares, strict=True):
                record.steps += its is not None
                record.examples = seen
            if beat is not None and beat.due:
                beat()
        return total / (seen - before)

    def scores(self) -> Scores:
        """Return the current scores of the networks."""
        return Scores(self.workload, self.stack, self.feed, self.block)

    def _made(self, row: int) -> Sample | None:
        """What the network of that row makes for people to look at."""
        return self.workload.sample(self.stack.net(row), self.feed.whole("test")[row])

    def state(self) -> State:
        """All that another needs to go on from here; its tensors are those in use."""
        return {
            "positions": list(self.records),
            "records": [record.state() for record in self.records.values()],
            "tensors": self.stack.state(),
        }


class Scores:
    """The metrics of every row on a split, evaluated together when they are first asked for."""

    def __init__(self, workload: Workload, stack: Stack, feed: Feed, block: int) -> None:
        self.workload = workload
        self.stack = stack
        self.feed = feed
        self.block = block
        self.known: dict[tuple[str, Sequence[str]], list[dict[str, float]]] = {}
        self.values: dict[int, Tensor | None] = {}

    def __call__(self, row: int, split: str, names: Sequence[str]) -> dict[str, float]:
        if (split, names) not in self.known:
            self.known[split, names] = self._evaluated(split, names)
        return self.known[split, names][row]

    def _evaluated(self, split: str, names: Sequence[str]) -> list[dict[str, float]]:
        """Return the metrics of each row; those by example of the test split are kept as well."""
        examples = self.feed.whole(split)
        metrics: list[dict[str, Tensor]] = []
        for rows in _blocks(len(examples), self.block):
            outputs = self.outputs(examples[rows], rows)
            trials = examples[rows][: len(self.stack.plans) - rows.start]  # without the row that fills up
            for answered, of in zip(outputs, trials, strict=False):
                if split == "test":
                    self.values[len(metrics)] = self.workload.values(answered, of)
                metrics.append(self.workload.criteria.metrics(answered, of.targets, of.unit, names))
        table = torch.stack([torch.stack(list(scores.values())) for scores in metrics]).tolist()
        return [dict(zip(names, values, strict=True)) for values in table]

    def outputs(self, examples: Sequence[Examples], rows: slice) -> Tensor:
        """Return what is judged of those networks, each on its own examples: (rows, N, ...)."""
        if self.workload.answer is not None:
            whole = side_by_side([of.whole for of in examples])
            return self.stack.answers(self.workload.answer, whole, rows)
        parts = _parts([of.inputs for of in examples], self.workload.evaluated)
        return torch.cat([self.stack.outputs(part, rows) for part in parts], dim=1)


def _shares(
    records: Sequence[Record], firsts: Sequence[int], seen: int, filled: Sequence[int | None]
) -> list[float | None]:
    """Return each row's share of the learning rate; None for those whose batch is not full.

    `firsts` is a row of the same schedule for each, so that it is computed once.
    """
    known: dict[tuple[int, int], float | None] = {}
    shares: list[float | None] = []
    for first, own in zip(firsts, filled, strict=True):
        if own is not None and (first, own) not in known:
            known[first, own] = share(records[first].plan, seen, own)
        shares.append(None if own is None else known[first, own])
    return shares


def _parts(inputs: Sequence[Tensor], size: int) -> Iterator[Tensor]:
    """Yield parts (n, size, ...) of n splits; one after the other, as a copy of the whole takes memory."""
    if all(one is inputs[0] for one in inputs):
        yield from torch.split(beside(inputs), size, dim=1)
    else:
        yield from map(beside, zip(*(torch.split(one, size) for one in inputs), strict=True))


def _blocks(rows: int, most: int) -> Iterator[slice]:
    """Rows to evaluate at once: as few equal parts as may be, but never a row alone."""
    count = max(1, min(-(-rows // most), rows // LEAST))
    ends = [rows * part // count for part in range(count + 1)]
    return map(slice, ends, ends[1:])

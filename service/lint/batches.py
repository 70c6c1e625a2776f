"""Rules on the sizes of batches: few steps, a stack for each trial, no room to grow."""

from __future__ import annotations

from collections.abc import Iterator

from whichopt.service.batches import grows
from whichopt.service.lint.sized import fewest_steps, largest
from whichopt.service.space import Int
from whichopt.service.spec import ResolvedOptimizer, ResolvedSpec
from whichopt.service.spec.batching import most, usual_max, values
from whichopt.service.views import LintFinding

FEW_STEPS = 20
"""Least number of steps for which averages and schedules have a meaning."""

MANY_SIZES = 8
"""Sizes of a range from which on trials hardly ever have the same one."""

LEAST_ROOM = 4
"""Times by which a batch should be able to grow: with less, the noise of its gradient can only halve."""


def batch_rules(spec: ResolvedSpec) -> Iterator[LintFinding]:
    """Find sizes that leave few steps, that keep trials apart, or that have no room to grow."""
    if spec.guest is not None:
        return
    told: set[str] = set()
    for place, chosen in enumerate(spec.optimizers):
        path, size = largest(spec, chosen, f"optimizers.{place}.space", steps=True)
        if path not in told:
            told.add(path)
            yield from _few_steps(spec, chosen, path, size)
        yield from _every_size(chosen, f"optimizers.{place}.space.batch_size")
        if grows(chosen.facts.of_training(chosen.default)):
            yield from _room(spec, chosen, f"optimizers.{place}.space.batch_max")


def _few_steps(spec: ResolvedSpec, chosen: ResolvedOptimizer, path: str, size: int) -> Iterator[LintFinding]:
    steps = fewest_steps(spec, chosen)
    if steps >= FEW_STEPS:
        return
    whose = "" if path == "batch_size" else f"{chosen.label}: "
    at_most = "of" if path == "batch_size" else "of up to"
    yield LintFinding(
        code="few_steps",
        severity="warning",
        field=path,
        what=f"{whose}a trial has {steps} steps: {spec.budget.epochs} epochs of {spec.sizes.train} "
        f"examples in batches {at_most} {size}",
        why="optimizers differ over many steps; with so few, only the learning rate matters",
        instead="use smaller batches or more epochs",
    )


def _every_size(chosen: ResolvedOptimizer, field: str) -> Iterator[LintFinding]:
    """Find a range of sizes of which hardly two trials have the same."""
    sizes = chosen.space.get("batch_size")
    if chosen.facts.is_own("batch_size") or not isinstance(sizes, Int):
        return
    count = sizes.high - sizes.low + 1
    if count < MANY_SIZES:
        return
    yield LintFinding(
        code="every_batch_size",
        severity="note",
        field=field,
        what=f"{chosen.label}: batch_size is any of the {count:,} numbers from {sizes.low} to {sizes.high}",
        why="trials are trained at once if their batches have one size; of so many sizes each trial has its "
        "own, and the search takes several times as long",
        instead="give it choices, such as 16, 32, 64, 128 and 256: sizes that differ by less do the same",
    )


def _room(spec: ResolvedSpec, chosen: ResolvedOptimizer, field: str) -> Iterator[LintFinding]:
    """Find a growing batch that somebody has left no room to grow; the usual sizes are not blamed."""
    space = chosen.space
    start, end = most(space["batch_start"]), min(values(space["batch_max"]))
    as_usual = space["batch_start"] == chosen.facts.space.get("batch_start")
    if end >= LEAST_ROOM * start or (as_usual and end == usual_max(start, spec.sizes.train)):
        return
    yield LintFinding(
        code="no_room_to_grow",
        severity="warning",
        field=field,
        what=f"{chosen.label}: the batch starts with {start} examples and may have {end}",
        why=f"its noise goes down with the root of its size, so that a batch that cannot grow "
        f"{LEAST_ROOM} times as large hardly differs from a fixed one",
        instead=f"set batch_max to {LEAST_ROOM * start} or more, or batch_start to less",
    )

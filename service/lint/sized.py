"""The sizes of batches that a job's trials may have, for the rules that depend on them."""

from __future__ import annotations

from collections.abc import Iterator

from whichopt.service.batches import grows
from whichopt.service.spec import ResolvedOptimizer, ResolvedSpec
from whichopt.service.spec.batch_checks import sizes_of
from whichopt.service.spec.batching import values


def largest(
    spec: ResolvedSpec, chosen: ResolvedOptimizer, field: str, *, steps: bool = False
) -> tuple[str, int]:
    """Return the largest batch of the optimizer's trials, and the path in the spec of what says so.

    If its batches grow it is a micro-batch, or, for `steps`, the batch of the first step.
    """
    if steps and grows(chosen.facts.of_training(chosen.default)):
        return f"{field}.batch_start", max(values(chosen.space["batch_start"]))
    return max(sizes_of(spec, chosen, field), key=lambda one: one[1])


def every_size(spec: ResolvedSpec) -> Iterator[tuple[str, int]]:
    """Yield every size of what goes through the network at once, once for each path that says so."""
    seen = set()
    for place, chosen in enumerate(spec.optimizers):
        for one in sizes_of(spec, chosen, f"optimizers.{place}.space"):
            if one not in seen:
                seen.add(one)
                yield one


def fewest_steps(spec: ResolvedSpec, chosen: ResolvedOptimizer) -> int:
    """Return the fewest steps of a whole trial of the optimizer, as if batches that grow kept their start."""
    _, size = largest(spec, chosen, "", steps=True)
    return -(-spec.length // size)

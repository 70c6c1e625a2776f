"""Checks the batches and schedules that a job's trials may have: against the data, the model, the limits.

A default may lie outside of its range, so that the first trial's is checked beside the space.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from whichopt.service.batches import LEAST_PARTS, grows
from whichopt.service.catalog.built_in import Catalog
from whichopt.service.errors import InvalidSpec
from whichopt.service.limits import Limits
from whichopt.service.space import Categorical, Dimension, Float, Int, Value
from whichopt.service.spec.batching import values
from whichopt.service.spec.resolved import ResolvedOptimizer, ResolvedSpec
from whichopt.service.trials import USUAL_STEP

BYTES = 4
"""Bytes of a number in training."""


@dataclass(frozen=True)
class _Said:
    """An optimizer of a job, or that of today's config, and the path of its space, or of its config."""

    chosen: ResolvedOptimizer
    space: str

    def has(self, name: str) -> bool:
        """Tell if a config has a value of that name, about its training."""
        return name in self.chosen.space and not self.chosen.facts.is_own(name)

    def allowed(self, name: str) -> Iterator[tuple[str, Dimension | Value]]:
        """Yield what the trials may have, and what the first one has, each with its path."""
        yield f"{self.space}.{name}", self.chosen.space[name]
        yield f"{self.space.replace('.space', '.default')}.{name}", self.chosen.default[name]

    def sizes(self, name: str) -> list[tuple[str, int]]:
        """Return the sizes of that name that a trial may have, each with a path, the smallest first."""
        found: dict[int, str] = {}
        for path, allowed in self.allowed(name):
            for size in values(allowed):
                found.setdefault(size, path)
        return [(found[size], size) for size in sorted(found)]

    def batch_sizes(self, spec: ResolvedSpec) -> list[tuple[str, int]]:
        """Return each size of a batch, or of a micro-batch if it grows, and the path of what says so."""
        named = next((name for name in ("batch_micro", "batch_size") if self.has(name)), None)
        return [("batch_size", spec.batch_size)] if named is None else self.sizes(named)


def check_batches(spec: ResolvedSpec, catalog: Catalog, limits: Limits) -> None:
    """Check every batch size that a trial of the job may have, and every schedule.

    Raises:
        InvalidSpec: a size is larger than the training split, or too small or too large for the model, a
            growing batch cannot be gathered, or a schedule's milestones lie in its warm-up.
    """
    all_said = [_Said(chosen, f"optimizers.{i}.space") for i, chosen in enumerate(spec.optimizers)]
    if spec.today is not None:
        all_said.append(_Said(spec.today.optimizer, "today.config"))
    checked: set[tuple[str, int]] = set()
    for said in all_said:
        _check_milestones(spec, said)
        if grows(said.chosen.facts.of_training(said.chosen.space)):
            _check_growing(spec, catalog, said)
        for path, size in reversed(said.batch_sizes(spec)):  # an error names the end of a range
            if (path, size) not in checked:
                checked.add((path, size))
                _check_size(spec, catalog, limits, size, path)


def sizes_of(spec: ResolvedSpec, chosen: ResolvedOptimizer, field: str) -> list[tuple[str, int]]:
    """Return each size of a batch, or of a micro-batch if it grows, and the path of what says so.

    Args:
        spec: the job.
        chosen: an optimizer of it.
        field: the path of its space, or of today's config.
    """
    return _Said(chosen, field).batch_sizes(spec)


def _check_milestones(spec: ResolvedSpec, said: _Said) -> None:
    """Raise InvalidSpec if a trial could have a schedule of milestones that its warm-up has not left."""
    if not said.has("schedule") and not said.has("warmup"):
        return
    named = [allowed for _, allowed in said.allowed("schedule")] if said.has("schedule") else []
    names = {name for one in named or [spec.schedule.name] for name in _choices(one)}
    if "step" not in names:
        return
    first = float((spec.schedule.milestones or USUAL_STEP["milestones"])[0])
    path, warmup = "schedule.warmup", spec.schedule.warmup
    if said.has("warmup"):
        ends = ((path, end) for path, allowed in said.allowed("warmup") for end in _choices(allowed))
        path, warmup = max(((path, float(end)) for path, end in ends), key=lambda end: end[1])
    if warmup >= first:
        raise InvalidSpec(
            f"{said.chosen.label}: a warm-up of {warmup:g} ends after the first milestone of the schedule "
            f"'step', which is at {first:g} of the budget; keep the warm-up below that, or leave 'step' out",
            field=path,
            value=warmup,
            allowed=f"less than {first:g}",
        )


def _choices(allowed: Dimension | Value) -> tuple[Value, ...]:
    """Return the values, or the ends of their range."""
    if isinstance(allowed, Categorical):
        return allowed.choices
    return (allowed.low, allowed.high) if isinstance(allowed, Float | Int) else (allowed,)


def _check_size(spec: ResolvedSpec, catalog: Catalog, limits: Limits, size: int, field: str) -> None:
    examples, workload = spec.sizes.train, spec.cataloged
    name = field.rpartition(".")[2]  # a micro-batch is named as such
    if size > examples:
        raise InvalidSpec(
            f"{name} {size} exceeds the {examples} examples of the training split",
            field=field,
            value=size,
            allowed=f"1 to {examples}",
        )
    model = catalog.model(workload.model.name)
    options = model.options(**workload.model.options)
    least = model.least(options, workload.shape)
    total = examples * spec.budget.epochs

    def last(size: int) -> int:
        return total % size or size

    if last(size) < least:
        fitting = next((smaller for smaller in range(size, least - 1, -1) if last(smaller) >= least), least)
        raise InvalidSpec(
            f"with {name} {size} the last of a trial's {total:,} examples make a batch of "
            f"{last(size)}, and batch normalization needs {least}, as one value has no variance; "
            f"set {name} to {fitting}",
            field=field,
            value=size,
            allowed=f"such as {fitting}",
        )
    if model.kept is None:
        return
    held = BYTES * model.kept(options, workload.shape) * size
    if held > limits.activation_bytes:
        fits = limits.activation_bytes * size // held
        smaller = f"set {name} to at most {fits:,}, or make" if fits else "make"
        raise InvalidSpec(
            f"a batch of {size:,} examples would keep {held:,} bytes between the layers while it is "
            f"trained; at most {limits.activation_bytes:,} are allowed (the service's "
            f"WHICHOPT_MAX_ACTIVATION_BYTES). {smaller.capitalize()} the layers smaller",
            field="workload.model",
            value=held,
            allowed=limits.activation_bytes,
        )


def _check_growing(spec: ResolvedSpec, catalog: Catalog, said: _Said) -> None:
    """Raise InvalidSpec if a growing batch could not be gathered from whole micro-batches of the data."""
    model, chosen = catalog.model(spec.cataloged.model.name), said.chosen
    if model.players > 1:
        raise InvalidSpec(
            f"{chosen.label}: the batch grows, but {model.name} has {model.players} players, whose gradients "
            "have different noise; give batch_size a number",
            field=said.space,
            value="adaptive",
            allowed="a fixed batch_size",
        )
    micro = chosen.space["batch_micro"]
    if not isinstance(micro, int):
        raise InvalidSpec(
            f"{chosen.label}: batch_micro must be one number, so that trials can be trained side by side",
            field=f"{said.space}.batch_micro",
            value=micro.allowed() if hasattr(micro, "allowed") else micro,
            allowed="a whole number",
        )
    starts, examples, parts = said.sizes("batch_start"), spec.sizes.train, LEAST_PARTS * micro
    if parts > examples:
        raise InvalidSpec(
            f"{chosen.label}: {LEAST_PARTS} micro-batches of {micro}, as many as a batch needs, "
            f"exceed the {examples} examples of the training split; make batch_micro smaller",
            field=f"{said.space}.batch_micro",
            value=micro,
            allowed=f"at most {examples // LEAST_PARTS}",
        )
    path, least = starts[0]
    if least < parts:
        raise InvalidSpec(
            f"{chosen.label}: a batch that starts with {least} examples has fewer than {LEAST_PARTS} "
            f"micro-batches of {micro}, which say too little of the noise; start with {parts} "
            "or more, or make batch_micro smaller",
            field=path,
            value=least,
            allowed=f"{parts} or more",
        )
    path, smallest = said.sizes("batch_max")[0]
    if smallest < parts:
        raise InvalidSpec(
            f"{chosen.label}: a batch of at most {smallest} examples has fewer than {LEAST_PARTS} "
            f"micro-batches of {micro}; make batch_max {parts} or more, or batch_micro smaller",
            field=path,
            value=smallest,
            allowed=f"{parts} or more",
        )
    path, largest = starts[-1]
    fits = min(smallest, examples)
    if math.ceil(largest / micro) * micro > fits:
        whole = fits // micro * micro
        raise InvalidSpec(
            f"{chosen.label}: the batch may start with {largest} examples, but it may have at most {fits} "
            f"(batch_max, and the {examples} of the training split), in whole micro-batches of {micro} at "
            f"most {whole}",
            field=path,
            value=largest,
            allowed=f"at most {whole}",
        )

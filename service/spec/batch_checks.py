"""Checks the batch sizes that a job's trials may have: against the data, the model and the limits."""

from __future__ import annotations

from whichopt.service.batches import LEAST_PARTS, grows
from whichopt.service.catalog.built_in import Catalog
from whichopt.service.errors import InvalidSpec
from whichopt.service.limits import Limits
from whichopt.service.spec.batching import most, values
from whichopt.service.spec.resolved import ResolvedOptimizer, ResolvedSpec

BYTES = 4
"""Bytes of a number in training."""


def check_batches(spec: ResolvedSpec, catalog: Catalog, limits: Limits) -> None:
    """Check every batch size that a trial of the job may have.

    Raises:
        InvalidSpec: one is larger than the training split, or too small or too large for the model, or a
            growing batch cannot be gathered.
    """
    trained = [(f"optimizers.{i}.space", chosen) for i, chosen in enumerate(spec.optimizers)]
    if spec.today is not None:
        trained.append(("today.config", spec.today.optimizer))
    checked: set[tuple[str, int]] = set()
    for field, chosen in trained:
        if grows(chosen.facts.of_training(chosen.space)):
            _check_growing(spec, catalog, chosen, field)
        for path, size in reversed(sizes_of(spec, chosen, field)):  # an error names the end of a range
            if (path, size) not in checked:
                checked.add((path, size))
                _check_size(spec, catalog, limits, size, path)


def sizes_of(spec: ResolvedSpec, chosen: ResolvedOptimizer, field: str) -> list[tuple[str, int]]:
    """Return each size of a batch, or of a micro-batch if it grows, and the path of what says so."""
    for name in ("batch_micro", "batch_size"):
        if name in chosen.space and not chosen.facts.is_own(name):
            return [(f"{field}.{name}", size) for size in values(chosen.space[name])]
    return [("batch_size", spec.batch_size)]


def _check_size(spec: ResolvedSpec, catalog: Catalog, limits: Limits, size: int, field: str) -> None:
    examples, workload = spec.sizes.train, spec.cataloged
    if size > examples:
        raise InvalidSpec(
            f"batch_size {size} exceeds the {examples} examples of the training split",
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
            f"with batch_size {size} the last of a trial's {total:,} examples make a batch of "
            f"{last(size)}, and batch normalization needs {least}, as one value has no variance; "
            f"set batch_size to {fitting}",
            field=field,
            value=size,
            allowed=f"such as {fitting}",
        )
    if model.kept is None:
        return
    held = BYTES * model.kept(options, workload.shape) * size
    if held > limits.activation_bytes:
        fits = limits.activation_bytes * size // held
        smaller = f"set batch_size to at most {fits:,}, or make" if fits else "make"
        raise InvalidSpec(
            f"a batch of {size:,} examples would keep {held:,} bytes between the layers while it is "
            f"trained; at most {limits.activation_bytes:,} are allowed (the service's "
            f"WHICHOPT_MAX_ACTIVATION_BYTES). {smaller.capitalize()} the layers smaller",
            field="workload.model",
            value=held,
            allowed=limits.activation_bytes,
        )


def _check_growing(spec: ResolvedSpec, catalog: Catalog, chosen: ResolvedOptimizer, field: str) -> None:
    """Raise InvalidSpec if a growing batch could not be gathered from whole micro-batches of the data."""
    model = catalog.model(spec.cataloged.model.name)
    if model.players > 1:
        raise InvalidSpec(
            f"{chosen.label}: the batch grows, but {model.name} has {model.players} players, whose gradients "
            "have different noise; give batch_size a number",
            field=field,
            value="adaptive",
            allowed="a fixed batch_size",
        )
    space, examples = chosen.space, spec.sizes.train
    micro, starts = space["batch_micro"], sorted(values(space["batch_start"]))
    if not isinstance(micro, int):
        raise InvalidSpec(
            f"{chosen.label}: batch_micro must be one number, so that trials can be trained side by side",
            field=f"{field}.batch_micro",
            value=micro.allowed() if hasattr(micro, "allowed") else micro,
            allowed="a whole number",
        )
    if starts[0] < LEAST_PARTS * micro:
        raise InvalidSpec(
            f"{chosen.label}: a batch that starts with {starts[0]} examples has fewer than {LEAST_PARTS} "
            f"micro-batches of {micro}, which say too little of the noise; start with {LEAST_PARTS * micro} "
            "or more, or make batch_micro smaller",
            field=f"{field}.batch_start",
            value=starts[0],
            allowed=f"{LEAST_PARTS * micro} or more",
        )
    largest, fits = most(space["batch_start"]), min(min(values(space["batch_max"])), examples)
    if largest > fits:
        raise InvalidSpec(
            f"{chosen.label}: the batch may start with {largest} examples, but it may have at most {fits} "
            f"(batch_max, and the {examples} of the training split)",
            field=f"{field}.batch_start",
            value=largest,
            allowed=f"at most {fits}",
        )

"""The code that makes an optimizer of the catalog with its default."""

from __future__ import annotations

from typing import Any

from whichopt.service.batches import grows
from whichopt.service.catalog.optimizer_entry import OptimizerEntry


def default_code(entry: OptimizerEntry) -> str:
    """Return the lines that make it; if its batches grow, with the batch that gathers them."""
    module, _, cls = entry.build.target.rpartition(".")
    given: dict[str, Any] = {**entry.arguments(entry.default), **entry.build.fixed}
    written = "".join(f"    {name}={value!r},\n" for name, value in given.items())
    params = entry.build.params_code("model.parameters()")
    code = f"from {module} import {cls}\n\noptimizer = {cls}(\n    {params},\n{written})\n"
    own = entry.of_training(entry.default)
    if not grows(own):
        return code
    growth = ", ".join(
        f"{argument}={own[name]!r}"
        for argument, name in (("eta", "batch_eta"), ("start", "batch_start"), ("factor", "batch_growth"))
        if name in own
    )
    return (
        f"from adadagrad import AdaptiveBatch, Growth\n{code}\n"
        f"batch = AdaptiveBatch(model.parameters(), Growth({growth}))\n\n"
        "for inputs, targets in micro_batches:  # of batch.micro examples each\n"
        "    optimizer.zero_grad()\n"
        "    loss(model(inputs), targets).backward()\n"
        "    if batch.add(len(inputs)):  # it is full\n"
        "        optimizer.step()\n"
    )

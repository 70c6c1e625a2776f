"""The networks: builders of the catalog's entries."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from whichopt.service.catalog.models import ModelEntry, ModelOptions
from whichopt.service.catalog.shapes import Shape
from whichopt.workers.plugins.networks import maker
from whichopt.workers.workload.layers import built
from whichopt.workers.workload.quadratic import quadratic
from whichopt.workers.workload.text_networks import lstm, transformer

Builder = Callable[[ModelOptions, Shape], nn.Module]
"""Makes the network that maps inputs (N, features) to outputs (N, outputs)."""

BUILDERS: Mapping[str, Builder] = {
    "lstm": lstm,
    "transformer": transformer,
    "quadratic": quadratic,
}
"""The builder of each model whose entry does not say of which modules it is a chain."""


def builder(entry: ModelEntry) -> Builder:
    """Return what builds the entry's networks."""
    modules, origin = entry.modules, entry.origin
    if origin is not None:
        return lambda options, shape: maker(entry.name, origin, options.model_dump(mode="json"), shape)()
    if modules is None:
        return BUILDERS[entry.builder or entry.name]
    return lambda options, shape: built(modules(options, shape))

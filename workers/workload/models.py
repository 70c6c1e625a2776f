"""The networks: builders of the catalog's entries, and how a seed becomes params."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from whichopt.service.catalog.models import ModelEntry, ModelOptions
from whichopt.service.catalog.shapes import Shape
from whichopt.workers.workload.layers import built

Builder = Callable[[ModelOptions, Shape], nn.Module]
"""Makes the network that maps inputs (N, features) to outputs (N, outputs)."""

BUILDERS: Mapping[str, Builder] = {}
"""The builder of each model whose entry does not say of which modules it is a chain."""


def builder(entry: ModelEntry) -> Builder:
    """Return what builds the entry's networks."""
    modules = entry.modules
    if modules is None:
        return BUILDERS[entry.builder or entry.name]
    return lambda options, shape: built(modules(options, shape))


def initialized(build: Callable[[], nn.Module], seed: int, device: torch.device) -> nn.Module:
    """Call `build` with `seed` as its only randomness; the global generator stays as it was.

    It is drawn on the CPU whatever `device` it ends on, so that both start from the same params.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(_stirred(seed))
        return build().to(device)


@contextmanager
def seeded(seed: int, examples: int, device: torch.device) -> Iterator[None]:
    """Let a network draw in the block (dropout) as `generator` would for the same arguments."""
    accelerators = [] if device.type == "cpu" else [device]
    with torch.random.fork_rng(devices=accelerators, device_type=device.type if accelerators else "cuda"):
        torch.manual_seed(_stirred(seed, examples))
        yield


def generator(seed: int, examples: int, device: torch.device) -> torch.Generator:
    """Return the generator for the moment when `examples` have been seen of the stream that `seed` orders."""
    return torch.Generator(device).manual_seed(_stirred(seed, examples))


def _stirred(*seeds: int) -> int:
    # torch reads the low 32 bits of a seed only; numpy's sequence stirs all of them in.
    return int(np.random.SeedSequence(seeds).generate_state(1)[0])

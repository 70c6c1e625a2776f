"""Seeds as generators: for params, for what a network draws in training, and for what its batches draw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

DRAWS = 1
"""Purpose of what batches draw, so that it is not what a network draws at the same place."""


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


def generator(seed: int, examples: int, device: torch.device, *purpose: int) -> torch.Generator:
    """Return the generator for the moment when `examples` have been seen of the stream that `seed` orders."""
    return torch.Generator(device).manual_seed(_stirred(seed, examples, *purpose))


def _stirred(*seeds: int) -> int:
    # torch reads the low 32 bits of a seed only; numpy's sequence stirs all of them in.
    return int(np.random.SeedSequence(seeds).generate_state(1)[0])

"""The noise of networks that make something of it: drawn anew for each batch, and fixed in evaluations."""

from __future__ import annotations

from dataclasses import replace

import torch

from whichopt.workers.workload.seeds import generator
from whichopt.workers.workload.stream import Batch, Examples, Splits

EVALUATION_SEED = 0
"""Seed of the noise of evaluations, which is the same for every trial."""

PARTS = ("train", "validation", "test")


def drawn(batch: Batch, random: torch.Generator, *, latent: int) -> Batch:
    """Return the batch with normal noise (N, latent)."""
    noise = torch.randn(len(batch.inputs), latent, generator=random, device=random.device)
    return batch._replace(noise=noise)


def with_noise(splits: Splits, *, latent: int) -> Splits:
    """Return the splits with the normal noise (N, latent) of evaluations, another one for each split.

    It is drawn on the CPU, so that it is the same on every device.
    """

    def noisy(place: int, examples: Examples) -> Examples:
        random = generator(EVALUATION_SEED, place, torch.device("cpu"))
        noise = torch.randn(len(examples), latent, generator=random)
        return replace(examples, noise=noise.to(examples.inputs.device))

    return Splits(*(noisy(place, splits.named(part)) for place, part in enumerate(PARTS)))

"""The networks: one builder for each entry of the model catalog, and how a seed becomes params."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from whichopt.service.catalog.models import CNNOptions, MLPOptions, ModelOptions
from whichopt.service.catalog.shapes import Shape

Builder = Callable[[ModelOptions, Shape], nn.Module]
"""Makes the network that maps inputs (N, features) to outputs (N, outputs)."""

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}


def _linear(_: ModelOptions, shape: Shape) -> nn.Module:
    return nn.Linear(shape.features, shape.outputs)


def _mlp(options: ModelOptions, shape: Shape) -> nn.Module:
    assert isinstance(options, MLPOptions)
    activation = ACTIVATIONS[options.activation]
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise((shape.features, *options.hidden)):
        layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers, nn.Linear(options.hidden[-1], shape.outputs))


def _cnn(options: ModelOptions, shape: Shape) -> nn.Module:
    assert isinstance(options, CNNOptions)
    assert shape.image is not None
    activation = ACTIVATIONS[options.activation]
    channels, height, width = shape.image
    layers: list[nn.Module] = [nn.Unflatten(1, shape.image)]
    for inputs, outputs in pairwise((channels, *options.channels)):
        layers += [nn.Conv2d(inputs, outputs, kernel_size=3, padding=1), activation()]
        if min(height, width) >= 4:
            layers.append(nn.MaxPool2d(2))
            height, width = height // 2, width // 2
    head = nn.Linear(options.channels[-1], shape.outputs)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(1), head)


BUILDERS: Mapping[str, Builder] = {"linear": _linear, "mlp": _mlp, "cnn": _cnn}


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

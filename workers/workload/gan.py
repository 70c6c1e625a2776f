"""A generator and a critic as one network, whose parts are called by name; and a linear layer with spectral
normalization that a stack can run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whichopt.service.catalog.generation import GanOptions
from whichopt.service.catalog.model_options import ModelOptions
from whichopt.service.catalog.shapes import Shape
from whichopt.workers.workload.functions import sigmoid

GENERATOR, CRITIC, SLOPES = "generator", "critic", "slopes"
"""What a network is called by: for examples that it makes, for its judgment of some, for slopes of that."""

LEAK = 0.2
"""Slope of the critic's activation below 0, where a ReLU would teach the generator nothing."""

FIRST_ITERATIONS = 15
"""Iterations for the largest singular value at the start, as torch has it; each training call adds one."""

EPS = 1e-12


class Linear(nn.Linear):
    """A linear layer whose weight may be another in use than the one that is trained."""

    def weight_in_use(self, *, iterating: bool) -> Tensor:  # noqa: ARG002
        """Return the weight that inputs are multiplied by."""
        return self.weight


class SpectralLinear(Linear):
    """A linear layer whose weight is divided by its largest singular value.

    The singular vectors `u` and `v` are buffers; each call in training is one power iteration. The values are
    those of `torch.nn.utils.parametrizations.spectral_norm`, which `torch.func.vmap` cannot run.
    """

    u: Tensor
    v: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.register_buffer("u", F.normalize(torch.randn(outputs), dim=0, eps=EPS))
        self.register_buffer("v", F.normalize(torch.randn(inputs), dim=0, eps=EPS))
        for _ in range(FIRST_ITERATIONS):
            self._iterate()

    def weight_in_use(self, *, iterating: bool) -> Tensor:
        u, v = self._iterate() if iterating else (self.u.clone(), self.v.clone())
        return self.weight / torch.dot(u, torch.mv(self.weight, v))

    @torch.no_grad()
    def _iterate(self) -> tuple[Tensor, Tensor]:
        u = F.normalize(torch.mv(self.weight, self.v), dim=0, eps=EPS)
        v = F.normalize(torch.mv(self.weight.t(), u), dim=0, eps=EPS)
        self.u.copy_(u)
        self.v.copy_(v)
        return u, v


class Generator(nn.Module):
    """The part that makes examples (N, features) of noise (N, latent); the numbers of an image are from 0 to
    1."""

    def __init__(self, options: GanOptions, shape: Shape) -> None:
        super().__init__()
        widths = (options.latent, *options.hidden, shape.features)
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
        self.bounded = shape.image is not None

    def forward(self, noise: Tensor) -> Tensor:
        x = noise
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        made: Tensor = self.layers[-1](x)
        return sigmoid(made) if self.bounded else made


class Critic(nn.Module):
    """The part that judges examples (N, features) by a number each (N,): the higher, the more real."""

    def __init__(self, options: GanOptions, shape: Shape) -> None:
        super().__init__()
        kind = SpectralLinear if options.spectral_norm else Linear
        self.layers = nn.ModuleList(kind(*pair) for pair in pairwise((shape.features, *options.hidden, 1)))
        self.centered = shape.image is not None

    def forward(self, examples: Tensor, *, iterating: bool = True) -> Tensor:
        """Judge examples; `iterating` is False if the buffers are to stay as they are."""
        x = 2 * examples - 1 if self.centered else examples
        last = len(self.layers) - 1
        for place, layer in enumerate(self.layers):
            assert isinstance(layer, Linear)
            x = F.linear(x, layer.weight_in_use(iterating=iterating and self.training), layer.bias)
            if place < last:
                x = torch.where(x > 0, x, LEAK * x)
        return x.squeeze(-1)


class Gan(nn.Module):
    """A generator and a critic; called by `SLOPES` it gives the gradients (N, features) of the judgments."""

    def __init__(self, options: GanOptions, shape: Shape) -> None:
        super().__init__()
        self.generator = Generator(options, shape)
        self.critic = Critic(options, shape)
        self._parts: Mapping[str, Callable[[Tensor], Tensor]] = {
            GENERATOR: self.generator,
            CRITIC: self.critic,
            SLOPES: self._slopes,
        }

    def forward(self, which: str, x: Tensor) -> Tensor:
        return self._parts[which](x)

    def _slopes(self, x: Tensor) -> Tensor:
        def judged(examples: Tensor) -> Tensor:
            judgments: Tensor = self.critic(examples, iterating=False)
            return judgments.sum()

        slopes: Tensor = torch.func.grad(judged)(x)
        return slopes


def gan(options: ModelOptions, shape: Shape) -> nn.Module:
    """Build the network; its params are drawn from torch's global generator."""
    assert isinstance(options, GanOptions)
    return Gan(options, shape)

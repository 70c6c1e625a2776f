"""Makes the networks that the service describes as chains of torch's modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from whichopt.service.catalog.modules import Module


class Residual(nn.Sequential):
    """A chain of modules whose inputs are added to its outputs."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the inputs plus what the chain makes of them."""
        outputs = inputs
        for module in self:
            outputs = module(outputs)
        return inputs + outputs


class Projected(nn.Sequential):
    """Two chains of modules whose outputs are added."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the sum of what the two make of the inputs."""
        block, shortcut = self
        outputs: Tensor = block(inputs) + shortcut(inputs)
        return outputs


class Joined(nn.Sequential):
    """A chain of modules whose outputs are more channels of its inputs."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the inputs, and behind their channels those that the chain makes of them."""
        outputs = inputs
        for module in self:
            outputs = module(outputs)
        return torch.cat([inputs, outputs], 1)


BLOCKS: Mapping[str, type[nn.Sequential]] = {
    kind.__name__: kind for kind in (Residual, Projected, Joined, nn.Sequential)
}
"""The blocks of modules, by the name that `Module` has for each."""


def built(network: Sequence[Module]) -> nn.Module:
    """Return the network; its params are drawn from torch's global generator, module by module.

    A chain of one module is that module, so that its params have no number before their name.
    """
    made = [_module(one) for one in network]
    return made[0] if len(made) == 1 else nn.Sequential(*made)


def _module(described: Module) -> nn.Module:
    if described.inside is not None:
        return BLOCKS[described.name](*map(_module, described.inside))
    kind: type[nn.Module] = getattr(nn, described.name)
    return kind(*described.arguments, **dict(described.options))

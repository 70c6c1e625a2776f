"""A variational autoencoder: its network, and the task `autoencoding` as functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whichopt.service.catalog.generation import VaeOptions
from whichopt.service.catalog.model_options import ModelOptions
from whichopt.service.catalog.shapes import Shape
from whichopt.service.trials import Sample
from whichopt.workers.workload.criteria import Criteria, Splitting
from whichopt.workers.workload.functions import mean, softplus, total
from whichopt.workers.workload.noise import drawn, with_noise
from whichopt.workers.workload.pictures import MOST, from_0_to_1, pictures
from whichopt.workers.workload.players import Carry, Net, Player
from whichopt.workers.workload.stream import Batch, Examples, Splits

ENCODER, DECODER = "encoder", "decoder"
"""What a network is called by."""


class Vae(nn.Module):
    """An encoder, which gives means and logarithms of variances (N, 2 latent) of inputs (N, features), and a
    decoder, which gives the logits (N, features) of a code (N, latent)."""

    def __init__(self, options: VaeOptions, shape: Shape) -> None:
        super().__init__()
        self.encoder = _chain((shape.features, *options.hidden, 2 * options.latent))
        self.decoder = _chain((options.latent, *reversed(options.hidden), shape.features))

    def forward(self, which: str, x: Tensor) -> Tensor:
        layers = {ENCODER: self.encoder, DECODER: self.decoder}[which]
        for layer in layers[:-1]:
            x = F.relu(layer(x))
        outputs: Tensor = layers[-1](x)
        return outputs


def _chain(widths: Sequence[int]) -> nn.ModuleList:
    return nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))


def vae(options: ModelOptions, shape: Shape) -> nn.Module:
    """Build the network; its params are drawn from torch's global generator."""
    assert isinstance(options, VaeOptions)
    return Vae(options, shape)


# -- the task --------------------------------------------------------------------------------------------


def parts(net: Net, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return what each example costs in nats (N,): its reconstruction from one code, and the divergence of
    its codes from the prior."""
    assert batch.noise is not None
    inputs = batch.inputs.flatten(1)
    center, log_variance = net(ENCODER, inputs).chunk(2, dim=-1)
    logits = net(DECODER, center + (log_variance / 2).exp() * batch.noise)
    reconstruction = total(softplus(logits) - inputs * logits)
    return reconstruction, total(center.square() + log_variance.exp() - 1 - log_variance) / 2


def loss(net: Net, batch: Batch, carry: Carry) -> tuple[Tensor, Carry]:
    """Return the negative ELBO, the mean over the batch."""
    reconstruction, divergence = parts(net, batch)
    return mean(reconstruction + divergence), carry


def answer(net: Net, whole: Batch) -> Tensor:
    """Return what each example costs: (N, 2), its reconstruction and its divergence."""
    return torch.stack(parts(net, whole), dim=-1)


def metrics(outputs: Tensor, targets: Tensor, unit: float, names: Sequence[str]) -> dict[str, Tensor]:
    return {name: by_example(outputs, targets, unit, name).mean() for name in names}


def by_example(outputs: Tensor, targets: Tensor, unit: float, name: str) -> Tensor:  # noqa: ARG001
    reconstruction, divergence = outputs.double().unbind(dim=-1)
    return {
        "negative_elbo": reconstruction + divergence,
        "reconstruction": reconstruction,
        "kl": divergence,
    }[name]


def reference(splits: Splits) -> Tensor:
    """Return what the test examples cost if each number is foretold by its mean in training."""
    inputs = splits.train.inputs.flatten(1)
    least = 0.5 / len(
        inputs
    )  # or the first ink of a pixel that has none in training would cost infinitely much
    foretold = inputs.double().mean(dim=0).clamp(least, 1 - least)
    tested = splits.test.inputs.flatten(1).double()
    cost = -(tested * foretold.log() + (1 - tested) * (1 - foretold).log()).sum(dim=1)
    return torch.stack([cost, torch.zeros_like(cost)], dim=1)


def _made_for(criteria: Criteria, options: ModelOptions) -> Criteria:
    assert isinstance(options, VaeOptions)
    return replace(
        criteria,
        draw=partial(drawn, latent=options.latent),
        prepared=partial(with_noise, latent=options.latent),
    )


def _on(criteria: Criteria, shape: Shape, splitting: Splitting) -> Criteria:  # noqa: ARG001
    def sample(net: Net, examples: Examples) -> Sample | None:
        noise = examples.whole.noise
        assert noise is not None
        logits: Tensor = net(DECODER, noise[:MOST])
        return pictures(logits.sigmoid(), shape)

    return replace(criteria, sample=sample)


AUTOENCODING = Criteria(
    metrics=metrics,
    by_example=by_example,
    followed=("negative_elbo", "reconstruction", "kl"),
    players=lambda names: (Player("vae", tuple(names), loss),),
    answer=answer,
    reference=reference,
    made_for=_made_for,
    fitted_on=_on,
    scaled=from_0_to_1,
)
"""A code and its reconstruction are learned of inputs from 0 to 1, each the chance of ink."""

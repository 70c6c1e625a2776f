"""Two players and a VAE: the models `gan` and `vae`, and points on a ring that a generator is to meet."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, StrictBool

from whichopt.service.catalog.dataset_entry import DatasetEntry, DatasetOptions
from whichopt.service.catalog.model_entry import ModelEntry
from whichopt.service.catalog.model_options import ModelOptions
from whichopt.service.catalog.shapes import Shape
from whichopt.service.numeric import REAL, WHOLE

Width = Annotated[int, Field(ge=1, le=8192), WHOLE]
Latent = Annotated[int, Field(ge=1, le=1024), WHOLE]
Hidden = Annotated[tuple[Width, ...], Field(min_length=1, max_length=16)]


class GanOptions(ModelOptions):
    latent: Latent = Field(default=8, description="Numbers of noise that an example is made of.")
    hidden: Hidden = Field(
        default=(128, 128), description="Widths of the hidden layers, of the generator and of the critic."
    )
    loss: Literal["nonsaturating", "wgan-gp"] = Field(
        default="nonsaturating",
        description="What the players follow: the logistic loss, of which the generator maximizes the chance "
        "to be taken for real, or the Wasserstein loss with a gradient penalty.",
    )
    penalty: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False), REAL] = Field(
        default=10.0, description="Weight of the gradient penalty, with the loss `wgan-gp` alone."
    )
    spectral_norm: StrictBool = Field(
        default=False, description="Division of the critic's weights by their largest singular value."
    )
    critic_steps: Annotated[int, Field(ge=1, le=100), WHOLE] = Field(
        default=1, description="Steps of the critic for each of the generator's."
    )


class VaeOptions(ModelOptions):
    latent: Latent = Field(default=8, description="Numbers of a code.")
    hidden: Hidden = Field(
        default=(128,), description="Widths of the encoder's hidden layers; the decoder has them in reverse."
    )


class RingOptions(DatasetOptions):
    modes: Annotated[int, Field(ge=2, le=100), WHOLE] = Field(
        default=8, description="Gaussians, at equal distances on a circle."
    )
    radius: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False), REAL] = Field(
        default=2.0, description="Radius of the circle."
    )
    deviation: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False), REAL] = Field(
        default=0.1, description="Standard deviation of each Gaussian, in both directions."
    )
    examples: Annotated[int, Field(ge=100, le=100_000), WHOLE] = Field(
        default=20_000, description="Points in all."
    )


def _chain(widths: Sequence[int]) -> int:
    """The params of linear layers of these widths."""
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(widths))


def _gan(options: ModelOptions, shape: Shape) -> int:
    assert isinstance(options, GanOptions)
    generator = _chain((options.latent, *options.hidden, shape.features))
    return generator + _chain((shape.features, *options.hidden, 1))


def _gan_keeps(options: ModelOptions, shape: Shape) -> int:
    """A critic's step is the larger: it judges what is real and what is made, and with a penalty also what
    lies between, there and back."""
    assert isinstance(options, GanOptions)
    judged = 5 if options.loss == "wgan-gp" else 2
    hidden = sum(options.hidden)
    return 2 * options.latent + 1 + hidden + 2 * judged * (shape.features + 2 * hidden + 1)


def _vae(options: ModelOptions, shape: Shape) -> int:
    assert isinstance(options, VaeOptions)
    encoder = _chain((shape.features, *options.hidden, 2 * options.latent))
    return encoder + _chain((options.latent, *reversed(options.hidden), shape.features))


def _vae_keeps(options: ModelOptions, shape: Shape) -> int:
    assert isinstance(options, VaeOptions)
    return 6 * shape.features + 4 * sum(options.hidden) + 10 * options.latent


def _ring(options: DatasetOptions) -> Shape:
    assert isinstance(options, RingOptions)
    return Shape(options.examples, 2, 2)


GAN = ModelEntry(
    name="gan",
    title="Generator and critic",
    params=_gan,
    about="Two multilayer perceptrons with the same hidden widths. The critic learns to tell examples of the "
    "data from those that the generator makes of noise, and the generator to be taken for the data. Each has "
    "its own optimizer, both of the same config. Options: the loss nonsaturating or wgan-gp (with its "
    "penalty), spectral normalization of the critic, and the critic's steps for each of the generator's.",
    options=GanOptions,
    kept=_gan_keeps,
    tasks=("generation",),
    players=2,
)

VAE = ModelEntry(
    name="vae",
    title="Variational autoencoder",
    params=_vae,
    about="An encoder to the mean and variance of a Gaussian code, and a decoder to the chance of ink of "
    "each number of the input; both are multilayer perceptrons.",
    options=VaeOptions,
    kept=_vae_keeps,
    tasks=("autoencoding",),
)

RING = DatasetEntry(
    name="ring",
    title="Gaussians on a ring, generated",
    task="generation",
    shape=_ring,
    source="generated with a fixed seed: points around equally distant places on a circle",
    options=RingOptions,
)

MODELS = (GAN, VAE)

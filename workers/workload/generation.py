"""The task `generation` as functions: a generator and a critic, and what is judged of the samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from whichopt.service.catalog.datasets import DatasetOptions
from whichopt.service.catalog.generation import GanOptions, RingOptions
from whichopt.service.catalog.model_options import ModelOptions
from whichopt.service.catalog.shapes import Shape
from whichopt.service.trials import Sample
from whichopt.workers.workload.criteria import Criteria, Features, Labels, Splitting
from whichopt.workers.workload.functions import mean, softplus, total
from whichopt.workers.workload.gan import CRITIC, GENERATOR, SLOPES
from whichopt.workers.workload.judge import MOST_EXAMPLES, POINT, SEED, Judge, judge, sliced_wasserstein
from whichopt.workers.workload.noise import with_noise
from whichopt.workers.workload.pictures import from_0_to_1, pictures, points
from whichopt.workers.workload.players import Carry, Loss, Net, Player
from whichopt.workers.workload.stream import Batch, Examples, Splits
from whichopt.workers.workload.table import Table

POINTS = 256
"""Points of a sample."""

RING_SEED = 0

MOST_CLASSES = 1000
"""Labels of which there are more are no classes."""

FLAT = 1e-12
"""Added to the square of a slope's length, which has no gradient at 0."""


def ring(options: DatasetOptions) -> Table:
    """Return points around equally distant places on a circle, as many at each as at any other; the labels
    are the places."""
    assert isinstance(options, RingOptions)
    random = np.random.default_rng(RING_SEED)
    place = random.permutation(np.arange(options.examples) % options.modes)
    angle = 2 * np.pi * place / options.modes
    centers = options.radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return Table(centers + options.deviation * random.standard_normal(centers.shape), place)


# -- the players -----------------------------------------------------------------------------------------


def drawn(batch: Batch, random: torch.Generator, *, latent: int) -> Batch:
    """Return the batch with what its steps draw (N, 2 latent + 1): the critic's noise, the generator's, and
    for each example a place between a real and a made one."""
    count, place = len(batch.inputs), random.device
    normal = torch.randn(count, 2 * latent, generator=random, device=place)
    between = torch.rand(count, 1, generator=random, device=place)
    return batch._replace(noise=torch.cat([normal, between], dim=1))


def players(names: Sequence[str], options: GanOptions) -> tuple[Player, ...]:
    """Return the critic, which steps first, and the generator."""
    of_critic, of_generator = LOSSES[options.loss](options)
    own = {part: tuple(name for name in names if name.startswith(f"{part}.")) for part in (CRITIC, GENERATOR)}
    return (
        Player(CRITIC, own[CRITIC], of_critic),
        Player(GENERATOR, own[GENERATOR], of_generator, every=options.critic_steps),
    )


def _of_the_critic(net: Net, batch: Batch, latent: int) -> tuple[Tensor, Tensor, Tensor]:
    """The real examples, the made ones, and a place between each two."""
    assert batch.noise is not None
    made = net(GENERATOR, batch.noise[:, :latent]).detach()
    return batch.inputs.flatten(1), made, batch.noise[:, -1:]


def _of_the_generator(net: Net, batch: Batch, latent: int) -> Tensor:
    """What the critic says of made examples."""
    assert batch.noise is not None
    judged: Tensor = net(CRITIC, net(GENERATOR, batch.noise[:, latent : 2 * latent]))
    return judged


def _nonsaturating(options: GanOptions) -> tuple[Loss, Loss]:
    def of_critic(net: Net, batch: Batch, carry: Carry) -> tuple[Tensor, Carry]:
        real, made, _ = _of_the_critic(net, batch, options.latent)
        return mean(softplus(-net(CRITIC, real))) + mean(softplus(net(CRITIC, made))), carry

    def of_generator(net: Net, batch: Batch, carry: Carry) -> tuple[Tensor, Carry]:
        return mean(softplus(-_of_the_generator(net, batch, options.latent))), carry

    return of_critic, of_generator


def _wasserstein(options: GanOptions) -> tuple[Loss, Loss]:
    def of_critic(net: Net, batch: Batch, carry: Carry) -> tuple[Tensor, Carry]:
        real, made, share = _of_the_critic(net, batch, options.latent)
        steep = (total(net(SLOPES, torch.lerp(real, made, share)).square()) + FLAT).sqrt()
        penalty = options.penalty * mean((steep - 1).square())
        return mean(net(CRITIC, made)) - mean(net(CRITIC, real)) + penalty, carry

    def of_generator(net: Net, batch: Batch, carry: Carry) -> tuple[Tensor, Carry]:
        return -mean(_of_the_generator(net, batch, options.latent)), carry

    return of_critic, of_generator


LOSSES: Mapping[str, Callable[[GanOptions], tuple[Loss, Loss]]] = {
    "nonsaturating": _nonsaturating,
    "wgan-gp": _wasserstein,
}
"""The losses of critic and generator, by the option's name."""


# -- what is judged --------------------------------------------------------------------------------------


def scaled(features: Features, training: Features) -> Features:
    """Points stay as they are, and images are scaled to numbers from 0 to 1."""
    return features if features.shape[1] == POINT else from_0_to_1(features, training)


def answer(net: Net, whole: Batch) -> Tensor:
    """Return as many samples as the split has examples (N, features)."""
    made: Tensor = net(GENERATOR, whole.noise)
    return made


def metrics(
    outputs: Tensor, targets: Tensor, unit: float, names: Sequence[str], *, by: Judge
) -> dict[str, Tensor]:
    """The metrics of samples (N, features), held against the split; NaN if a sample is not finite."""
    del unit
    finite = outputs.isfinite().all()
    samples, real = outputs.double().nan_to_num(0.0, 0.0, 0.0), targets.double().flatten(1)
    return {name: torch.where(finite, _METRICS[name](by, samples, real), torch.nan) for name in names}


_METRICS: Mapping[str, Callable[[Judge, Tensor, Tensor], Tensor]] = {
    "sliced_wasserstein": lambda _, samples, real: sliced_wasserstein(samples, real),
    "frechet": Judge.frechet,
    "modes": lambda by, samples, _: by.modes(samples),
    "high_quality": lambda by, samples, _: by.high_quality(samples),
}


def reference(splits: Splits) -> Tensor:
    """Return samples that all lie at the mean of training."""
    return splits.train.inputs.flatten(1).mean(dim=0).expand(len(splits.test), -1)


def _sample(net: Net, examples: Examples, *, shape: Shape) -> Sample | None:
    made = answer(net, examples.whole)
    return points(made, POINTS) if made.shape[1] == POINT else pictures(made, shape)


def _classes(labels: Labels, training: Labels) -> tuple[Tensor, float]:  # noqa: ARG001
    """The classes of examples, whose labels are their numbers; 0 for all if the labels are none."""
    if np.issubdtype(labels.dtype, np.integer) and labels.min() >= 0 and labels.max() < MOST_CLASSES:
        return torch.from_numpy(labels.astype(np.int64)), 1.0
    return torch.zeros(len(labels), dtype=torch.int64), 1.0


def _made_for(criteria: Criteria, options: ModelOptions) -> Criteria:
    assert isinstance(options, GanOptions)
    return replace(
        criteria,
        players=partial(players, options=options),
        draw=partial(drawn, latent=options.latent),
        prepared=partial(with_noise, latent=options.latent),
    )


def shown(part: Examples) -> Examples:
    """Return the examples of a part that the judge may see, as many as it needs at most."""
    if len(part) <= MOST_EXAMPLES:
        return part
    rows = torch.from_numpy(np.random.default_rng(SEED).permutation(len(part))[:MOST_EXAMPLES])
    return replace(part, inputs=part.inputs[rows], targets=part.targets[rows])


def _on(criteria: Criteria, shape: Shape, splitting: Splitting) -> Criteria:
    """The judge is fitted on what is outside the test split, whose labels no player sees."""
    labeled = splitting(replace(criteria, encode=_classes))
    parts = [shown(part) for part in (labeled.train, labeled.validation)]
    inputs = torch.cat([part.inputs.flatten(1) for part in parts])
    labels = torch.cat([part.targets for part in parts])
    by = judge(inputs, labels if len(torch.bincount(labels).nonzero()) > 1 else None)
    return replace(criteria, metrics=partial(metrics, by=by), sample=partial(_sample, shape=shape))


def _unjudged(outputs: Tensor, targets: Tensor, unit: float, names: Sequence[str]) -> dict[str, Tensor]:
    raise NotImplementedError("samples are judged by a yardstick of their data: ask `Criteria.on` for it")


GENERATION = Criteria(
    metrics=_unjudged,
    followed=("sliced_wasserstein", "modes"),
    answer=answer,
    reference=reference,
    made_for=_made_for,
    fitted_on=_on,
    scaled=scaled,
)
"""A generator learns to make examples like those of the data."""

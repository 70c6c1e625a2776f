"""Jobs whose truth is known: what their searches find, and what the finalists give on the fresh seeds.

The unit is the standard deviation of one run's value, over seeds. Lower is better. A job has `optimizers`
labels; each has a merit, and R studies. A study searches: each of its configs has a true value, which is the
merit plus luck, and is tried once; the one with the best searched value is chosen, so it is the luckiest
trial, and its true value differs from study to study. The default is one more config of the label, worse than
the others are on the average. The finalists' runs on a fresh seed share what the seed does to all of them
(the pairing), share what it does to those of one label, and have noise of their own.

`benchmarks.calibration` judges such jobs by the product's whole path, and `power.chances` by a faster one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from whichopt.service.planning.looks import looks, stages

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Noise = Literal["normal", "t3", "skewed"]

SEARCHED = 8
"""Configs of a study, unless a world has others."""

BEHIND = 3.0
"""By how much the labels that do not contend are worse."""

STRONG: dict[str, Any] = {"pairing": 0.95, "own": 0.01}
"""The paired difference of two optimizers' runs has a standard deviation of 0.32 of a run's."""

WEAK: dict[str, Any] = {"pairing": 0.05, "own": 0.05}
"""Of 1.38."""


@dataclass(frozen=True)
class World:
    """A scenario. `lead` is by how much the first label's merit is better than that of all others; or the
    first `contenders` have equal merits, and the others are far behind (where few contend, a false winner has
    few to beat); or merits are drawn from a normal prior with standard deviation `merits`."""

    name: str
    optimizers: int = 6
    seeds: int = 10
    replicates: int = 3
    noise: Noise = "normal"
    pairing: float = 0.5
    """Share of a run's variance that its seed's luck is, common to all."""
    own: float = 0.1
    """Share of it that is the seed's luck with one label."""
    unequal: float = 1.0
    """The noise's scale is 1 / this for the first label, this for the second, and between them for others."""
    luck: float = 0.3
    """Standard deviation of the true values of a study's configs."""
    lead: float = 0.0
    contenders: int | None = None
    merits: float | None = None
    grid: float | None = None
    """Values are rounded to multiples of it, as a count of right answers is."""

    study_skew: float = 0.0
    """Standard deviation of a further piece of luck of each study, which is exponential (skewness 2), and of
    the scale that runs have for that label."""

    searched: int = SEARCHED
    """Configs that a study tries."""

    @property
    def symmetric(self) -> bool:
        return self.noise != "skewed" and not self.study_skew

    @property
    def arms(self) -> int:
        return self.optimizers * (self.replicates + 1)

    def planned(self, rules: int) -> tuple[int, ...]:
        """Fresh seeds after each stage of confirm."""
        return looks(self.seeds) if rules < 2 else stages(self.seeds, self.arms, self.optimizers)

    @property
    def most_seeds(self) -> int:
        """The most fresh seeds of an arm, by whatever rules."""
        return max(self.planned(rules)[-1] for rules in (1, 2))


@dataclass(frozen=True)
class Found:
    """What the searches of drawn jobs found: `merits` is jobs x labels, `truth` jobs x labels x arms.

    A label's arms are its studies' choices, and then its default. `searched` has the searched value of each
    study's choice, jobs x labels x studies, and `scale` the noise's scale of each label.
    """

    merits: Floats
    truth: Floats
    searched: Floats
    scale: Floats


def search(world: World, jobs: int, random: np.random.Generator) -> Found:
    """Draw what the searches of `jobs` jobs of the world find."""
    import numpy as np

    labels, studies = world.optimizers, world.replicates
    merits = np.zeros((jobs, labels))
    merits[:, 0] -= world.lead
    if world.contenders is not None:
        merits[:, world.contenders :] += BEHIND
    if world.merits is not None:
        merits += world.merits * random.standard_normal((jobs, labels))
    luck = world.luck * random.standard_normal((jobs, labels, studies, world.searched))
    tried = luck + random.standard_normal((jobs, labels, studies, world.searched))
    chosen = tried.argmin(axis=3, keepdims=True)
    chosen_luck = np.take_along_axis(luck, chosen, axis=3)[..., 0]
    default = world.luck * (1 + random.standard_normal((jobs, labels, 1)))
    truth = merits[:, :, None] + np.concatenate([chosen_luck, default], axis=2)
    exponents = np.asarray([-1.0, 1.0, *np.linspace(-1, 1, labels)[1:-1]])[:labels]
    scale = world.unequal**exponents
    if world.study_skew:
        further = (
            scale[:, None] * world.study_skew * (random.standard_exponential((jobs, labels, studies)) - 1)
        )
        truth[:, :, :studies] += further
    return Found(
        merits=merits,
        truth=truth,
        searched=merits[:, :, None] + np.take_along_axis(tried, chosen, axis=3)[..., 0],
        scale=scale,
    )


class Runs(NamedTuple):
    """Runs on fresh seeds: `values` is jobs x labels x arms x seeds, and `shared` is what a seed does to all
    runs of a label, jobs x labels x seeds."""

    values: Floats
    shared: Floats


def train(world: World, found: Found, truth: Floats, seeds: int, random: np.random.Generator) -> Runs:
    """Draw the runs of arms on fresh seeds.

    Args:
        truth: the true values of the arms that run, jobs x labels x arms.
        seeds: number of fresh seeds.
    """
    import numpy as np

    jobs, labels, arms = truth.shape
    run_share = 1 - world.pairing - world.own
    common = np.sqrt(world.pairing) * random.standard_normal((jobs, 1, 1, seeds))
    by_label = np.sqrt(world.own) * random.standard_normal((jobs, labels, 1, seeds))
    noise = np.sqrt(run_share) * noise_of(world.noise, random, (jobs, labels, arms, seeds))
    values = truth[..., None] + common + found.scale[:, None, None] * (by_label + noise)
    if world.grid is not None:
        values = np.round(values / world.grid) * world.grid
    return Runs(values, (common + found.scale[:, None, None] * by_label)[:, :, 0])


def noise_of(kind: Noise, random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Draw noise with mean 0 and variance 1; `skewed` is exponential (skewness 2), with a few bad runs."""
    import numpy as np

    if kind == "t3":
        return np.asarray(random.standard_t(3, shape) / np.sqrt(3))
    if kind == "skewed":
        return np.asarray(random.standard_exponential(shape) - 1)
    return random.standard_normal(shape)

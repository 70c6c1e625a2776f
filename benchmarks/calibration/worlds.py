"""Jobs whose truth is known: what their searches found, and what the finalists gave on the fresh seeds.

The unit is the standard deviation of one run's value, over seeds. Lower is better. A job has `optimizers`
labels; each has a merit, and R studies. A study searches: each of its configs has a true value, which is the
merit plus luck, and is tried once; the one with the best searched value is chosen, so it is the luckiest
trial, and its true value differs from study to study. The default is one more config of the label, worse than
the others are on the average. The finalists' runs on a fresh seed share what the seed does to all of them
(the pairing), share what it does to those of one label, and have noise of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from whichopt.service.catalog import optimizers
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable, Ties, champions
from whichopt.service.planning.finalists import Finalist
from whichopt.service.planning.looks import champion_looks, first_stage, looks
from whichopt.service.states import Origin

Floats = NDArray[np.float64]
Noise = Literal["normal", "t3", "skewed"]

SEARCHED = 8
"""Configs of a study."""

BEHIND = 3.0
"""By how much the labels that do not contend are worse."""


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

    @property
    def symmetric(self) -> bool:
        return self.noise != "skewed" and not self.study_skew

    @property
    def arms(self) -> int:
        return self.optimizers * (self.replicates + 1)

    def planned(self, rules: int) -> tuple[int, ...]:
        """Fresh seeds after each stage of confirm."""
        if rules < 2:
            return looks(self.seeds)
        first = first_stage(self.seeds)
        later = champion_looks(self.seeds, self.arms, self.optimizers)
        return (first, *(first + more for more in later))

    @property
    def most_seeds(self) -> int:
        """The most fresh seeds of an arm, by whatever rules."""
        return max(self.planned(rules)[-1] for rules in (1, 2))


@dataclass(frozen=True)
class Jobs:
    """Drawn jobs: `values` is jobs x arms x seeds, `truth` jobs x arms, `merits` jobs x labels, `searched`
    the searched value of each study's choice, jobs x labels x studies. A label's arms are its studies'
    choices, and then its default. `shared` is what a seed does to all runs of a label, jobs x labels x seeds,
    and `scale` that of a label's own noise."""

    world: World
    values: Floats
    truth: Floats
    merits: Floats
    searched: Floats
    shared: Floats
    scale: Floats

    def confirm_table(self, job: int, seeds: int, rules: int = 1) -> ConfirmTable:
        """The table of one job after its first `seeds` fresh seeds.

        By rules 2 it is that of the champions, if these have more seeds than the first stage.
        """
        first = seeds if rules < 2 else self.world.planned(rules)[0]
        arms = finalists_of(self.world.optimizers, self.world.replicates)
        every = self._table(job, arms, range(first), rules, None)
        if rules < 2 or seeds <= first:
            return every
        return self._table(job, champions(every), range(first, seeds), rules, every)

    def _table(
        self,
        job: int,
        arms: Sequence[Finalist],
        seeds: range,
        rules: int,
        first: ConfirmTable | None,
    ) -> ConfirmTable:
        rows = self.values[job][self.places(arms), seeds.start : seeds.stop].tolist()
        return ConfirmTable(
            arms=tuple(arms),
            seeds=tuple(seeds),
            values=tuple(map(tuple, rows)),
            validation=(None,) * len(arms),
            diverged=(0,) * len(arms),
            sign=1.0,
            ties={arm.label: _ties(arm.optimizer) for arm in arms},
            rules=rules,
            first=first,
        )

    def places(self, arms: Sequence[Finalist]) -> list[int]:
        """The places of the arms among all of the job."""
        every = finalists_of(self.world.optimizers, self.world.replicates)
        return [every.index(arm) for arm in arms]


def label_of(number: int) -> str:
    return f"o{number:02}"


@lru_cache
def _ties(name: str) -> Ties:
    names = [entry.name for entry in optimizers.OPTIMIZERS]
    return Ties(optimizers.optimizer(name).state_bytes, names.index(name))


@lru_cache
def finalists_of(count: int, replicates: int) -> tuple[Finalist, ...]:
    names = [entry.name for entry in optimizers.OPTIMIZERS]
    return tuple(
        Finalist(
            label=label_of(number),
            optimizer=names[number % len(names)],
            config={"lr": float(study + 1)},
            replicates=() if study == replicates else (study,),
            is_default=study == replicates,
            origin=Origin.DEFAULT if study == replicates else Origin.TPE,
            searched_value=None,
        )
        for number in range(count)
        for study in range(replicates + 1)
    )


def simulate_jobs(world: World, jobs: int, seed: int) -> Jobs:
    """`jobs` jobs of the world: a pure function of its arguments."""
    random = np.random.default_rng([seed, *world.name.encode()])
    labels, studies, arms = world.optimizers, world.replicates, world.replicates + 1
    merits = np.zeros((jobs, labels))
    merits[:, 0] -= world.lead
    if world.contenders is not None:
        merits[:, world.contenders :] += BEHIND
    if world.merits is not None:
        merits += world.merits * random.standard_normal((jobs, labels))
    luck = world.luck * random.standard_normal((jobs, labels, studies, SEARCHED))
    tried = luck + random.standard_normal((jobs, labels, studies, SEARCHED))
    chosen = tried.argmin(axis=3, keepdims=True)
    chosen_luck = np.take_along_axis(luck, chosen, axis=3)[..., 0]
    default = world.luck * (1 + random.standard_normal((jobs, labels, 1)))
    truth = merits[:, :, None] + np.concatenate([chosen_luck, default], axis=2)
    exponents = np.asarray([-1.0, 1.0, *np.linspace(-1, 1, labels)[1:-1]])
    scale = world.unequal**exponents
    if world.study_skew:
        further = (
            scale[:, None] * world.study_skew * (random.standard_exponential((jobs, labels, studies)) - 1)
        )
        truth[:, :, :studies] += further
    run_share = 1 - world.pairing - world.own
    seeds = world.most_seeds
    common = np.sqrt(world.pairing) * random.standard_normal((jobs, 1, 1, seeds))
    by_label = np.sqrt(world.own) * random.standard_normal((jobs, labels, 1, seeds))
    noise = np.sqrt(run_share) * noise_of(world.noise, random, (jobs, labels, arms, seeds))
    values = truth[..., None] + common + scale[:, None, None] * (by_label + noise)
    if world.grid is not None:
        values = np.round(values / world.grid) * world.grid
    return Jobs(
        world=world,
        values=values.reshape(jobs, labels * arms, seeds),
        truth=truth.reshape(jobs, labels * arms),
        merits=merits,
        searched=merits[:, :, None] + np.take_along_axis(tried, chosen, axis=3)[..., 0],
        shared=(common + scale[:, None, None] * by_label)[:, :, 0],
        scale=scale,
    )


def noise_of(kind: Noise, random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """With mean 0 and variance 1; `skewed` is exponential (skewness 2): now and then a run is much worse."""
    if kind == "t3":
        return np.asarray(random.standard_t(3, shape) / np.sqrt(3))
    if kind == "skewed":
        return np.asarray(random.standard_exponential(shape) - 1)
    return random.standard_normal(shape)

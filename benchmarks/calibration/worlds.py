"""Jobs of `whichopt.service.evidence.power.worlds`, each with its tables of confirm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from whichopt.service.catalog import optimizers
from whichopt.service.evidence.power.worlds import World, search, train
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable, Ties, champions
from whichopt.service.planning.finalists import Finalist
from whichopt.service.states import Origin

Floats = NDArray[np.float64]


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
    found = search(world, jobs, random)
    runs = train(world, found, found.truth, world.most_seeds, random)
    return Jobs(
        world=world,
        values=runs.values.reshape(jobs, world.arms, world.most_seeds),
        truth=found.truth.reshape(jobs, world.arms),
        merits=found.merits,
        searched=found.searched,
        shared=runs.shared,
        scale=found.scale,
    )

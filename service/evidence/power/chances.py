"""The chance that each verdict names a true leader, by its lead: before a job is paid for.

Jobs of `power.worlds` are drawn and judged at each look as the product judges them (`verdict.many_tables`), a
few thousand at once: only the champions run after the first stage, and nothing but the two verdicts is
computed. `python -m benchmarks.calibration --plan` holds the chances against the product's whole path.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from whichopt.service.evidence.power.worlds import STRONG, WEAK, Found, World, search, train
from whichopt.service.evidence.statistics.estimates import ALPHA
from whichopt.service.evidence.verdict.many_tables import config_winners, pooled_spreads, study_winners
from whichopt.service.planning.looks import ChampionLook

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

DRAWS, FEW_DRAWS = 2000, 1000
"""Jobs that are drawn for chances, and for a budget: a chance of a half has a Monte Carlo error of 0.011 and
0.016."""

FEWEST_DRAWS = 250
"""At least so many; a chance of a half has an error of 0.032 then."""

MOST_NUMBERS = 3_000_000
"""Random numbers of one simulation, from which on there are fewer draws: about 0.1 s."""

MOST_SEARCHED = 200

_STREAM = 20_260_303
"""First word of the seed of the draws."""


@dataclass(frozen=True)
class Design:
    """What of a job bears on its chances: optimizers, studies and trials of each, fresh seeds, and whether
    runs with the same seed are strongly paired, as in most of the calibration's worlds."""

    optimizers: int
    replicates: int
    seeds: int
    study_trials: int
    strong: bool = True
    most_draws: int = DRAWS

    @property
    def world(self) -> World:
        return World(
            "plan",
            optimizers=self.optimizers,
            replicates=self.replicates,
            seeds=self.seeds,
            searched=self.simulated_trials,
            **(STRONG if self.strong else WEAK),
        )

    @property
    def simulated_trials(self) -> int:
        """The trials of a drawn study: the luck of the best of more hardly differs."""
        return min(max(1, self.study_trials), MOST_SEARCHED)

    @property
    def draws(self) -> int:
        """The number of jobs that are drawn."""
        planned = self.world.planned(2)
        runs = self.world.arms * planned[0] + self.optimizers * (planned[-1] - planned[0])
        numbers = runs + 2 * self.optimizers * self.replicates * self.simulated_trials
        return max(FEWEST_DRAWS, min(self.most_draws, MOST_NUMBERS // numbers))


@lru_cache(maxsize=512)
def config_chances(design: Design, leads: tuple[float, ...]) -> tuple[float, ...]:
    """Return the chance, by lead, that the config verdict names an arm that is truly better than every arm of
    the other optimizers.

    Args:
        leads: by how much the expected value of one optimizer's configs is better than that of all others',
            in standard deviations of a run over seeds.
    """
    if design.optimizers < 2:
        return (0.0,) * len(leads)
    drawn = _drawn(design)
    return tuple(drawn.config(lead) for lead in leads)


@lru_cache(maxsize=512)
def optimizer_chances(design: Design, leads: tuple[float, ...]) -> tuple[float, ...]:
    """Return the chance, by lead, that the optimizer verdict names the leader."""
    if design.replicates < 2 or design.optimizers < 2:
        return (0.0,) * len(leads)
    _, first, _ = _first_stage(design)
    chances = []
    for lead in leads:
        losses = first[:, :, : design.replicates].copy()
        losses[:, 0] -= lead
        best, named = study_winners(losses)
        chances.append(float((named & (best == 0)).mean()))
    return tuple(chances)


@dataclass(frozen=True)
class Drawn:
    """Drawn jobs without a lead, which only moves the values of the first label: it changes nobody's choice.

    `truth` is jobs x labels x arms, `first` the same x seeds, and `later` jobs x labels x seeds of the
    champions alone; `champions` are the arms of these.
    """

    planned: tuple[int, ...]
    truth: Floats
    first: Floats
    spreads: Floats
    champions: NDArray[np.intp]
    later: Floats

    def config(self, lead: float) -> float:
        """The share of the jobs in which the config verdict names a true leader: at the first look at which
        it names any."""
        import numpy as np

        jobs, _, _ = self.truth.shape
        rows = np.arange(jobs)
        truth = self.truth.copy()
        truth[:, 0] -= lead
        best_of_label = truth.min(axis=2)
        is_open, is_right = np.ones(jobs, dtype=bool), np.zeros(jobs, dtype=bool)
        for look in self._looks():
            label, arm, named = self._named(look, lead)
            others = best_of_label.copy()
            others[rows, label] = np.inf
            is_right |= is_open & named & (truth[rows, label, arm] < others.min(axis=1))
            is_open &= ~named
        return float(is_right.mean())

    def _looks(self) -> list[ChampionLook]:
        """The looks at which the config verdict tests: those after the first stage, if there are any."""
        return [ChampionLook(self.planned, seeds) for seeds in self.planned[1:] or self.planned]

    def _named(
        self, look: ChampionLook, lead: float
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
        """The label and the arm with the best mean in each job, and if it is named at that look."""
        import numpy as np

        jobs, labels, arms = self.truth.shape
        if look.champions:
            losses = self.later[:, :, : look.champions].copy()
            losses[:, 0] -= lead
            tail = look.config_level(ALPHA / 2)
            label, named = config_winners(losses, self.spreads, range(labels), tail)
            return label, self.champions[np.arange(jobs), label], named
        losses = self.first.copy()
        losses[:, 0] -= lead
        owners = np.repeat(np.arange(labels), arms)
        best, named = config_winners(
            losses.reshape(jobs, labels * arms, -1),
            self.spreads[:, owners][:, :, owners],
            owners.tolist(),
            look.config_level(ALPHA / (2 * arms)),
        )
        return best // arms, best % arms, named


@lru_cache(maxsize=1)
def _drawn(design: Design) -> Drawn:
    import numpy as np

    found, first, random = _first_stage(design)
    planned = design.world.planned(2)
    champions = first.mean(axis=3).argmin(axis=2)
    truth = np.take_along_axis(found.truth, champions[:, :, None], axis=2)
    later = train(design.world, found, truth, planned[-1] - planned[0], random).values[:, :, 0]
    return Drawn(planned, found.truth, first, pooled_spreads(first), champions, later)


def _first_stage(design: Design) -> tuple[Found, Floats, np.random.Generator]:
    """Draw the searches and the first stage of confirm; the generator goes on from there."""
    import numpy as np

    world = design.world
    random = np.random.default_rng([_STREAM, design.strong])
    found = search(world, design.draws, random)
    return found, train(world, found, found.truth, world.planned(2)[0], random).values, random

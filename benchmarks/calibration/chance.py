"""Whether a stated probability of being best comes true as often, over `calibration_scenarios.PRIOR`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.calibration.worlds import Floats, simulate_jobs
from whichopt.service.evidence.power.worlds import World
from whichopt.service.evidence.verdict.probability import config_probabilities, study_probabilities
from whichopt.service.versions import RULES

BINS = 10
DRAWS = 2**11


@dataclass(frozen=True)
class Chances:
    """Stated probabilities, and whether what they were stated of was so (1) or not (0)."""

    stated: Floats
    came: Floats

    @property
    def brier(self) -> float:
        return float(((self.stated - self.came) ** 2).mean())

    @property
    def constant_brier(self) -> float:
        """Of one who always states how often it happens."""
        return float(self.came.var())

    @property
    def bins(self) -> list[tuple[float, float, int]]:
        """Of each tenth that has any: the mean stated, how often it came, and of how many."""
        place = np.minimum((self.stated * BINS).astype(int), BINS - 1)
        return [
            (float(self.stated[place == b].mean()), float(self.came[place == b].mean()), int(count))
            for b in range(BINS)
            if (count := (place == b).sum())
        ]

    @property
    def error(self) -> float:
        """The mean distance of a stated probability from how often its tenth came."""
        return sum(count * abs(stated - came) for stated, came, count in self.bins) / len(self.stated)


def chances(world: World, jobs: int, seed: int, rules: int = RULES) -> dict[str, Chances]:
    """By question; the best config is the best of those that the last look compares."""
    simulated = simulate_jobs(world, jobs, seed)
    stated: dict[str, list[float]] = {"config": [], "optimizer": []}
    came: dict[str, list[bool]] = {"config": [], "optimizer": []}
    arms = world.replicates + 1
    for job in range(jobs):
        table = simulated.confirm_table(job, world.planned(rules)[-1], rules)
        places = simulated.places(table.arms)
        optimizer = study_probabilities(table, world.replicates, seed=job)
        assert optimizer is not None
        probabilities = {"config": config_probabilities(table, seed=job, draws=DRAWS), "optimizer": optimizer}
        best = {
            "config": places[int(simulated.truth[job][places].argmin())] // arms,
            "optimizer": int(simulated.merits[job].argmin()),
        }
        for question, probability in probabilities.items():
            for number, label in enumerate(table.labels):
                stated[question].append(probability[label])
                came[question].append(number == best[question])
    return {q: Chances(np.asarray(stated[q]), np.asarray(came[q], dtype=np.float64)) for q in stated}


def together(parts: list[dict[str, Chances]]) -> dict[str, Chances]:
    return {
        q: Chances(
            np.concatenate([part[q].stated for part in parts]),
            np.concatenate([part[q].came for part in parts]),
        )
        for q in parts[0]
    }

"""The chances that a plan predicts (`whichopt.service.evidence.power.chances`) beside what was counted here.

Both draw jobs of the same worlds. But a plan judges arrays of a few thousand jobs at once, with draws of its
own and only the champions' later runs, while here each job has its tables, its looks and the rule that stops.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.calibration.run import Tally
from benchmarks.calibration.scenarios import LEADS
from whichopt.service.evidence.power.chances import Design, config_chances, optimizer_chances
from whichopt.service.evidence.power.worlds import STRONG, World

MOST_OFF = 0.05
"""By how much a prediction may differ from a count of a thousand jobs."""


class Prediction(NamedTuple):
    """The chance that one verdict names a true leader: as planned, and as counted in so many jobs."""

    world: World
    question: str
    planned: float
    counted: float
    jobs: int

    @property
    def off(self) -> float:
        return abs(self.planned - self.counted)


WORLDS = tuple(world for world in LEADS if world.noise == "normal" and world.unequal == 1.0)
"""The scenarios that a plan knows: its worlds have normal noise with equal scales."""


def predictions(tallies: Sequence[Tally]) -> list[Prediction]:
    """The predictions for those of the tallies that a plan knows the world of."""
    return [
        prediction
        for tally in tallies
        if tally.world in WORLDS and tally.world.lead
        for prediction in _of(tally)
    ]


def _of(tally: Tally) -> list[Prediction]:
    world = tally.world
    strong = world.pairing == STRONG["pairing"]
    design = Design(world.optimizers, world.replicates, world.seeds, world.searched, strong)
    leads = (world.lead,)
    return [
        Prediction(world, question, chance, tally.share(f"staged {question} true"), tally.jobs)
        for question, (chance,) in (
            ("config", config_chances(design, leads)),
            ("optimizer", optimizer_chances(design, leads)),
        )
    ]


def prediction_table(found: Sequence[Prediction]) -> str:
    """One row a scenario and verdict, in percent of the jobs."""
    head = f"{'right winner, % of the jobs':38} {'verdict':>10} {'planned':>8} {'counted':>8} {'off':>5}"
    rows = [
        f"{one.world.name:38} {one.question:>10} {100 * one.planned:>8.1f} {100 * one.counted:>8.1f} "
        f"{100 * (one.planned - one.counted):>+5.1f}"
        for one in found
    ]
    return "\n".join([head, *rows])


def off(found: Sequence[Prediction]) -> list[str]:
    """What is predicted wrong, in words."""
    return [
        f"{one.world.name}: a plan predicts that the {one.question} verdict names the leader in "
        f"{one.planned:.3f} of the jobs, and it was {one.counted:.3f}"
        for one in found
        if one.off > MOST_OFF
    ]

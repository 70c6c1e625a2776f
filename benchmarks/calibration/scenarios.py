"""Which worlds are simulated, and what must hold in them."""

from __future__ import annotations

from typing import Any

from whichopt.service.evidence.power.worlds import STRONG, WEAK, World


def strong(name: str, **rest: Any) -> World:
    return World(name, **STRONG, **rest)


def weak(name: str, **rest: Any) -> World:
    return World(name, **WEAK, **rest)


TIES = (
    World("all tie, 3 optimizers", optimizers=3, luck=0.0),
    World("all tie, 12 optimizers, 5 seeds", optimizers=12, seeds=5),
    World("two tie, 3 optimizers, 5 seeds", optimizers=3, seeds=5, luck=0.0, contenders=2),
    World("two tie", luck=0.0, contenders=2),
    World("two tie, one study each", luck=0.0, contenders=2, replicates=1),
    World("two tie, 12 optimizers, 20 seeds", optimizers=12, seeds=20, luck=0.0, contenders=2),
    strong("two tie, strong pairing", contenders=2),
    weak("two tie, weak pairing", contenders=2),
    World("two tie, t3", noise="t3", luck=0.0, contenders=2),
    World("two tie, unequal variances", unequal=3.0, luck=0.0, contenders=2),
    World("two tie, skewed", noise="skewed", luck=0.0, contenders=2),
    weak("two tie, skewed, unequal", noise="skewed", unequal=3.0, luck=0.0, contenders=2),
    weak(
        "two tie, skewed, unequal, 5 seeds",
        optimizers=3,
        seeds=5,
        noise="skewed",
        unequal=3.0,
        luck=0.0,
        contenders=2,
    ),
    strong("two tie, values in steps of 0.5 sd", luck=0.0, contenders=2, grid=0.5),
    strong("two tie, lucky studies", luck=2.0, contenders=2),
    strong("two tie, lucky studies, 6 each", optimizers=3, replicates=6, luck=2.0, contenders=2),
    World("two tie, seeds favor optimizers", luck=0.0, contenders=2, pairing=0.2, own=0.7),
)
"""The best merit is shared: every winner among the optimizers is false."""

LEADS = (
    *(strong(f"lead {lead:g} sd, strong pairing", lead=lead) for lead in (0.1, 0.25, 0.5, 1.0, 2.0, 2.5)),
    weak("lead 1 sd, weak pairing", lead=1.0),
    weak("lead 2 sd, weak pairing", lead=2.0),
    strong("lead 1 sd, strong pairing, t3", lead=1.0, noise="t3"),
    strong("lead 1 sd, strong pairing, skewed", lead=1.0, noise="skewed"),
    strong("lead 1 sd, strong pairing, unequal", lead=1.0, unequal=3.0),
    strong("lead 1 sd, strong pairing, 6 studies", optimizers=3, replicates=6, lead=1.0),
    strong("lead 2.5 sd, strong pairing, 20 seeds", lead=2.5, seeds=20),
)
"""One optimizer is truly the best."""

CLEAR = ("lead 2.5 sd, strong pairing", "lead 2.5 sd, strong pairing, 20 seeds")
"""Where it is clearly the best: its lead is 8 standard deviations of a paired difference of two runs."""

LIMITS = tuple(
    strong(
        f"two tie, studies skewed, {ratio:g} times wider",
        luck=0.0,
        contenders=2,
        unequal=ratio**0.5,
        study_skew=0.5,
    )
    for ratio in (1, 2, 4)
)
"""Where a promise ends: now and then a study finds a much worse config, and one label's studies much more so
than the other's. Three studies cannot tell that, whatever the test."""

PRIOR = tuple(
    World(f"merits from N(0, {spread:g}), {seeds} seeds", optimizers=4, seeds=seeds, merits=spread)
    for spread in (0.1, 0.2, 0.4, 0.8, 1.6)
    for seeds in (5, 10)
)
"""The stated prior behind the probability of being best: merits of four optimizers are independently normal,
with each of these standard deviations equally often."""

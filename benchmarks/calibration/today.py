"""Keep or switch? Today's config as the twin of the champion that it is held against, judged by its truth.

The twin has the same true value as the best champion of the first stage, and runs with noise of its own like
that champion's; so whatever is said of a difference between the two is false. `lead` is by how much today's
is truly worse than that champion instead. If another optimizer wins, today's is held against the winner: then
the answer is judged by the truth about the two. As with the verdicts, an error at *any* look counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.calibration.scenarios import LEADS, TIES, weak
from benchmarks.calibration.tally import Counts
from benchmarks.calibration.worlds import Floats, Jobs, simulate_jobs
from whichopt.service.evidence.power.worlds import World, noise_of
from whichopt.service.evidence.statistics.estimates import ALPHA
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable
from whichopt.service.evidence.verdict.keep_or_switch import keep_or_switch
from whichopt.service.evidence.verdict.stopping import reason_to_stop_at
from whichopt.service.evidence.verdict.todays_runs import TodaysRuns
from whichopt.service.evidence.verdict.winners import config_verdict
from whichopt.service.planning.looks import ChampionLook

_STREAM = 20_261
"""First word of the seed of today's noise, which shares no stream with the jobs'."""


@dataclass(frozen=True)
class TodayWorld:
    """A scenario of the verdicts, and by how much today's config is truly worse than the champion; `wider` is
    the scale of its own noise as a multiple of the champion's."""

    world: World
    lead: float = 0.0
    wider: float = 1.0

    @property
    def name(self) -> str:
        behind = f"behind by {self.lead:g} sd" if self.lead > 0 else f"ahead by {-self.lead:g} sd"
        noise = "" if self.wider == 1 else f", noise x {self.wider:.2g}"
        return f"today's {'a twin' if not self.lead else behind}{noise}: {self.world.name}"


TWINS = (
    "all tie, 3 optimizers",
    "two tie",
    "two tie, 12 optimizers, 20 seeds",
    "two tie, strong pairing",
    "two tie, weak pairing",
    "two tie, t3",
    "two tie, unequal variances",
    "two tie, skewed",
    "two tie, skewed, unequal, 5 seeds",
    "two tie, values in steps of 0.5 sd",
    "lead 0.5 sd, strong pairing",
    "lead 2 sd, strong pairing",
    "lead 1 sd, weak pairing",
)
"""Scenarios of the verdicts in which today's config is the champion's twin."""

_NAMED = {world.name: world for world in (*TIES, *LEADS)}

TODAYS_WORLDS = (
    *(TodayWorld(_NAMED[name]) for name in TWINS),
    *(
        TodayWorld(weak("two tie, skewed", noise="skewed", luck=0.0, contenders=2, seeds=seeds), wider=wider)
        for seeds in (5, 10)
        for wider in (1 / 3, 3.0)
    ),
    *(TodayWorld(_NAMED["lead 2 sd, strong pairing"], lead) for lead in (0.25, 0.5, -0.5)),
)


class TodayTally(Counts[TodayWorld]):
    """Counts of jobs by what was said of today's config; `runs` are today's, in all jobs."""


ERRORS = ("switch false", "any look switch false", "keep false", "any look keep false")


def run_today(world: TodayWorld, jobs: int, seed: int) -> TodayTally:
    """Judge so many jobs of the scenario; a pure function of its arguments."""
    simulated = simulate_jobs(world.world, jobs, seed)
    random = np.random.default_rng([_STREAM, seed, *world.name.encode()])
    noise = noise_of(world.world.noise, random, (jobs, simulated.values.shape[2]))
    tally = TodayTally(world, jobs)
    for job in range(jobs):
        tally.counts.update(_judge(world, simulated, job, noise[job], tally))
    return tally


def _judge(of: TodayWorld, jobs: Jobs, job: int, noise: Floats, tally: TodayTally) -> set[str]:
    world, planned = of.world, of.world.planned(2)
    first = jobs.confirm_table(job, planned[0], 2)
    unlike = min(range(len(first.labels)), key=lambda i: first.means[first.best(first.labels[i])])
    twin = first.best(first.labels[unlike])
    todays_truth = jobs.truth[job][twin] + of.lead
    own = of.wider * np.sqrt(1 - world.pairing - world.own) * jobs.scale[unlike] * noise
    values = todays_truth + jobs.shared[job, unlike] + own
    if world.grid is not None:
        values = np.round(values / world.grid) * world.grid
    today = TodaysRuns("today", {}, dict(enumerate(values.tolist())), 0)
    events: set[str] = set()
    for seeds in planned[1:]:
        look = ChampionLook(planned, seeds)
        table = _with_today(jobs.confirm_table(job, seeds, 2), today)
        verdict = config_verdict(table, alpha=look.config_level)
        found = keep_or_switch(table, look, verdict)
        assert found.challenger is not None
        assert found.gain is not None
        truth = jobs.truth[job][jobs.places([table.arms[found.challenger]])[0]]
        gain = todays_truth - truth
        said = set()
        if found.answer == "switch":
            said.add(f"switch {'true' if gain > 0 else 'false'}")
        elif found.answer == "keep":
            said.add(f"keep {'true' if gain < 0 else 'false'}")
        events |= {f"any look {one}" for one in said if "false" in one}
        low, high = found.gain.bounds(found.tail)
        if not look.further or reason_to_stop_at(table, look, margin=None, risk=None, seed=job):
            if low is not None and high is not None and low - 1e-9 <= gain <= high + 1e-9:
                said.add("covered")
            tally.runs += seeds
            return events | said
    raise AssertionError("the last look has no further ones")


def _with_today(table: ConfirmTable, today: TodaysRuns) -> ConfirmTable:
    first = None if table.first is None else replace(table.first, today=today)
    return replace(table, first=first, today=today)


# -- what must hold ----------------------------------------------------------------------------------------


def todays_table(tallies: Sequence[TodayTally]) -> str:
    """One row a scenario, in percent of the jobs: at the end / at any look; then the right answers."""
    head = (
        f"{'keep or switch':60} {'K x S':>6} {'false switch':>13} {'false keep':>13} {'covered':>8} "
        f"{'right switch':>13} {'right keep':>11} {'runs':>6}"
    )
    return "\n".join([head, *map(_row, tallies)])


def _row(tally: TodayTally) -> str:
    def both(event: str) -> str:
        return f"{100 * tally.share(event):.1f}/{100 * tally.share(f'any look {event}'):.1f}"

    world = tally.world.world
    return (
        f"{tally.world.name:60} {f'{world.optimizers}x{world.seeds}':>6} {both('switch false'):>13} "
        f"{both('keep false'):>13} {100 * tally.share('covered'):>8.1f} "
        f"{100 * tally.share('switch true'):>13.1f} {100 * tally.share('keep true'):>11.1f} "
        f"{tally.runs / tally.jobs:>6.1f}"
    )


def todays_unmet(
    tallies: Sequence[TodayTally], *, most: float = ALPHA, most_point: float, least_covered: float
) -> list[str]:
    """What does not hold, in words."""
    failures = [
        f"{tally.world.name}: {event} in {tally.share(event):.3f} of the jobs "
        f"(lower bound {tally.lower_bound(event):.3f})"
        for tally in tallies
        for event in ERRORS
        if tally.lower_bound(event) > most or tally.share(event) > most_point
    ]
    return failures + [
        f"{tally.world.name}: covered in {tally.share('covered'):.3f} of the jobs"
        for tally in tallies
        if tally.world.world.symmetric and tally.share("covered") < least_covered
    ]

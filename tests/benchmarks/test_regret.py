"""Regret: nobody sees what picks are judged on, all train the same, what is late does not count."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.regret import __main__ as command
from benchmarks.regret import policies
from benchmarks.regret.policies import ADAMW, OTHERS, Asked, Tuned, other, whichopt
from benchmarks.regret.problems import OPTIMIZERS, Problem, Single, desk, divided_workload, like, plain
from benchmarks.regret.runs import BY_MEAN, OURS, POLICIES, Run, repetition
from benchmarks.regret.standings import behind, met, ranks, standings
from whichopt.service.seeds import trial_seeds
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase
from whichopt.workers.engine import Unwatched
from whichopt.workers.engine.solo import SoloExecutor
from whichopt.workers.workload.data import TABLES

WINE = Problem("wine", {"dataset": {"name": "wine"}, "model": {"name": "linear"}}, batch_size=32, epochs=2)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def spec() -> ResolvedSpec:
    return WINE.spec(6.0, seed=3)


class Clock:
    """Time that passes only where a test lets it, so that no policy gets less done on a busy machine."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the policies."""
    made = Clock()
    monkeypatch.setattr(policies, "time", made)
    return made


class Here:
    """A crew of one, in this process."""

    count = 1

    def __init__(self, answer: Callable[[Any], Any]) -> None:
        self.answer = answer

    def feed(self, source: Callable[[], Any], sink: Callable[[Any, Any], None]) -> None:
        while (thing := source()) is not None:
            sink(thing, self.answer(thing))

    def map(self, things: Sequence[Any], heard: Callable[[int, Any], None]) -> None:
        for number, thing in enumerate(things):
            heard(number, self.answer(thing))

    def everyone(self, things: Sequence[Any]) -> None:
        for thing in things:
            self.answer(thing)


def test_what_picks_are_judged_on_is_what_no_policy_sees(spec: ResolvedSpec) -> None:
    both = divided_workload(spec.workload.model_dump_json(), 5)
    table = TABLES["wine"](None)  # type: ignore[arg-type]
    for seed in (0, 1):
        seen, judged = both.job.splits(seed), both.judge.splits(seed)
        assert torch.equal(seen.train.inputs, judged.train.inputs)
        assert torch.equal(seen.validation.inputs, judged.validation.inputs)
        parts = [seen.train, seen.validation, seen.test, judged.test]
        assert sum(map(len, parts)) == len(table.labels)
        assert len(judged.test) == round(0.25 * len(table.labels))
        # Together they are the whole table, once each, scaled by this division's training split alone.
        together = torch.cat([part.inputs for part in parts]).numpy()
        raw = np.sort(table.features[:, 0])
        slope = np.polyfit(np.sort(together[:, 0]), raw, 1)
        assert np.allclose(np.polyval(slope, np.sort(together[:, 0])), raw, rtol=1e-4)
        assert np.allclose(seen.train.inputs.mean(dim=0), 0, atol=1e-5)
    elsewhere = divided_workload(spec.workload.model_dump_json(), 6)
    assert not torch.equal(elsewhere.judge.splits(0).test.inputs, judged.test.inputs)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_plain_loop_trains_what_the_product_trains(spec: ResolvedSpec, name: str) -> None:
    built = divided_workload(spec.workload.model_dump_json(), 5).job
    chosen = spec.optimizer(name)
    plan = like(spec, trial_seeds(0, Phase.SEARCH, 0)).model_copy(
        update={"label": name, "optimizer": name, "config": chosen.default}
    )
    (result,) = SoloExecutor().run(built, [plan], Unwatched())
    assert result.value == pytest.approx(plain(built, plan, name, chosen.default), rel=1e-5)
    assert plain(built, plan, "sgd", {**spec.optimizer("sgd").default, "lr": 1e38}) == math.inf


def bowl(thing: Single) -> float:
    """Best for SGD by its default, and best of all for AdamW near a learning rate of 0.02."""
    offset = {"sgd": 1.0, "adabelief": 2.0, "adam": 3.0, "adamw": 4.0}[thing.optimizer]
    lr = float(thing.config["lr"])
    return offset if thing.optimizer != "adamw" else 0.1 + abs(math.log10(lr / 0.02))


@pytest.mark.parametrize("name", OTHERS)
def test_the_others_try_defaults_first_and_pick_the_best_validation(
    spec: ResolvedSpec, name: str, clock: Clock
) -> None:
    tried: list[Single] = []

    def answer(thing: Single) -> float:
        tried.append(thing)
        clock.sleep(0.002)
        return bowl(thing)

    pick = other(Here(answer), OTHERS[name](spec), spec, 0, seconds=0.6)  # type: ignore[arg-type]
    defaults = ["adamw"] if name == ADAMW else list(OPTIMIZERS)
    assert [thing.optimizer for thing in tried[: len(defaults)]] == defaults
    for thing in tried[: len(defaults)]:
        assert thing.config == spec.optimizer(thing.optimizer).default
    assert pick.trials in (len(tried), len(tried) - 1)
    assert pick.trials > len(defaults)
    assert pick.value == min(map(bowl, tried[: pick.trials]))
    expected = spec.optimizer(pick.optimizer)
    assert set(pick.config) == set(expected.default)
    if name != ADAMW:
        return
    # A tenth of the log range would hold a random draw in one of ten.
    assert pick.value < 0.5


def test_an_answer_that_comes_too_late_does_not_count(spec: ResolvedSpec, clock: Clock) -> None:
    class Once:
        def __init__(self) -> None:
            self.inner, self.told = Tuned(spec.optimizer("adamw"), 0), 0

        def ask(self) -> Asked:
            return self.inner.ask()

        def tell(self, asked: Asked, value: float) -> None:
            self.told += 1
            self.inner.tell(asked, value)

    asked: list[Single] = []

    def slower(thing: Single) -> float:
        asked.append(thing)
        clock.sleep(0.0 if len(asked) == 1 else 0.5)
        return 1.0 / len(asked)

    policy = Once()
    pick = other(Here(slower), policy, spec, 0, seconds=0.3)  # type: ignore[arg-type]
    assert (pick.trials, policy.told, len(asked)) == (1, 1, 2)
    assert pick.config == spec.optimizer("adamw").default


def test_whichopt_spends_its_minutes_and_picks_what_the_product_recommends() -> None:
    spec = WINE.spec(
        8.0, seed=3
    )  # several times what the least search takes, for a machine beside other work
    pick, best = whichopt(Here(desk()), spec, 5)  # type: ignore[arg-type]
    assert pick.optimizer in OPTIMIZERS
    assert best.value <= pick.value
    assert pick.trials == pick.details["search_trials"] + pick.details["confirm_trials"]
    assert pick.details["fresh_seeds"] >= 3


def made_up() -> list[Run]:
    """Two problems, two repetitions; whichopt is the best of all in three of four."""
    table = {
        ("one", 0): (1.0, 1.1, 1.2, 1.3),
        ("one", 1): (1.0, 1.1, 1.1, 1.3),
        ("two", 0): (2.0, 1.0, 3.0, 4.0),
        ("two", 1): (1.0, 2.0, 3.0, 4.0),
    }
    return [
        Run(problem, repeat, policy, "adam", {}, loss, loss, 0, 10, 1.0, {})
        for (problem, repeat), losses in table.items()
        for policy, loss in (*zip(POLICIES, losses, strict=True), (BY_MEAN, losses[0]))
    ]


def test_ranks_and_their_mean_and_what_a_loss_is() -> None:
    assert ranks([3.0, 1.0, 2.0]) == [3, 1, 2]
    assert ranks([1.0, 1.0, 2.0, math.inf]) == [1.5, 1.5, 3, 4]
    runs = made_up()
    found = standings(runs, POLICIES)
    assert [one.rank for one in found] == [1.25, (2 + 2.5 + 1 + 2) / 4, (3 + 2.5 + 3 + 3) / 4, 4.0]
    assert found[0].low <= found[0].rank <= found[0].high
    assert found[0].firsts == 0.75
    assert (found[3].low, found[3].high) == (4, 4)
    assert met(found)
    assert not met(found[::-1])
    assert behind(runs, "one") == pytest.approx(100 * (1.0 - 1.1) / 1.1)
    assert behind(runs, "two") == pytest.approx(0.0)


def test_the_command_goes_on_from_what_is_kept_and_shows_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Nobody:
        def __enter__(self) -> Nobody:
            return self

        def __exit__(self, *_: object) -> None:
            """Nothing was started."""

    monkeypatch.setattr(command, "trainers", lambda *_: Nobody())
    problems = [Problem(name, WINE.workload, 32, 1) for name in ("one", "two")]
    monkeypatch.setattr(command, "PROBLEMS", tuple(problems))
    kept = tmp_path / "runs.jsonl"
    kept.write_text("".join(json.dumps(vars(run)) + "\n" for run in made_up()))
    files = [f"--{name}={tmp_path / file}" for name, file in (("json", "r.json"), ("plot", "r.png"))]
    assert command.main(["--repeats", "2", "--runs", str(kept), *files]) == 0
    shown = capsys.readouterr().out
    assert "win, 9.1%" in shown
    document = json.loads((tmp_path / "r.json").read_text())
    assert document["met"]
    assert len(document["runs"]) == 20
    with Image.open(tmp_path / "r.png") as image:
        image.verify()
    worse = [{**vars(run), "loss": run.loss + 9 * (run.policy == OURS)} for run in made_up()]
    kept.write_text("".join(json.dumps(run) + "\n" for run in worse))
    assert command.main(["--repeats", "2", "--runs", str(kept)]) == 1
    assert "LOSS" in capsys.readouterr().out


@pytest.mark.slow
def test_a_repetition_judges_all_policies_on_the_same_seeds() -> None:
    runs = repetition(Here(desk()), WINE, 0, 4.0, 3)  # type: ignore[arg-type]
    assert [run.policy for run in runs] == [OURS, BY_MEAN, *OTHERS]
    assert len({run.seconds for run in runs}) == 1
    assert all(math.isfinite(run.value) for run in runs)

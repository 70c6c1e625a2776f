"""The executor: its promises, whatever happens in a child."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.builders.training_functions import ROWS, epoch, fit, guest, plan, score
from tests.builders.watches import Onlooker
from whichopt.service.errors import (
    FunctionFailed,
    FunctionMute,
    FunctionStuck,
    FunctionTooLong,
    UnknownFunction,
)
from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import TrialResult
from whichopt.workers.engine import Cancelled, Unwatched
from whichopt.workers.guests.executor import GuestExecutor
from whichopt.workers.guests.run import Run

NAMED = "tests.builders.training_functions:fit"


def same(one: TrialResult, other: TrialResult) -> bool:
    """Tell if two results are the same in all but time."""
    return one.model_copy(update={"seconds": 0.0}) == other.model_copy(update={"seconds": 0.0})


def run_one(function: Callable[[Run], object], how: str = "fork", **changes: Any) -> TrialResult:
    made = GuestExecutor(isolation=how)  # type: ignore[arg-type]
    return made.run(guest(function), [plan(**changes)], Unwatched())[0]


def processes_of_ours() -> set[int]:
    """Children of this process, and members of their groups."""
    found = set()
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                stat = (place / "stat").read_text()
            except OSError:
                continue
            parent = int(stat.rpartition(")")[2].split()[1])
            if parent == os.getpid():
                found.add(int(place.name))
    return found


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    descriptors, before = set(os.listdir("/proc/self/fd")), processes_of_ours()
    yield
    gc.collect()  # what a test raised holds its executor, whose template ends with it
    assert set(os.listdir("/proc/self/fd")) <= descriptors
    assert processes_of_ours() <= before
    assert list(tmp_path.glob("whichopt-*")) == []


def test_a_result_is_a_function_of_its_plan_whatever_runs_it() -> None:
    plans = [plan("adam"), plan("sgd", seed=2), plan("adam", phase=Phase.CONFIRM)]
    forked = GuestExecutor(isolation="fork", processes=2).run(guest(), plans, Unwatched())
    inline = GuestExecutor(isolation="inline").run(guest(), plans, Unwatched())
    spawned = GuestExecutor().run(guest(None, name=NAMED), plans[2:], Unwatched())
    alone = GuestExecutor().run(guest(), plans[1:2], Unwatched())
    assert all(same(one, other) for one, other in zip(forked, inline, strict=True))
    assert same(spawned[0], forked[2])
    assert same(alone[0], forked[1])
    first = forked[0]
    assert (first.state, first.steps, first.examples) == (TrialState.COMPLETE, 6, 3)
    assert [point[:2] for point in first.curves["validation.loss"]] == [(2, 1), (4, 2), (6, 3)]
    assert first.value == first.metrics["validation"]["loss"] == first.curves["validation.loss"][-1].value
    assert first.start is not None
    assert first.start.count == 4
    assert forked[2].value == forked[2].metrics["test"]["loss"]
    assert forked[0].seconds > 0


def test_what_confirm_is_judged_by() -> None:
    def untested(run: Run) -> None:
        run.report(loss=3.0)

    def best_epoch(run: Run) -> None:
        run.report(loss=3.0)
        run.result(loss=2.0)
        run.test(1.0)

    confirm: dict[str, Any] = {"epochs": 1, "phase": Phase.CONFIRM}
    assert run_one(untested, **confirm).value == 3.0
    assert run_one(best_epoch, **confirm).value == 1.0
    found = run_one(best_epoch, epochs=1)
    assert (found.value, found.metrics, found.examples) == (2.0, {"validation": {"loss": 2.0}}, 1)
    with_baseline = GuestExecutor().run(guest(untested, baseline=9.0), [plan(**confirm)], Unwatched())[0]
    assert with_baseline.reference == {"loss": 9.0}
    with pytest.raises(FunctionFailed, match=r"did not call run\.test, as it did in the rehearsal"):
        GuestExecutor().run(guest(untested, tests=True), [plan(**confirm)], Unwatched())


@pytest.mark.parametrize("how", ["fork", "inline"])
def test_ends_that_are_results(how: str) -> None:
    def worse(run: Run) -> None:
        for at in run.epochs:
            run.report(loss=float(at))

    def swallows(run: Run) -> None:
        for at in range(5):
            with contextlib.suppress(BaseException):  # as a bare `except:` does
                run.report(loss=float(at))
        raise ValueError("after its end")

    def nan(run: Run) -> None:
        run.report(loss=1.0)
        run.report(loss=float("nan"))

    def raises_on_nan(run: Run) -> None:
        model = nn.Linear(3, 1)
        run.optimizer(model)
        run.report(loss=1.0)
        model.weight.data.fill_(torch.nan)
        raise ValueError("Input contains NaN.")

    def exits(run: Run) -> None:
        run.report(loss=1.0)
        sys.exit(0)

    def stops_early(run: Run) -> None:
        run.report(loss=1.0)

    for function in (worse, swallows):
        pruned = run_one(function, how, rungs=[(2, 0.5)])
        assert (pruned.state, pruned.value, pruned.examples) == (TrialState.PRUNED, None, 2)
        assert pruned.metrics == {"validation": {"loss": 1.0}}
    for function in (nan, raises_on_nan):
        diverged = run_one(function, how)
        assert (diverged.state, diverged.value, diverged.metrics) == (TrialState.DIVERGED, None, {})
        assert [point.value for point in diverged.curves["validation.loss"]] == [1.0]
    for function in (exits, stops_early):
        early = run_one(function, how)
        assert (early.state, early.value, early.examples) == (TrialState.COMPLETE, 1.0, 1)


def test_a_function_that_raises_shows_its_traceback_and_its_output() -> None:
    def breaks(run: Run) -> None:
        print("reading the data")  # noqa: T201
        os.write(2, b"from a library\n")
        run.report(loss=1.0)
        raise KeyError("target")

    with pytest.raises(FunctionFailed) as failed:
        run_one(breaks)
    said = str(failed.value)
    assert said.startswith("breaks with adam raised KeyError: 'target'\n\nTraceback (most recent call last):")
    assert 'raise KeyError("target")' in said
    assert "perform" not in said
    assert said.endswith("Its last output:\nreading the data\nfrom a library")
    assert failed.value.label == "adam"

    with pytest.raises(KeyError, match="target") as here:
        run_one(breaks, "inline")
    assert "whichopt ran breaks with adam" in here.value.__notes__[0]


def test_an_optimizer_that_cannot_be_made_fails_in_its_trial() -> None:
    draws = torch.get_rng_state()
    wrong = plan().model_copy(update={"config": {**plan().config, "lr": -1.0}})
    with pytest.raises(
        FunctionFailed, match=r"fit with adam raised ValueError: Invalid learning rate: -1\.0"
    ):
        GuestExecutor().run(guest(fit), [wrong], Unwatched())
    assert torch.equal(torch.get_rng_state(), draws)


def test_a_failure_leaves_the_results_before_it() -> None:
    def second_breaks(run: Run) -> None:
        run.report(loss=1.0)
        if run.plan.number:
            raise KeyError("target")

    with pytest.raises(FunctionFailed) as failed:
        GuestExecutor().run(guest(second_breaks), [plan(), plan(number=1), plan(number=2)], Unwatched())
    assert [result is None for result in failed.value.results] == [False, True, True]


def test_functions_that_report_nothing_or_too_much() -> None:
    def mute(run: Run) -> None:
        del run

    def long(run: Run) -> None:
        for _ in range(20):
            run.report(loss=1.0)

    for how in ("fork", "inline"):
        with pytest.raises(FunctionMute, match=r"call run.report\(loss=...\)"):
            run_one(mute, how)
        with pytest.raises(FunctionTooLong, match=r"loop over run\.epochs"):
            run_one(long, how)


def test_a_trial_that_was_killed_runs_once_more_alone(tmp_path: Path) -> None:
    mark, both = tmp_path / "mark", tmp_path / "both"

    def killed_once(run: Run) -> None:
        if run.plan.number == 0 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if run.plan.number == 1:
            both.touch()
        fit(run)

    plans = [plan(), plan(number=1)]
    watch = Onlooker()
    results = GuestExecutor(processes=2).run(guest(killed_once), plans, watch)
    assert same(results[0], run_one(fit))
    assert both.exists()

    def always_killed(run: Run) -> None:
        del run
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(FunctionFailed, match=r"was ended by signal 9 \(SIGKILL\)"):
        run_one(always_killed)


def test_a_trial_without_memory_runs_once_more(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    def short_once(run: Run) -> None:
        if not mark.exists():
            mark.touch()
            raise torch.OutOfMemoryError("CUDA out of memory")
        fit(run)

    assert same(run_one(short_once), run_one(fit))

    def always_short(run: Run) -> None:
        raise MemoryError(str(run.lr))

    with pytest.raises(FunctionFailed, match="raised MemoryError"):
        run_one(always_short)


def test_an_exit_without_a_word_is_told() -> None:
    def leaves(run: Run) -> None:
        del run
        os._exit(3)

    with pytest.raises(FunctionFailed, match="ended with exit status 3"):
        run_one(leaves)
    with pytest.raises(FunctionFailed, match="it exits with 'no data'"):
        run_one(lambda _: sys.exit("no data"))


def test_what_is_stuck_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    grandchild = tmp_path / "grandchild"

    def hangs(run: Run) -> None:
        run.report(loss=1.0)
        if (pid := os.fork()) == 0:
            time.sleep(60)
        grandchild.write_text(str(pid))
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)

    with pytest.raises(FunctionStuck, match=r"no report came for 0\.5 s"):
        GuestExecutor(stuck_s=0.5).run(guest(hangs), [plan()], Unwatched())
    state = Path("/proc") / grandchild.read_text() / "stat"
    assert not state.exists() or ") Z " in state.read_text()


def test_a_child_that_never_reaches_the_function_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whichopt.workers.guests.cohort.perform", lambda *_, **__: time.sleep(60))
    with pytest.raises(FunctionStuck, match="isolation='inline'"):
        GuestExecutor(first_sign_s=0.3).run(guest(fit), [plan()], Unwatched())


@pytest.mark.parametrize("how", ["fork", "inline"])
def test_cancelled_gives_back_what_there_is(how: str) -> None:
    class Once(Onlooker):
        def cancelled(self) -> bool:
            return len(self.seen) >= 5  # four reports and an end of the first trial

    def waits(run: Run) -> None:
        for at in run.epochs:
            if run.plan.number and at:
                time.sleep(0 if how == "inline" else 60)
            run.report(loss=1.0)

    plans = [plan(number=number) for number in range(3)]
    executor = GuestExecutor(isolation=how)  # type: ignore[arg-type]
    with pytest.raises(Cancelled) as cancelled:
        executor.run(guest(waits), plans, Once())
    done, begun, rest = cancelled.value.results
    assert done is not None
    assert begun is not None
    assert (done.state, begun.state, rest) == (TrialState.COMPLETE, TrialState.CANCELLED, None)
    assert (begun.examples, begun.value, begun.metrics) == (1, None, {"validation": {"loss": 1.0}})


def test_progress_is_told_in_epochs() -> None:
    watch = Onlooker()
    GuestExecutor().run(guest(fit), [plan()], watch)
    assert [(position, examples, len(curve)) for position, examples, curve in watch.seen] == [
        (0, 1, 1),
        (0, 2, 2),
        (0, 3, 3),
        (0, 3, 3),
    ]


def test_a_resumed_cohort_goes_on_where_it_was_kept(tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    def kept(run: Run) -> None:
        fitted, validation = run.split(ROWS)
        model = nn.Linear(3, 1)
        optimizer = run.optimizer(model)
        scheduler = run.scheduler(optimizer, 2)
        run.keep(model=model, optimizer=optimizer, scheduler=scheduler)
        torch.rand(5)  # what is drawn before the loop is drawn again, and changes nothing
        for at in run.epochs:
            with ran.open("a") as file:
                file.write(f"{run.plan.number}:{at} ")
            epoch(model, optimizer, fitted)
            run.report(loss=score(model, validation))

    plans = [plan(), plan(number=1, seed=2)]
    watch = Onlooker(keeping=True)
    often = guest(kept, checkpoint_s=0.0)
    results = GuestExecutor().run(often, plans, watch)
    middle = next(state for state in watch.states if state["kept"] and state["results"])
    epochs_kept = len(middle["kept"]["1"]["reports"])
    assert epochs_kept < 3
    ran.unlink()
    again = Onlooker()
    resumed = GuestExecutor().run(often, plans, again, middle)
    assert all(same(one, other) for one, other in zip(results, resumed, strict=True))
    assert ran.read_text().split() == [f"1:{at}" for at in range(epochs_kept, 3)]
    assert [(position, examples) for position, examples, _ in again.seen[:2]] == [(0, 3), (1, epochs_kept)]


def test_a_name_is_imported_only_if_it_is_allowed(tmp_path: Path) -> None:
    witness = tmp_path / "witness.py"
    seen = "from pathlib import Path\nPath(__file__).with_suffix('.seen').touch()\n"
    witness.write_text(f"{seen}def fit(run): 1 / 0\n")
    allowed = guest(None, name=NAMED, allow=(NAMED,))
    assert same(GuestExecutor().run(allowed, [plan()], Unwatched())[0], run_one(fit))
    named = f"{witness}:fit"
    with pytest.raises(UnknownFunction, match="the operator allows"):
        GuestExecutor().run(guest(None, name=named, allow=(named,)), [plan()], Unwatched())
    assert not witness.with_suffix(".seen").exists()
    with pytest.raises(FunctionFailed, match="ZeroDivisionError"):
        GuestExecutor().run(guest(None, name=named), [plan()], Unwatched())
    assert witness.with_suffix(".seen").exists()


def test_a_script_is_a_function_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import os, sys\nfrom whichopt.workers.guests.by_hand import run as run_of\n"
        "run = run_of(minimize='loss')\n"
        "if __name__ == '__main__':\n    for _ in run.epochs:\n"
        "        secrets = sum(name.startswith('WHICHOPT') for name in os.environ)\n"
        "        run.report(loss=float(sys.argv[1]), secrets=secrets)\n"
    )
    monkeypatch.setenv("WHICHOPT_DATABASE_URL", "postgresql://u:p@h/d")
    named = guest(None, name=str(script), arguments=("0.5",))
    result = GuestExecutor().run(named, [plan()], Unwatched())[0]
    assert result.metrics == {"validation": {"loss": 0.5, "secrets": 0.0}}


def test_each_child_gets_its_gpu() -> None:
    def tells(run: Run) -> None:
        run.report(loss=float(os.environ["CUDA_VISIBLE_DEVICES"]))

    plans = [plan(number=number) for number in range(2)]
    both = GuestExecutor(processes=2, gpus=("3", "5")).run(guest(tells), plans, Unwatched())
    assert {result.value for result in both} <= {3.0, 5.0}
    assert both[0].value == 3.0

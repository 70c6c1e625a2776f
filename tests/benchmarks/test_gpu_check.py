"""The check of a GPU, without one: what it runs, what it skips, and that it can fail."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.gpu_check import __main__ as command
from benchmarks.gpu_check import checks
from benchmarks.gpu_check.__main__ import Outcome
from benchmarks.gpu_check.checks import Check
from benchmarks.gpu_check.failures import Failed
from whichopt.workers.engine import Unwatched
from whichopt.workers.engine.solo import SoloExecutor

pytestmark = pytest.mark.timeout(900)


def _run(*options: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "benchmarks.gpu_check", "--device=cpu", *options]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_checks_run_on_a_cpu_and_what_says_nothing_there_is_skipped(tmp_path: Path) -> None:
    ran = _run("--only=adabelief-paths", "--only=agrees-with-cpu", f"--out={tmp_path}")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = json.loads((tmp_path / "gpu_check.json").read_text())
    states = {check["check"]: (check["state"], check["detail"]) for check in told["checks"]}
    assert states["adabelief-paths"][0] == "passed"
    assert states["agrees-with-cpu"] == ("skipped", "needs a GPU")
    assert told["machine"]["torch"] == torch.__version__
    table = (tmp_path / "gpu_check.md").read_text()
    assert "| agrees-with-cpu | skipped |" in table
    assert "| driver | none |" in table


@pytest.mark.slow
def test_every_check_passes_or_is_skipped_on_a_cpu(tmp_path: Path) -> None:
    ran = _run(f"--out={tmp_path}")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = json.loads((tmp_path / "gpu_check.json").read_text())
    states = {check["check"]: check["state"] for check in told["checks"]}
    assert {name for name, state in states.items() if state == "skipped"} == {
        "agrees-with-cpu",
        "adabelief-graph",
        "marked-tests",
    }
    assert len(states) == len(checks.CHECKS)


def test_an_unknown_check_is_refused_and_a_machine_without_a_gpu_is_said_so() -> None:
    assert "there are: repeats, " in _run("--only=nothing").stderr
    if not torch.cuda.is_available():
        with pytest.raises(SystemExit, match="torch sees no GPU here"):
            command.described("cuda")


def test_a_check_that_fails_fails_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = {"repeats": "passed", "out-of-memory": "failed", "marked-tests": "skipped"}
    monkeypatch.setattr(command, "_outcome", lambda name, *_: Outcome(name, outcomes[name], 1.0, "so | so"))
    for names, status in ((["repeats", "marked-tests"], 0), (["repeats", "out-of-memory"], 1)):
        only = [f"--only={name}" for name in names]
        monkeypatch.setattr(sys, "argv", ["gpu_check", "--device=cpu", f"--out={tmp_path}", *only])
        assert command.main() == status
    assert "failed" in capsys.readouterr().out
    assert "| out-of-memory | failed | 1.0 | so \\| so |" in (tmp_path / "gpu_check.md").read_text()


def test_a_check_that_takes_too_long_is_ended() -> None:
    outcome = command._outcome("repeats", "cpu", 0.2)
    assert (outcome.state, outcome.detail) == ("failed", "took over 0 s")
    assert command._outcome("repeats", "cpu", -1.0).state == "failed"


def test_what_a_check_raises_is_its_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    def differs(_: str) -> str:
        raise Failed("other bits")

    def breaks(_: str) -> str:
        raise RuntimeError("CUDA error")

    before = torch.get_num_threads()
    for run, detail in ((differs, "other bits"), (breaks, "RuntimeError: CUDA error")):
        monkeypatch.setitem(checks.CHECKS, "repeats", Check(run, 1))
        assert command._checked("repeats", "cpu") == {"state": "failed", "detail": detail}
    torch.set_num_threads(before)


def test_differences_are_seen() -> None:
    made, plans = checks.workload("mlp", "cpu"), checks.cohort(2, length=128)
    results = SoloExecutor().run(made, plans, Unwatched())
    checks.same(results, results, "itself")
    with pytest.raises(Failed, match="the same seeds: 2 of 2 trials differ"):
        checks.same(results, results[::-1], "the same seeds")
    gradients = checks.gradients(made, plans[0])
    assert checks.error(gradients, gradients) == 0
    assert checks.error([x * (1 + 1e-3) for x in gradients], gradients) > 1
    assert checks.error([x * float("nan") for x in gradients], gradients) == float("inf")
    with pytest.raises(Failed, match="times the bound"):
        checks._within(1.5, "gradients")

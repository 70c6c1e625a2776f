"""Which kernels a job gets: a compiler runs for no job that it does not pay for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from adabelief.steps import compiled_kernel
from tests.builders.params import needs_compiler
from whichopt.service.catalog.optimizers import OPTIMIZERS
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.workers import kernels
from whichopt.workers.kernels import COMPILE_S, COMPILED, CPU_FLOAT32, SAVED_SHARE, WORTH, choose_kernels

NEEDED_S = WORTH * COMPILE_S / SAVED_SHARE


@dataclass
class Machine:
    """A made-up one: what it has, whether its compiler works, and what it was asked for."""

    kept: bool = False
    compiler: bool = True
    asked: list[str] = field(default_factory=list)

    def kernel(self) -> kernels.Compiled:
        return kernels.Compiled(is_kept=lambda: self.kept, works=self._works)

    def _works(self) -> bool:
        self.asked.append("kernel")
        return self.kept or self.compiler

    def step_seconds(self) -> Mapping[str, float]:
        self.asked.append("seconds")
        return {"adabelief": 1e-3, "sgd": 1.0}

    def chosen(self, spec: ResolvedSpec, *, on_cpu: bool = True, workers: int = 1) -> str:
        return choose_kernels(spec, on_cpu=on_cpu, workers=workers, step_seconds=self.step_seconds).kernels


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(kernels, "COMPILED", {"adabelief.AdaBelief": made.kernel()})
    return made


def spec_of(optimizers: tuple[str, ...] = ("adabelief", "sgd"), **changes: Any) -> ResolvedSpec:
    """1078 examples: 10 epochs of 11 steps, and a tenth of a second of AdaBelief's each trial."""
    asked = {
        "workload": {"dataset": {"name": "digits"}, "model": {"name": "mlp"}},
        "optimizers": list(optimizers),
        "budget": {"trials": 48, "epochs": 10},
        "batch_size": 100,
        **changes,
    }
    return resolve(JobSpec.model_validate(asked))


def of_seconds(stepping: float, **budget: Any) -> ResolvedSpec:
    """A job whose search spends about so many seconds on AdaBelief's steps, at a thousandth of one each."""
    one = spec_of()
    epochs = max(1, round(stepping / (1e-3 * 2700 * one.training.steps(0, one.length) / one.budget.epochs)))
    return spec_of(budget={"trials": 2700, "epochs": epochs, "confirm_seeds": 3, **budget})


def test_a_kernel_that_is_there_is_used_and_nothing_is_measured(machine: Machine) -> None:
    machine.kept = True
    assert machine.chosen(spec_of()) == "compiled"
    assert machine.asked == ["kernel"]


def test_for_a_short_job_nothing_is_compiled(machine: Machine) -> None:
    """That others of its optimizers take long is nothing that a kernel of AdaBelief's would change."""
    assert machine.chosen(spec_of()) == "torch"
    assert machine.asked == ["seconds"]


def test_a_long_job_pays_for_the_compiler(machine: Machine) -> None:
    """By the clock: as many processes as there are train it, and wait for the compiler together."""
    assert machine.chosen(of_seconds(0.8 * NEEDED_S)) == "torch"
    assert "kernel" not in machine.asked
    assert machine.chosen(of_seconds(1.2 * NEEDED_S)) == "compiled"
    assert machine.chosen(of_seconds(1.2 * NEEDED_S), workers=2) == "torch"
    machine.compiler = False
    assert machine.chosen(of_seconds(1.2 * NEEDED_S)) == "torch"


def test_a_job_that_is_given_time_pays_by_its_share_of_it(machine: Machine) -> None:
    for share, minutes in (("torch", 1.8 * NEEDED_S / 60), ("compiled", 2.2 * NEEDED_S / 60)):
        assert machine.chosen(spec_of(budget={"minutes": minutes})) == share
    assert "seconds" not in machine.asked
    assert machine.chosen(of_seconds(10 * NEEDED_S, max_seconds=0.9 * NEEDED_S)) == "torch"
    assert "seconds" not in machine.asked


def test_a_compilation_is_told_before_it_begins(machine: Machine) -> None:
    def told(spec: ResolvedSpec) -> list[list[str]]:
        """What had been asked for by then, each time the caller heard."""
        heard: list[list[str]] = []
        machine.asked.clear()
        choose_kernels(
            spec,
            on_cpu=True,
            workers=1,
            step_seconds=machine.step_seconds,
            compiling=lambda: heard.append([*machine.asked]),
        )
        return heard

    assert told(of_seconds(1.0)) == [], "it does not pay"
    assert told(spec_of(kernels="torch")) == []
    assert told(spec_of(kernels="compiled")) == [[]]
    assert told(of_seconds(10 * NEEDED_S)) == [["seconds"]]
    machine.kept = True
    assert told(spec_of(kernels="compiled")) == [], "it is there already"


def test_what_was_asked_for_is_kept_where_it_can_be(machine: Machine) -> None:
    assert machine.chosen(spec_of(kernels="torch")) == "torch"
    assert machine.asked == []
    assert machine.chosen(spec_of(kernels="compiled")) == "compiled"
    machine.compiler = False
    assert machine.chosen(spec_of(kernels="compiled")) == "torch"
    assert "seconds" not in machine.asked


@pytest.mark.parametrize("asked", ["auto", "compiled"])
def test_only_what_profits_gets_a_kernel(asked: str, machine: Machine) -> None:
    machine.kept = True
    assert machine.chosen(spec_of(("adam", "sgd"), kernels=asked)) == "torch"
    assert machine.chosen(spec_of(kernels=asked), on_cpu=False) == "torch"
    assert machine.asked == []


def test_a_spec_with_kernels_is_a_spec_that_keeps_them(machine: Machine) -> None:
    machine.kept = True
    for kept in (True, False):
        machine.kept = kept
        first = choose_kernels(spec_of(), on_cpu=True, workers=1, step_seconds=machine.step_seconds)
        again = resolve(JobSpec.model_validate(first.model_dump(mode="json")))
        assert again == first
        assert choose_kernels(again, on_cpu=True, workers=1, step_seconds=machine.step_seconds) == first
        assert first.training.compiled == kept


def test_every_entry_with_compiled_arguments_has_a_kernel_to_ask_for() -> None:
    assert {entry.build.target for entry in OPTIMIZERS if entry.stepping.compiled} == set(COMPILED)


@needs_compiler
def test_whether_a_kernel_is_kept_is_told_without_compiling_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert COMPILED["adabelief.AdaBelief"].works()
    kept = COMPILED["adabelief.AdaBelief"].is_kept
    assert kept()
    assert not compiled_kernel.is_kept(torch.float32, torch.float32, torch.device("meta"), False)
    monkeypatch.setenv("ADABELIEF_COMPILE", "0")
    assert not kept()
    monkeypatch.delenv("ADABELIEF_COMPILE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert not kept()
    assert list(tmp_path.iterdir()) == []
    assert not compiled_kernel.is_kept(*CPU_FLOAT32)

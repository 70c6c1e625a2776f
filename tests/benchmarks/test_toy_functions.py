"""The numbers that the docs quote are those of the code, and the command writes what it says."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmarks.toy_functions.__main__ import main
from benchmarks.toy_functions.runs import (
    LR,
    METHODS,
    PROBLEMS,
    Problem,
    Tuned,
    best,
    descend,
    equal_rates,
    grid,
    scan,
)

METHOD = {method.name: method for method in METHODS}
PROBLEM = {problem.name: problem for problem in PROBLEMS}


@pytest.mark.parametrize(
    ("problem", "method", "steps"),
    [
        ("abs(x) + abs(y)", "AdaBelief", 395),
        ("abs(x) + abs(y)", "Adam", 2500),
        ("abs(x) + abs(y)", "SGD", 259),
        ("(x + y)^2 + (x - y)^2/10", "AdaBelief", 2014),
        ("(x + y)^2 + (x - y)^2/10", "SGD", 783),
        ("abs(x)/10 + abs(y)", "AdaBelief", 43),
        ("abs(x)/10 + abs(y)", "Adam", 1500),
    ],
)
def test_steps_at_the_papers_learning_rate(problem: str, method: str, steps: int) -> None:
    assert descend(PROBLEM[problem], METHOD[method].make).steps == steps


@pytest.mark.parametrize("problem", ["Beale", "Rosenbrock"])
def test_sgd_diverges_at_the_papers_learning_rate(problem: str) -> None:
    first, second = equal_rates(PROBLEM[problem], METHOD["SGD"].make, max_steps=50)
    assert first.diverged
    assert not second.diverged


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_the_minimum_is_zero(problem: Problem) -> None:
    x, y = torch.tensor(problem.minimum, dtype=torch.float64)
    assert problem.f(x, y).item() == 0


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_rows_of_a_scan_are_runs_of_the_torch_classes(problem: Problem) -> None:
    rows = scan(problem, [LR / 3, LR], torch.tensor([problem.start], dtype=torch.float64), max_steps=25)
    for i, method in enumerate(METHODS):
        runs = [descend(problem, method.make, lr, max_steps=25) for lr in rows.lrs]
        lowest = [min(f for f in run.values if math.isfinite(f)) for run in runs]
        assert rows.lowest[i, :, 0].tolist() == pytest.approx(lowest, rel=1e-9)


@pytest.mark.parametrize(
    ("steps", "tuned"),
    [
        ([90.0, 50.0, 60.0, 101.0], Tuned(50, 0.01, 3.0)),
        ([math.inf, 7.0, 7.0, math.inf], Tuned(7, 0.01, 2.0)),
        ([math.inf] * 4, Tuned(None, None, 0.0)),
    ],
)
def test_the_best_rate_has_the_fewest_steps(steps: list[float], tuned: Tuned) -> None:
    assert best(grid(-3, 0, 1), torch.tensor(steps)) == tuned


def test_the_command_writes_numbers_and_figures(tmp_path: Path) -> None:
    main(["--quick", "--json", str(tmp_path / "numbers.json"), "--figures", str(tmp_path)])
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    assert list(numbers["equal"]) == [problem.name for problem in PROBLEMS]
    assert numbers["equal"]["abs(x)/10 + abs(y)"]["AdaBelief"][0]["steps"] == 43
    assert numbers["agreeing"] == 18
    for name in ("toy_functions.png", "toy_learning_rates.png", "toy_functions.gif"):
        with Image.open(tmp_path / name) as image:
            image.verify()
            assert image.format == name[-3:].upper()
    with Image.open(tmp_path / "toy_functions.gif") as film:
        assert getattr(film, "n_frames", 1) > 2

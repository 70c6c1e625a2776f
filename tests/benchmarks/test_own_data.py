"""The benchmark of people's own data: its table, its statistics, and scikit-learn's MLP drawn as torch's."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from benchmarks.own_data import METRICS, Side, apart, as_torch, write


@pytest.mark.parametrize("task", METRICS)
def test_the_table_has_what_it_says(task: str, tmp_path: Path) -> None:
    write(tmp_path / "table.csv", 500, task)
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert (len(rows), len(rows[0])) == (500, 20)
    assert any(row["x6"] == "" for row in rows)
    assert {row["c0"] for row in rows} == {"", "red", "green", "blue"}
    assert (len({row["y"] for row in rows}) == 3) == (task == "classification")


def test_sides_are_compared_seed_by_seed() -> None:
    one, other = Side([1.0, 2.0, 3.0], 0.0), Side([0.5, 1.6, 2.4], 0.0)
    differences = np.array([0.5, 0.4, 0.6])
    assert apart(one, other) == pytest.approx(differences.mean() / (differences.std(ddof=1) / np.sqrt(3)))


def test_params_are_drawn_as_torch_draws_them() -> None:
    x, y = np.random.default_rng(0).normal(size=(64, 16)), np.arange(64) % 2
    made = as_torch(MLPClassifier)((32,), max_iter=1, learning_rate_init=1e-12, random_state=0)
    with pytest.warns(ConvergenceWarning):
        made.fit(x, y)
    assert 0.24 < np.abs(made.coefs_[0]).max() <= 0.25 + 1e-9
    assert np.abs(made.intercepts_[0]).max() <= 0.25 + 1e-9

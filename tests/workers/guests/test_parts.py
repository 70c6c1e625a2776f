"""`run.split`: what it holds back, what a seed redraws, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import Subset, TensorDataset

from tests.builders.training_functions import plan, run_of, told_of
from whichopt.service.states import Phase
from whichopt.workers.guests.parts import parts


def rows(seed: int, **options: Any) -> tuple[list[int], list[int], list[int]]:
    train, validation, test, _ = parts(100, seed, **options)
    return train.tolist(), validation.tolist(), [] if test is None else test.tolist()


def test_a_seed_redraws_validation_and_nothing_else() -> None:
    one, again, other = rows(1), rows(1), rows(2)
    assert one == again
    assert [len(part) for part in one] == [60, 20, 20]
    assert sorted(row for part in one for row in part) == list(range(100))
    assert one[2] == other[2]
    assert one[1] != other[1]


def test_shares_can_be_chosen_and_a_test_part_left_out() -> None:
    assert [len(part) for part in rows(1, test=0.1, validation=0.5)] == [45, 45, 10]
    assert [len(part) for part in rows(1, test=0)] == [75, 25, 0]


@pytest.mark.parametrize("kind", [list, np.asarray, torch.tensor, pd.Series])
def test_classes_keep_their_shares(kind: Any) -> None:
    labels = [0] * 80 + [1] * 20
    for part in rows(3, stratify=kind(labels)):
        assert sum(labels[row] for row in part) / len(part) == pytest.approx(0.2, abs=0.05)


def test_names_can_be_classes() -> None:
    assert [len(part) for part in rows(1, stratify=["cat", None] * 50)] == [60, 20, 20]


def test_a_group_is_in_one_part() -> None:
    groups = [f"patient {row // 4}" for row in range(100)]
    inside = [{groups[row] for row in part} for part in rows(1, groups=groups)]
    assert all(not a & b for a, b in ((inside[0], inside[1]), (inside[0], inside[2]), (inside[1], inside[2])))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"test": 1.0}, "test=1.0 is no share"),
        ({"validation": 0}, "validation=0 is no share"),
        ({"stratify": [1, 2]}, r"stratify has the shape \(2,\); give one value for each of 100 rows"),
        ({"groups": [1] * 100, "stratify": [1] * 100}, "by groups or by classes"),
        ({"groups": [1] * 100, "test": 0.5}, "cannot choose the shares of groups"),
        ({"groups": [1] * 100}, "1 groups are too few"),
    ],
)
def test_what_cannot_be_divided_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parts(100, 1, **options)


def test_too_few_rows_and_no_rows() -> None:
    with pytest.raises(ValueError, match="2 rows are too few"):
        parts(2, 1)
    for data in (pd.DataFrame({"a": [1, 2, 3]}), iter([1]), None, 1.5, True):
        with pytest.raises(TypeError, match=r"run\.split"):
            parts(data, 1)


def test_of_a_dataset_they_are_subsets_and_the_test_part_comes_to_run_test() -> None:
    data = TensorDataset(torch.arange(10.0))
    run, told = run_of(plan(phase=Phase.CONFIRM))
    train, validation = run.split(data)
    assert isinstance(train, Subset)
    assert [len(train), len(validation)] == [6, 2]

    def total(part: Subset[tuple[torch.Tensor]]) -> float:
        return sum(float(part[at][0]) for at in range(len(part)))

    run.test(total)
    (test,) = told_of(told, "test")
    rest = total(train) + total(validation)
    assert test["loss"] == 45 - rest
    assert told_of(told, "parts") == [[6, 2, 2]]


def test_a_run_divides_once() -> None:
    run, _ = run_of(plan())
    labels = torch.zeros(10)
    first = run.split(10, stratify=labels)
    assert run.split(10, stratify=labels) is not None
    assert np.array_equal(run.split(10, stratify=labels)[0], first[0])
    with pytest.raises(ValueError, match="divides once"):
        run.split(11)

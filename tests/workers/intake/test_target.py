"""What is predicted, as what, and how the rows are divided: given or inferred, and always said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders.tables import column, taken, written
from whichopt.service.uploads import Role
from whichopt.workers.intake.problems import AmbiguousTarget, AmbiguousTask, Problem, Unreadable

N = 60
X = [f"{i * 7 % 13}.5" for i in range(N)]


def cycled(*values: Any) -> list[Any]:
    return [values[i % len(values)] for i in range(N)]


def test_the_target_is_given_or_known_by_name_or_last(tmp_path: Path) -> None:
    columns = {"Label": cycled("a", "b"), "x": X, "z": cycled(1, 2)}
    assert taken(tmp_path, written(columns), target="z").table.target == "z"
    by_name = taken(tmp_path, written(columns)).table
    assert by_name.target == "Label"
    assert "Label is predicted, by its name" in by_name.notes
    last = taken(tmp_path, written({"x": X, "z": cycled(1, 2)})).table
    assert (last.target, column(last, "z").role) == ("z", Role.TARGET)
    assert any("as it is the last column" in note for note in last.notes)
    with pytest.raises(AmbiguousTarget, match="'Label', 'y'"):
        taken(tmp_path, written({**columns, "y": cycled(1, 2)}))
    with pytest.raises(Unreadable, match=r"did you mean 'Label'\?"):
        taken(tmp_path, written(columns), target="label")


@pytest.mark.parametrize(
    ("last", "why"),
    [
        (list(range(N)), "distinct in"),
        ([f"k{i}" for i in range(N)], "distinct in"),
        ([f"the note {i} of many" for i in range(N)], "has text"),
        ([f"2024-01-{i % 28 + 1:02}" for i in range(N)], "has dates"),
        (["same"] * N, "the same value"),
        ([""] * N, "no value"),
    ],
)
def test_a_last_column_that_nobody_predicts_is_not_guessed(last: list[Any], why: str, tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {"x": X, "w": cycled("a", "b"), "gaps": cycled(1.5, ""), "last": last}
    with pytest.raises(
        AmbiguousTarget, match=f"'last' .*({why}).*target=NAME, with one of 'x', 'w'$"
    ) as caught:
        taken(tmp_path, written(columns))
    assert caught.value.column == "last"
    assert taken(tmp_path, written(columns), target="w").table.target == "w"


def test_a_guess_stays_if_nothing_else_can_be_predicted(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {
        "when": [f"2024-01-{i % 28 + 1:02}" for i in range(N)],
        "last": list(range(N)),
    }
    found = taken(tmp_path, written(columns), task="regression")
    assert (found.table.target, column(found.table, "when").role) == ("last", Role.FEATURE)


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        (cycled("dog", "cat"), "classification", ("cat", "dog")),
        (cycled(10, 9, 2), "classification", ("2", "9", "10")),
        (cycled("1.0", "0.0"), "classification", ("0", "1")),
        (cycled("yes", "no"), "classification", ("no", "yes")),
        (cycled("True", "False"), "classification", ("false", "true")),
        (cycled(1.5, 2, 3), "regression", None),
    ],
)
def test_the_task_follows_from_the_values(values: list[Any], task: str, classes: Any, tmp_path: Path) -> None:
    found = taken(tmp_path, written({"x": X, "y": values}))
    assert (found.table.task, found.table.classes) == (task, classes)
    assert found.kept.tensors()["target"].dtype == (np.int64 if classes else np.float64)
    assert any(note.startswith(task) for note in found.table.notes)
    if classes:
        names = [found.table.classes[code].lower() for code in found.kept.tensors()["target"]]  # type: ignore[index]
        assert names == [str(value).lower().removesuffix(".0") for value in values]


def test_a_class_has_a_name_that_can_be_shown(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="a class of 201 characters in row 3") as caught:
        taken(tmp_path, written({"x": X, "y": cycled("a", "b" * 201)}))
    assert (caught.value.row, caught.value.column) == (3, "y")


def test_many_whole_numbers_may_be_either(tmp_path: Path) -> None:
    text = written({"x": X, "y": [i % 30 for i in range(N)]})
    with pytest.raises(AmbiguousTask, match=r"task=regression.*task=classification"):
        taken(tmp_path, text)
    assert taken(tmp_path, text, task="regression").table.shape.outputs == 1
    ten = written({"x": X, "y": [i % 10 for i in range(N)]})
    assert taken(tmp_path, ten, task="regression").table.classes is None


@pytest.mark.parametrize(
    ("values", "row", "match"),
    [
        ([*cycled("a", "b")[:-1], ""], N + 1, "has no value in 1 rows"),
        (cycled("a"), 2, "single class"),
        (["c", *cycled("a", "b")[1:]], 2, "class 'c' of column 'y' has 1 rows"),
    ],
)
def test_a_target_that_cannot_be_learned_names_column_and_row(
    values: list[Any], row: int, match: str, tmp_path: Path
) -> None:
    with pytest.raises(Unreadable, match=match) as caught:
        taken(tmp_path, written({"x": X, "y": values}))
    assert (caught.value.row, caught.value.column) == (row, "y")


def test_words_are_no_target_of_a_regression(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="has words"):
        taken(tmp_path, written({"x": X, "y": cycled("a", "b")}), task="regression")


def split(folder: Path, values: list[Any], rule: str) -> Any:
    return taken(folder, written({"x": X, "s": values, "y": cycled("a", "b")}), split=rule)


def test_a_column_gives_the_parts(tmp_path: Path) -> None:
    found = split(tmp_path, cycled("Train", "train", "VAL", "test"), "column:s")
    assert found.kept.tensors()["part"][:4].tolist() == [0, 0, 1, 2]
    assert (found.table.sizes.train, found.table.sizes.validation, found.table.sizes.test) == (30, 15, 15)
    assert column(found.table, "s").role is Role.SPLIT
    assert found.table.shape.features == 1


def test_groups_are_not_divided(tmp_path: Path) -> None:
    found = split(tmp_path, cycled(*(f"g{i}" for i in range(15))), "group:s")
    assert found.kept.tensors()["group"].dtype == np.int32
    assert len(set(found.kept.tensors()["group"].tolist())) == 15
    assert "no group of column s is in two of training, validation and test" in found.table.notes


def test_rows_that_no_part_has_are_counted(tmp_path: Path) -> None:
    """Groups of unlike sizes do not fill parts of the same sizes for every seed."""
    found = split(tmp_path, ["a"] * 20 + ["b"] * 15 + ["c"] * 12 + ["d"] * 8 + ["e"] * 5, "group:s")
    left_out = N - sum(vars(found.table.sizes).values())
    assert left_out > 0
    assert any(f"each seed leaves out {left_out} other rows" in note for note in found.table.notes)


def test_time_is_a_date_or_a_number(tmp_path: Path) -> None:
    assert (
        split(tmp_path, cycled("2020-01-01", "2020-01-02"), "time:s").kept.tensors()["time"][1]
        == 1577923200.0
    )
    assert split(tmp_path, list(range(N)), "time:s").kept.tensors()["time"][1] == 1.0


@pytest.mark.parametrize(
    ("values", "rule", "row", "match"),
    [
        (cycled("train", "test", "tset"), "column:s", 4, "has 'tset' in row 4"),
        (cycled("train", "train"), "column:s", None, "no row as test"),
        (cycled("train", "", "test"), "column:s", 3, "has no value in 20 rows"),
        (cycled("a", "b"), "group:s", None, "2 groups are too few"),
        (cycled("a", "b"), "time:s", 2, "does not hold dates or numbers"),
        (cycled("a", "b"), "time:t", None, "there is no column 't'"),
    ],
)
def test_a_rule_that_does_not_fit_is_a_problem(
    values: list[Any], rule: str, row: int | None, match: str, tmp_path: Path
) -> None:
    with pytest.raises(Problem, match=match) as caught:
        split(tmp_path, values, rule)
    assert caught.value.row == row

"""The kind of a column follows from all of its values, or from what a person says."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.builders.tables import column, taken, written
from whichopt.service.uploads import CATEGORIES, Column, Kind, Role
from whichopt.workers.intake.problems import Unreadable
from whichopt.workers.intake.taken import Taken

N = 120


def table(folder: Path, values: list[Any], delimiter: str = ",", **choices: Any) -> tuple[Taken, Column]:
    """Take in a table of these values in `v`, a number beside, and two classes."""
    columns = {"v": values, "w": [f"{i}.5" for i in range(N)], "y": [i % 2 for i in range(N)]}
    found = taken(folder, written(columns, delimiter), **choices)
    return found, column(found.table, "v")


def cycled(*values: Any) -> list[Any]:
    return [values[i % len(values)] for i in range(N)]


@pytest.mark.parametrize(
    ("values", "kind", "low"),
    [
        (cycled(1, 2.5, -3e2), "numeric", -300.0),
        (cycled("1 ", " 2", "3.5"), "numeric", 1.0),
        (cycled("0", "1"), "bool", 0.0),
        (cycled("Yes", "no"), "bool", 0.0),
        (cycled("TRUE", "FALSE"), "bool", 0.0),
        (cycled("red", "blue"), "category", None),
        (cycled("01234", "98765", "00001"), "category", None),
        (cycled("2020-02-28", "2021-01-01"), "date", "2020-02-28"),
        (cycled("2020-02-28 10:30", "2021-01-01 00:00"), "date", "2020-02-28T10:30:00"),
        (cycled("2020-02-28T10:30:00+02:00", "2021-01-01T00:00:00Z"), "date", "2020-02-28T08:30:00"),
        (cycled("2020/2/28", "2021/1/1"), "date", "2020-02-28"),
        (cycled("28.02.2020", "01.01.2021"), "date", "2020-02-28"),
        (cycled("28/02/2020", "01/01/2021"), "date", "2020-02-28"),
        (cycled("02/28/2020", "01/01/2021"), "date", "2020-02-28"),
        (cycled("30/02/2020", "01/01/2021"), "category", None),
        ([f"u{i:04}" for i in range(N)], "id", None),
        (list(range(1, N + 1)), "id", 1.0),
        ([f"a sentence of words, number {i}".replace(",", "") for i in range(N)], "text", None),
        (cycled("much " * 20, "more " * 20), "text", None),
    ],
)
def test_kinds_are_inferred(values: list[Any], kind: str, low: Any, tmp_path: Path) -> None:
    _, found = table(tmp_path, values)
    assert (found.kind, found.low) == (kind, low)
    assert found.role is (Role.LEFT_OUT if kind in ("id", "text") else Role.FEATURE)


def test_dates_that_fit_both_orders_say_how_they_are_read(tmp_path: Path) -> None:
    _, found = table(tmp_path, cycled("03/04/2020", "05/06/2020"))
    assert (found.low, found.high) == ("2020-03-04", "2020-05-06")
    assert "03/04/2020 are read with the month first, though both orders fit" in found.becomes
    _, found = table(tmp_path, cycled("03.04.2020", "05.06.2020"))
    assert found.low == "2020-04-03"


def test_decimal_commas_are_read_and_said(tmp_path: Path) -> None:
    _, found = table(tmp_path, cycled("1,5", "2,25", "3"), ";")
    assert (found.kind, found.high) == (Kind.NUMERIC, 3.0)
    assert "commas are read as decimal points" in found.becomes


@pytest.mark.parametrize("token", ["", "NA", "N/A", "NaN", "null", "?", "-", " ? "])
def test_tokens_stand_for_missing_values(token: str, tmp_path: Path) -> None:
    found, numbers = table(tmp_path, cycled("1.5", token, "2.5", "4"))
    assert (numbers.kind, numbers.missing, numbers.distinct, numbers.width) == (Kind.NUMERIC, N // 4, 3, 2)
    assert math.isnan(found.kept.tensors()["numbers"][1, 0])
    found, words = table(tmp_path, cycled("u", token, "v", "u"))
    assert (words.kind, words.missing, words.distinct, words.width) == (Kind.CATEGORY, N // 4, 2, 3)
    assert found.kept.tensors()["codes"][:4, 0].tolist() == [0, -1, 1, 0]


def test_the_most_frequent_categories_are_kept(tmp_path: Path) -> None:
    """Of the rows outside test: there k39 comes first, and the others are alike."""
    tested = N // 6
    values = [f"k{i % 40:02}" for i in range(N - tested - 3)] + ["k39"] * 3 + ["k38"] * tested
    columns = {"v": values, "part": ["train"] * (N - tested) + ["test"] * tested, "y": cycled("a", "b")}
    found = taken(tmp_path, written(columns), split="column:part")
    words = column(found.table, "v")
    assert words.categories[0] == "k39"
    assert list(words.categories[1:]) == [f"k{i:02}" for i in range(CATEGORIES - 1)]
    others = [value not in words.categories for value in values]
    assert words.other == sum(others[: N - tested]) > 0
    assert words.width == CATEGORIES + 1
    assert ((found.kept.tensors()["codes"][:, 0] == CATEGORIES) == others).all(), "those of test among them"


def test_a_person_says_what_a_column_is(tmp_path: Path) -> None:
    _, found = table(tmp_path, cycled(1, 2, 3), columns={"v": "category"})
    assert (found.kind, {*found.categories}, found.width) == (Kind.CATEGORY, {"1", "2", "3"}, 3)
    _, found = table(tmp_path, list(range(N)), columns={"v": "numeric"})
    assert found.role is Role.FEATURE
    _, found = table(tmp_path, cycled("01", "02"), columns={"v": "numeric"})
    assert (found.kind, found.high) == (Kind.NUMERIC, 2.0)
    _, found = table(tmp_path, cycled(1, 2), columns={"v": "leave_out"})
    assert (found.role, found.becomes) == (Role.LEFT_OUT, "left out: as was asked")


def test_a_kind_that_does_not_fit_names_the_row(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"row 4 has '2 kg'") as caught:
        table(tmp_path, cycled(1, 2, "2 kg"), columns={"v": "numeric"})
    assert (caught.value.row, caught.value.column) == (4, "v")
    with pytest.raises(Unreadable, match=r"did you mean 'v'\?"):
        table(tmp_path, cycled(1, 2), columns={"vv": "numeric"})


def test_an_infinite_number_names_its_row(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="is infinite in row 4") as caught:
        table(tmp_path, cycled(1, 2, "inf"))
    assert (caught.value.row, caught.value.column) == (4, "v")
    _, column = table(tmp_path, cycled(1, 2, "inf"), columns={"v": "leave_out"})
    assert (column.role, column.low, column.high) == (Role.LEFT_OUT, None, None)


def test_constant_columns_are_left_out_and_said(tmp_path: Path) -> None:
    found, constant = table(tmp_path, cycled(7))
    assert constant.role is Role.LEFT_OUT
    assert "v: left out: it has the same value in every row" in found.table.notes
    _, with_gaps = table(tmp_path, cycled(7, ""))  # that it is missing may tell something
    assert (with_gaps.role, with_gaps.width) == (Role.FEATURE, 2)


def test_no_column_to_predict_from_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="no column is left to predict from"):
        taken(tmp_path, written({"id": list(range(N)), "y": cycled("a", "b")}))

"""What a table shows is said: with its reason and advice, and never without cause."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.builders.tables import taken, written
from whichopt.service.uploads import Remark

N = 600
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=N).tolist()
Y = RANDOM.permutation(["a", "b"] * (N // 2)).tolist()
NUMBERS = (np.array(X) + RANDOM.normal(size=N)).tolist()


def remarks(folder: Path, columns: dict[str, Any], **choices: Any) -> list[Remark]:
    return list(taken(folder, written(columns), **choices).remarked().remarks)


def codes(folder: Path, columns: dict[str, Any], **choices: Any) -> set[tuple[str, str | None]]:
    return {(one.code, one.column) for one in remarks(folder, columns, **choices)}


def test_an_ordinary_table_has_none(tmp_path: Path) -> None:
    assert codes(tmp_path, {"x": X, "k": RANDOM.integers(0, 4, N).tolist(), "y": Y}) == set()
    assert codes(tmp_path, {"x": X, "y": NUMBERS}) == set()


def test_rows_that_stand_in_two_parts(tmp_path: Path) -> None:
    columns = {"x": X[: N // 2] * 2, "y": Y[: N // 2] * 2}
    (found,) = remarks(tmp_path, columns)
    assert found.code == "duplicate_rows"
    shared = {**columns, "g": [f"g{i % (N // 2) % 50}" for i in range(N)]}
    assert codes(tmp_path, shared, target="y", split="group:g") == set()


def test_the_target_in_disguise(tmp_path: Path) -> None:
    columns = {
        "x": X,
        "renamed": [{"a": "no", "b": "yes"}[y] for y in Y],
        "coded": [{"a": "u7", "b": "u9"}[y] for y in Y],
        "apart": [abs(x) if y == "a" else -abs(x) - 1 for x, y in zip(X, Y, strict=True)],
        "y": Y,
    }
    names = ("renamed", "coded", "apart")
    assert codes(tmp_path, columns) == {("target_in_disguise", name) for name in names}
    numbers = {"x": X, "cubed": [y**3 for y in NUMBERS], "y": NUMBERS}
    assert codes(tmp_path, numbers) == {("target_in_disguise", "cubed")}


def test_a_class_with_few_rows_and_one_that_is_nearly_all(tmp_path: Path) -> None:
    few = ["c" if i < 12 else "ab"[i % 2] for i in range(N)]
    (found,) = remarks(tmp_path, {"x": X, "y": few})
    assert (found.code, found.what) == (
        "few_rows_of_class",
        "class c has 12 rows, of which 2 are in the test part",
    )
    several = ["cd"[i % 2] if i < 23 else "ab"[i % 2] for i in range(N)]
    (found,) = remarks(tmp_path, {"x": X, "y": several})
    assert found.what.startswith("2 classes have fewer than 30 rows; the smallest, d, has 11 rows, of which")
    part = ["test" if i < 40 else "train" for i in range(N)]
    apart = ["c" if i < 40 else "ab"[i % 2] for i in range(N)]
    said = remarks(tmp_path, {"x": X, "part": part, "y": apart}, split="column:part")
    assert [one.what for one in said] == [
        f"class a has {N // 2 - 20} rows, of which none are in the test part",
        f"class b has {N // 2 - 20} rows, of which none are in the test part",
        "class c has 40 rows, of which all are in the test part",
    ]
    assert "without a row to train on" in said[2].why
    rare = ["b" if i % 25 == 0 else "a" for i in range(N)]
    assert ("nearly_one_class", "y") in codes(tmp_path, {"x": X, "y": rare})


def test_ids_are_left_out_with_the_way_to_use_them(tmp_path: Path) -> None:
    (found,) = remarks(tmp_path, {"x": X, "who": [f"u{i}" for i in range(N)], "y": Y})
    assert (found.code, found.column) == ("left_out", "who")
    assert '{"who": "category"}' in found.instead


def test_numbers_with_a_few_words_among_them(tmp_path: Path) -> None:
    sizes = [str(i % 50) for i in range(N)]
    sizes[6] = "7 kg"
    (found,) = remarks(tmp_path, {"x": X, "size": sizes, "y": Y})
    assert (found.code, found.column) == ("mostly_numbers", "size")
    assert "'7 kg' in row 8" in found.what

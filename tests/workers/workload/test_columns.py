"""Columns as features: the layout, what is learned, and from which rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.builders.uploads import upload
from whichopt.service.uploads import Table
from whichopt.workers.workload.columns import FARTHEST, Prepared, Rows, learned
from whichopt.workers.workload.uploads import Kept, read

ROWS = 200


def _columns(rows: int = ROWS, seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    age = random.normal(40, 10, rows)
    age[random.random(rows) < 0.1] = np.nan
    days = np.datetime64("2020-01-01", "s") + random.integers(0, 10**8, rows).astype("timedelta64[s]")
    towns = random.choice(["a", "b", "c", "d", "e"], rows, p=[0.4, 0.3, 0.15, 0.1, 0.05]).tolist()
    return {
        "age": age,
        "town": [None if random.random() < 0.1 else town for town in towns],
        "pays": [None if random.random() < 0.05 else bool(random.random() < 0.7) for _ in range(rows)],
        "day": list(days),
        "size": random.normal(0, 1, rows) ** 3,
        "sex": random.choice(["f", "m"], rows).tolist(),
    }


def _kept(folder: Path, columns: dict[str, Any], most: int = 3) -> Kept:
    entry = upload(folder, columns, np.arange(len(next(iter(columns.values())))) % 2, most=most)
    assert entry.content is not None
    kept = read(folder / entry.content)
    assert isinstance(kept, Kept)
    return kept


def _learned(kept: Kept, training: np.ndarray) -> Prepared:
    return learned(kept.table.features, kept.rows, training)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return _kept(tmp_path, _columns())


@pytest.fixture
def training() -> np.ndarray:
    return np.flatnonzero(np.arange(ROWS) % 5 < 3)


def test_features_are_what_scikit_learn_makes_of_the_columns_in_the_files_order(
    kept: Kept, training: np.ndarray
) -> None:
    columns, found = _columns(), _learned(kept, training).transform(kept.rows)
    assert found.dtype == np.float32
    assert found.shape == (ROWS, kept.table.shape.features) == (ROWS, 2 + 5 + 2 + 1 + 1 + 2)
    age, missing = columns["age"], np.isnan(columns["age"])
    filled = np.where(missing, np.nanmedian(age[training]), age).reshape(-1, 1)
    scaled = np.clip(StandardScaler().fit(filled[training]).transform(filled), -FARTHEST, FARTHEST)
    assert np.array_equal(found[:, 0], scaled[:, 0].astype(np.float32))
    assert np.array_equal(found[:, 1], missing)

    kept_towns = {"a": "a", "b": "b", "c": "c", None: "missing"}
    towns = [kept_towns.get(town, "other") for town in columns["town"]]
    encoder = OneHotEncoder(categories=[["a", "b", "c", "other", "missing"]], sparse_output=False)
    assert np.array_equal(found[:, 2:7], encoder.fit_transform(np.array(towns).reshape(-1, 1)))

    pays = columns["pays"]
    assert np.array_equal(found[:, 7], [True if value is None else value for value in pays]), "most pay"
    assert np.array_equal(found[:, 8], [value is None for value in pays])

    days = np.array(columns["day"]).astype("datetime64[s]").astype(float).reshape(-1, 1)
    scaled = StandardScaler().fit(days[training]).transform(days)
    assert np.array_equal(found[:, 9], scaled[:, 0].astype(np.float32))
    assert found[:, 10].max() <= FARTHEST
    assert np.array_equal(found[:, 11] + found[:, 12], np.ones(ROWS))


def test_no_other_row_than_those_of_training_is_looked_at(kept: Kept, training: np.ndarray) -> None:
    before = _learned(kept, training)
    others = np.setdiff1d(np.arange(ROWS), training)
    kept.rows.numbers[others] = np.random.default_rng(1).normal(0, 1e6, (len(others), 4))
    kept.rows.codes[others] = -1
    after = _learned(kept, training)
    assert after == before
    assert np.array_equal(after.transform(kept.rows, training), before.transform(kept.rows, training))


def test_what_is_read_from_json_gives_the_same_features(kept: Kept, training: np.ndarray) -> None:
    prepared = _learned(kept, training)
    again = Prepared.model_validate_json(prepared.model_dump_json())
    assert again == prepared
    new = _kept_rows(seed=9)
    assert again.transform(new).tobytes() == prepared.transform(new).tobytes()


def _kept_rows(seed: int) -> Rows:
    random = np.random.default_rng(seed)
    numbers = random.normal(0, 1e9, (50, 4))
    numbers[random.random(numbers.shape) < 0.2] = np.nan
    return Rows(numbers, random.integers(-1, 4, (50, 2)).astype(np.int16))


def test_a_new_row_with_what_no_feature_stands_for_has_zeros_there(kept: Kept, training: np.ndarray) -> None:
    prepared = _learned(kept, training)
    row = Rows(np.full((1, 4), np.nan), np.array([[1, 2]], dtype=np.int16))  # `sex` has two, and no other
    features = prepared.transform(row)[0]
    assert features.tolist()[11:] == [0, 0]
    assert abs(features[10]) < FARTHEST, "a missing number is the median, with or without an indicator"


def test_the_features_do_not_depend_on_how_many_rows_are_worked_on_at_once(
    kept: Kept, training: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _learned(kept, training)
    features = whole.transform(kept.rows)
    monkeypatch.setattr("whichopt.workers.workload.columns.BLOCK_BYTES", 8 * 14 * 7)
    assert _learned(kept, training) == whole
    assert whole.transform(kept.rows).tobytes() == features.tobytes()
    some = np.array([150, 3, 77])
    assert np.array_equal(whole.transform(kept.rows, some), features[some])


@pytest.mark.parametrize("value", [7.1, 0.0, 1e9, -3e-300, 1e300, np.nan])
def test_a_column_that_is_constant_in_training_becomes_0(
    value: float, tmp_path: Path, training: np.ndarray
) -> None:
    column = np.random.default_rng(0).normal(0, 1e6, ROWS)
    column[training] = value
    kept = _kept(tmp_path, {"x": column, "t": column.astype(str).tolist()})
    found = _learned(kept, training).transform(kept.rows)
    assert not found[:, 0].any()


@pytest.mark.parametrize("large", [1e200, -1e308, np.inf])
def test_numbers_without_measure_stay_bounded(large: float, tmp_path: Path, training: np.ndarray) -> None:
    column = np.random.default_rng(0).normal(0, 1, ROWS)
    column[[0, 1, 3, 4]] = large, -large, large, np.nan  # 3 and 4 are not in training
    found = _learned(kept := _kept(tmp_path, {"x": column}), training).transform(kept.rows)
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= FARTHEST


def test_the_description_in_the_metadata_is_the_table(kept: Kept) -> None:
    assert Table.model_validate_json(kept.table.canonical()) == kept.table

"""Every format gives the same table of the same values."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from tests.builders.tables import COLUMNS, ROWS, as_npy, as_npz, as_parquet, column, taken, written
from whichopt.service.uploads import File, Kind, Split, Table, Written
from whichopt.workers.intake.kept import METADATA
from whichopt.workers.intake.problems import Unreadable
from whichopt.workers.intake.taken import Taken

TEXT = written(COLUMNS)
ARRAYS: Any = [np.array(values) for values in COLUMNS.values()]
NAMED = np.rec.fromarrays(
    ARRAYS, dtype=[(name, one.dtype) for name, one in zip(COLUMNS, ARRAYS, strict=True)]
)


def kept(found: Taken, folder: Path) -> bytes:
    return found.keep(folder)[0].read_bytes()


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (written(COLUMNS, ";").encode(), "csv"),
        (written(COLUMNS, "\t").encode(), "csv"),
        (written(COLUMNS, "\t").encode(), "tsv"),
        (written(COLUMNS, "|").encode(), "csv"),
        (written(COLUMNS, ", ").encode(), "csv"),
        (written(COLUMNS, end="\r\n").encode(), "csv"),
        (written(COLUMNS, end="\n\n").encode(), "csv"),
        (b"\n\n" + TEXT.encode().rstrip(), "csv"),
        (
            written({f'"{name}"': [f'"{one}"' for one in many] for name, many in COLUMNS.items()}).encode(),
            "csv",
        ),
        (b"\xef\xbb\xbf" + TEXT.encode(), "csv"),
        (TEXT.encode("utf-16"), "csv"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "csv"),
        (gzip.compress(TEXT.encode(), mtime=0), "csv"),
        (gzip.compress(TEXT.encode()[:500], mtime=0) + gzip.compress(TEXT.encode()[500:], mtime=0), "csv"),
        (as_parquet(COLUMNS), "parquet"),
        (as_parquet({**COLUMNS, "color": pa.array(COLUMNS["color"]).dictionary_encode()}), "parquet"),
        (as_parquet({**COLUMNS, "color": pa.array(COLUMNS["color"], pa.large_string())}), "parquet"),
        (as_npz(**{name: np.array(values) for name, values in COLUMNS.items()}), "npz"),
        (
            as_npy(NAMED),
            "npy",
        ),
    ],
)
def test_all_formats_give_the_same_bytes(data: bytes, form: str, tmp_path: Path) -> None:
    expected = kept(taken(tmp_path, TEXT), tmp_path)
    assert kept(taken(tmp_path, data, form), tmp_path) == expected


def test_what_is_kept_has_the_columns_and_the_table(tmp_path: Path) -> None:
    found = taken(tmp_path, TEXT)
    path, _ = found.keep(tmp_path)
    tensors = load_file(path)
    assert tensors["numbers"][:, 0].tolist() == list(COLUMNS["size"])
    assert column(found.table, "color").categories == ("blue", "green", "red")  # as frequent: by the alphabet
    assert tensors["codes"][:3, 0].tolist() == [2, 1, 0]
    assert tensors["codes"].dtype == np.int16
    assert tensors["target"].tolist() == [0, 1] * (ROWS // 2)
    with safe_open(path, "np") as file:
        table = Table.model_validate_json(file.metadata()[METADATA])
    assert table == found.table.model_copy(update={"notes": (), "remarks": (), "written": None})
    assert list(json.loads(table.canonical())) == sorted(json.loads(table.canonical()))
    assert table.shape.features == 1 + 3


def test_a_first_row_of_numbers_is_no_header(tmp_path: Path) -> None:
    text = "".join(f"{i},{i * 7 % 5 + 2},{(i + 1) % 2}\n" for i in range(40))
    found = taken(tmp_path, text).table
    assert (found.rows, found.target) == (40, "column_3")
    assert any("there is no header" in note for note in found.notes)
    assert taken(tmp_path, text, header=True).table.rows == 39


def test_a_first_row_with_a_fraction_is_no_header(tmp_path: Path) -> None:
    text = "".join(f"{i}.5,{'uv'[i % 2]}\n" for i in range(40))
    assert taken(tmp_path, text).table.rows == 40


def test_newlines_in_quotes_are_part_of_a_field(tmp_path: Path) -> None:
    text = "a,k,y\n" + "".join(f'{i},"one\n{i % 3}",{i % 2}\n' for i in range(40))
    assert column(taken(tmp_path, text).table, "k").categories == ("one\n0", "one\n1", "one\n2")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_newlines_in_a_name_are_blanks(end: str, tmp_path: Path) -> None:
    text = f'"a{end}{end}one","k",y{end}' + "".join(
        f"{i % 7}.5,{i % 3},{'uv'[i % 2]}{end}" for i in range(40)
    )
    found = taken(tmp_path, text).table
    assert (found.rows, [one.name for one in found.columns]) == (40, ["a one", "k", "y"])
    assert column(found, "a one").kind is Kind.NUMERIC


def test_given_parts_of_arrays_are_the_split(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    data = as_npz(x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])
    found = taken(tmp_path, data, "npz")
    assert found.table.split == Split(kind="column", column="part")
    assert found.table.sizes.test == 20
    assert found.kept.tensors()["part"].tolist() == [0] * 40 + [2] * 20
    np.testing.assert_array_equal(found.kept.tensors()["numbers"], x)


def test_arrays_of_two_dimensions_and_their_target(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    assert taken(tmp_path, as_npz(X=x, y=y[:, None]), "npz").table.target == "y"
    table = taken(tmp_path, as_npy(np.column_stack([x, y])), "npy").table
    assert (table.target, table.task, table.shape.features) == ("column_4", "classification", 3)


def test_types_of_parquet_are_kinds(tmp_path: Path) -> None:
    data = {
        "day": np.arange(60).astype("M8[D]"),
        "yes": [i % 3 == 0 for i in range(60)],
        "price": pa.array([i % 7 for i in range(60)]).cast(pa.decimal128(21, 2)),
        "nothing": pa.nulls(60),
        "y": [i % 2 == 0 for i in range(60)],
    }
    found = taken(tmp_path, as_parquet(data), "parquet")
    assert [one.kind.value for one in found.table.features] == ["date", "bool", "numeric"]
    assert found.table.classes == ("false", "true")
    assert found.kept.tensors()["numbers"][1].tolist() == [86400.0, 0.0, 1.0]
    assert column(found.table, "nothing").becomes == "left out: it has no value in any row"


def test_nested_columns_and_bytes_are_refused_unless_left_out(tmp_path: Path) -> None:
    data = as_parquet({**COLUMNS, "l": pa.array([[1]] * ROWS), "b": pa.array([b"\xff"] * ROWS)})
    with pytest.raises(Unreadable, match="holds list"):
        taken(tmp_path, data, "parquet")
    with pytest.raises(Unreadable, match="holds bytes") as caught:
        taken(tmp_path, data, "parquet", columns={"l": "leave_out"})
    assert caught.value.column == "b"
    table = taken(tmp_path, data, "parquet", columns={"l": "leave_out", "b": "leave_out"}).table
    assert table.shape.features == 4


def test_how_the_file_writes_its_table_is_recorded(tmp_path: Path) -> None:
    lines = ["price;seen;sold;told;y"]
    lines += [f"{i},5;{1 + i % 28}.02.2024;2/{1 + i % 28}/2024;{i};{'ab'[i % 2]}" for i in range(30)]
    text = "\n".join(lines).encode("utf-16")
    found = taken(tmp_path, text, target="y", columns={"told": Kind.DATE}).table
    assert found.written == Written(
        delimiter=";",
        encoding="utf-16-le",
        decimal_commas=("price",),
        day_first=("seen",),
        month_first=("sold",),
        as_seconds=("told",),
    )
    upload = found.upload(File(bytes=1, sha256="0" * 64))
    assert (upload.written, upload.target_kind, upload.split_kind) == (found.written, Kind.CATEGORY, None)

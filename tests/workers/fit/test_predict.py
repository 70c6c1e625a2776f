"""The program beside a network reads files as the reader of uploads does."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from tests.builders.own_files import report_of, saved, visits
from whichopt.service.uploads import Choices, Kind
from whichopt.workers.fit import fit, predict
from whichopt.workers.intake.columns import Values, as_words
from whichopt.workers.intake.dates import dates
from whichopt.workers.intake.raw import MISSING
from whichopt.workers.intake.words import YES_AND_NO
from whichopt.workers.workload import build
from whichopt.workers.workload.columns import FARTHEST, LARGEST
from whichopt.workers.workload.uploads import load

predict_load = predict.load
KEPT = ("age", "town", "street", "member", "children", "day", "risk")
JOB: dict[str, Any] = {
    "workload": {"model": {"name": "linear"}},
    "optimizers": ["sgd"],
    "budget": {"trials": 2, "replicates": 2, "epochs": 1, "confirm_seeds": 3},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file, and the network of a job about it."""
    made = tmp_path_factory.mktemp("own")
    (made / "blobs").mkdir()
    columns = {name: values for name, values in visits().items() if name in KEPT}
    path = saved(made / "visits.csv", columns, delimiter=";")
    report = report_of(path, made / "blobs", Choices(target="risk"), JOB)
    fit(report, made / "net", data=path)
    (made / "report.json").write_text(report.model_dump_json())
    return made


def features(path: Path, folder: Path) -> Any:
    preparation = json.loads((folder / "net" / "preparation.json").read_text())
    parts = [
        predict.features(columns, preparation, first) for first, columns in predict.tables(path, preparation)
    ]
    return np.concatenate(parts)


def test_the_features_are_those_that_were_trained_on(folder: Path) -> None:
    from whichopt.service.evidence.report.files import read_report
    from whichopt.workers.reported import confirmed

    report = read_report(folder / "report.json")
    spec = report.spec.cataloged
    kept, built = load(spec, folder / "blobs"), build(spec, blobs=folder / "blobs")
    seed = confirmed(report)[0].plan.seeds.split
    train, _, test = kept.parts(built.criteria, spec.sizes, seed)
    found, splits = features(folder / "visits.csv", folder), built.splits(seed)
    np.testing.assert_array_equal(found[train], splits.train.inputs.numpy())
    np.testing.assert_array_equal(found[test], splits.test.inputs.numpy())


def test_other_ways_to_write_the_rows_give_the_same_features(folder: Path, tmp_path: Path) -> None:
    expected, path = features(folder / "visits.csv", folder), folder / "visits.csv"
    table = pa_csv.read_csv(path, parse_options=pa_csv.ParseOptions(delimiter=";"))
    tabs = tmp_path / "visits.tsv"
    pa_csv.write_csv(table, tabs, pa_csv.WriteOptions(delimiter="\t"))
    with gzip.open(tmp_path / "wide.csv.gz", "wt", encoding="utf-16") as file:
        file.write("\n" + path.read_text(encoding="utf-8"))
    pq.write_table(table, tmp_path / "visits.parquet")
    few = predict.ROWS_AT_ONCE
    try:
        predict.ROWS_AT_ONCE = 64
        for other in (tabs, tmp_path / "wide.csv.gz", tmp_path / "visits.parquet"):
            np.testing.assert_array_equal(features(other, folder), expected)
    finally:
        predict.ROWS_AT_ONCE = few


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("age", "old", "row 4 has 'old' in column 'age', which is numeric"),
        ("member", "maybe", "row 4 has 'maybe' in column 'member', which is bool"),
        ("day", "31.31.2021", "row 4 has '31.31.2021' in column 'day', which is date"),
        ("day", "5", "row 4 has '5' in column 'day', which is date"),
        ("member", "7", "row 4 has '7' in column 'member', which is bool"),
        ("age", "1_000", "row 4 has '1_000' in column 'age', which is numeric"),
        ("children", "inf", "column 'children' is infinite in row 4"),
    ],
)
def test_a_bad_value_is_named_by_row_and_column(
    column: str, value: str, complaint: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (folder / "visits.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter=";"))[:5]
    rows[2][column] = value
    saved(tmp_path / "bad.csv", {name: [row[name] for row in rows] for name in rows[0]})
    net = folder / "net"
    with pytest.raises(predict.Unreadable, match=complaint):
        predict.predict(tmp_path / "bad.csv", tmp_path / "out.csv", net)
    assert not (tmp_path / "out.csv").exists()
    assert predict.main([str(tmp_path / "none.csv"), "out.csv"]) == 2
    assert "predict.py:" in capsys.readouterr().err


def test_a_file_of_other_columns_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("age;town\n1;north\n")
    with pytest.raises(predict.Unreadable, match="lacks the columns 'street', 'member', 'children', 'day'"):
        predict.predict(tmp_path / "other.csv", tmp_path / "out.csv", folder / "net")
    (tmp_path / "twice.csv").write_text("age;town;street;member;children;day;age\n")
    with pytest.raises(predict.Unreadable, match="has several columns 'age'"):
        predict.predict(tmp_path / "twice.csv", tmp_path / "out.csv", folder / "net")


@pytest.mark.parametrize(
    ("text", "first", "numbers"),
    [
        ("5.1,red,x\n?,blue,y\n", 1, ["5.1", "?"]),
        ("5.1,red\n4.9,blue\n", 1, ["5.1", "4.9"]),
        ("length,color,kind\n4.9,blue,x\n", 2, ["4.9"]),
        ("color;column_2;column_1\nx;blue;4.9\n", 2, ["4.9"]),
    ],
)
def test_a_row_is_not_taken_for_names(text: str, first: int, numbers: list[str], tmp_path: Path) -> None:
    """A network of a file without names of columns may meet a file with them."""
    columns = [{"name": "column_1", "kind": "numeric"}, {"name": "column_2", "kind": "category"}]
    preparation = {"header": False, "decimal_commas": [], "day_first": [], "prepared": {"columns": columns}}
    (tmp_path / "rows.csv").write_text(text)
    ((number, found),) = predict.tables(tmp_path / "rows.csv", preparation)
    assert (number, found["column_1"]) == (first, numbers)


def test_names_may_have_several_lines(tmp_path: Path) -> None:
    preparation = {"header": True, "prepared": {"columns": [{"name": "the age", "kind": "numeric"}]}}
    (tmp_path / "rows.csv").write_text('\n"the\nage";town\n4,x\n5,y\n'.replace(",", ";"))
    ((_, found),) = predict.tables(tmp_path / "rows.csv", preparation)
    assert found == {"the age": ["4", "5"], "town": ["x", "y"]}


def test_a_number_is_the_word_that_it_was() -> None:
    numbers = np.array([1.0, 1.5, 1e-5, 1e16, 2.0**60, np.nan])
    values = Values("a", Kind.NUMERIC, 1, 5, numbers, whole=False)
    assert list(predict._words(numbers)) == as_words(values).to_pylist()
    assert list(predict._words(numbers))[:3] == ["1", "1.5", "1e-05"]


@pytest.mark.parametrize(
    ("name", "data"),
    [("cut.csv.gz", gzip.compress(b"x" * 9999)[:20]), ("a.pq", b"PAR1")],
    ids=["cut.csv.gz", "a.pq"],  # compressed bytes have the time in them, and an id must not
)
def test_a_damaged_file_is_refused(
    name: str, data: bytes, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predict, "load", lambda _: predict_load(folder / "net"))
        assert predict.main([str(tmp_path / name), str(tmp_path / "out.csv")]) == 2
    assert "predict.py:" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [name]


DATES = (
    (
        "2021-03-04",
        "2021-03-04T05:06",
        "2021-03-04 05:06:07.25",
        "2021-03-04T05:06:07Z",
        "2021-03-04 05:06+0130",
    ),
    ("2021/3/4", "2021/12/31 23:59:59"),
    ("2021.03.04", "2021.12.31"),
    ("31/12/2021", "1/2/2022 10:30"),
    ("12-31-2021", "2-1-2022"),
    ("31.12.2021", "01.02.2022 10:30:15,5"),
)


@pytest.mark.parametrize("words", DATES, ids=lambda words: words[0])
def test_dates_are_read_as_they_were(words: tuple[str, ...]) -> None:
    read = dates(pa.array(words))
    assert read is not None
    first = ["when"] if read.first == "day" else []
    preparation = {"decimal_commas": [], "day_first": first, "as_seconds": []}
    found = [predict._number(word, {"name": "when", "kind": "date"}, preparation) for word in words]
    assert found == read.seconds.tolist()


def test_what_words_stand_for_is_the_same() -> None:
    assert predict.MISSING == MISSING
    assert {word: float(i) for pair in YES_AND_NO for i, word in enumerate(pair)} == predict.WORDS
    assert (predict.FARTHEST, predict.LARGEST) == (FARTHEST, LARGEST)

"""A table that is read by blocks is the one that is read row after row; or it is not read by blocks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.builders.tables import COLUMNS, written
from whichopt.workers.intake import blocks, delimited, text
from whichopt.workers.intake.limits import Limits
from whichopt.workers.intake.problems import Problem
from whichopt.workers.intake.progress import Progress, silent
from whichopt.workers.intake.raw import Columns
from whichopt.workers.intake.sniffed import sniffed

NAMES = ["a", "b", "c"]


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Blocks and chunks of a few rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", 40)
        patch.setattr(text, "CHUNK", 16)
        yield


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("blocks") / "sent.csv"


def by_blocks(file: Path, content: str, progress: Progress | None = None) -> Columns | None:
    file.write_text(content, newline="")
    found = sniffed(content, header=True, tabs=False, most_columns=9)
    return blocks.read(
        text.Text(file, 1 << 20), found, found.names, Limits(), progress or silent(), as_text=["c"]
    )


def row_after_row(file: Path, content: str) -> dict[str, list[str | None]] | None:
    """The fields as strings; None if there is something wrong."""
    found = sniffed(content, header=True, tabs=False, most_columns=9)
    try:
        table = delimited._row_after_row(text.Text(file, 1 << 20), found, found.names, Limits(), silent())
    except Problem:
        return None
    return dict(table.to_pydict())


FIELDS = st.one_of(
    st.sampled_from(["1", "2.5", "-0.0", "x", "", "NA", " 3", '"q"', '"a\nb"', '"d""e"', '"f,g"', '5"', '"']),
    st.text(alphabet='1.a",\n\r ', max_size=4),
)


@hypothesis_settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.lists(FIELDS, min_size=3, max_size=3), min_size=1, max_size=30),
    st.sampled_from(["\n", "\r\n"]),
)
def test_blocks_change_nothing(file: Path, rows: list[list[str]], end: str) -> None:
    content = end.join(map(",".join, [NAMES, *rows]))
    found = by_blocks(file, content)
    if found is None:
        return
    expected = row_after_row(file, content)
    assert expected is not None
    for name, values in found.items():
        if isinstance(values, np.ndarray):
            texts = pa.array(expected[name], pa.string())
            numbers = pc.cast(pc.utf8_trim_whitespace(texts), pa.float64())  # as inference does
            np.testing.assert_array_equal(values, np.array(numbers.to_pylist(), float))
        else:
            assert values.to_pylist() == expected[name]


def test_plain_tables_are_read_by_blocks(file: Path) -> None:
    """With quotes, newlines in them, empty lines and Windows' ends of lines; and how far it is is told."""
    said = list[str]()
    for content in (
        written(COLUMNS),
        written(COLUMNS, end="\r\n"),
        '"size","color","c"\n' + '1.5,"a ""b"", c\nd",x\n\n' * 50,
    ):
        found = by_blocks(file, content, Progress(said.append))
        assert found is not None
        assert isinstance(found["size"], np.ndarray)
        assert len(found["size"]) in (50, 60)
    assert len(said) >= 40


def test_codes_stay_as_they_are_written(file: Path) -> None:
    found = by_blocks(file, "zip,size,c\n" + "01234,0.5,1.5\n" * 20)
    assert found is not None
    assert not isinstance(found["zip"], np.ndarray)
    assert not isinstance(found["c"], np.ndarray), "as was asked"
    assert found["zip"].to_pylist() == ["01234"] * 20


def test_a_word_far_into_numbers_makes_words_of_all(file: Path) -> None:
    found = by_blocks(file, "a,b,c\n" + "0.50,1.5,x\n" * 50 + "few,2.5,y\n")
    assert found is not None
    assert not isinstance(found["a"], np.ndarray)
    assert found["a"].to_pylist() == ["0.50"] * 50 + ["few"]

"""Datasets by the client: files, frames and arrays go as they should, and problems come back as errors."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.builders.datasets import states
from tests.builders.services import KEY
from whichopt.service.client import Client, ProblemError
from whichopt.service.client.files import opened
from whichopt.service.db import Store
from whichopt.service.errors import UnsupportedMedia
from whichopt.service.routes import datasets as routes
from whichopt.service.views import DatasetView

TEXT = "a,b,y\n" + "".join(f"{n},1,2\n" for n in range(200))


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url, KEY) as client:
        yield client


def test_what_changes_while_it_is_sent_is_no_riddle(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(TEXT)
    with opened(path, None) as sent:
        path.write_text(TEXT + "1,2,3\n")
        assert b"".join(sent.pieces(None)) == TEXT.encode()
    with opened(path, None) as sent:
        path.write_text("a,b,y\n")
        with pytest.raises(OSError, match="became shorter while it was sent"):
            list(sent.pieces(None))
    os.mkfifo(tmp_path / "pipe.csv")
    with (
        pytest.raises(UnsupportedMedia, match=r"'pipe\.csv' is no regular file"),
        opened(tmp_path / "pipe.csv", None),
    ):
        pass


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "My penguins.csv"
    path.write_text(TEXT)
    return path


class Frame:
    """A data frame as polars has it, for all that a client asks."""

    def write_parquet(self, file: Any) -> None:
        file.write(TEXT.encode())


class Arrow:
    """A data frame of a library that offers its columns as a stream of Arrow, and nothing else."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        rows = pa.table({"a": [0.5, 1.5], "word": ["x", None]})
        return rows.__arrow_c_stream__(requested_schema)


class PandasWithoutArrow:
    def to_parquet(self, *_: Any, **__: Any) -> None:
        raise ImportError("pyarrow is not installed")


def test_a_file_is_sent_and_waited_for(client: Client, file: Path) -> None:
    gone: list[tuple[int, int]] = []
    found = client.add_dataset(file, "y", sent=lambda *counts: gone.append(counts))
    assert (found.name, found.state, found.file.name) == ("My-penguins", "ready", "My penguins.csv")
    assert gone[-1] == (len(TEXT), len(TEXT))
    assert client.dataset("My-penguins") == found
    assert client.add_dataset(file, "y") == found
    assert "My-penguins" in [entry.name for entry in client.datasets()]
    assert "My-penguins" in [entry.name for entry in client.catalog("datasets")]
    client.delete_dataset("My-penguins")
    with pytest.raises(ProblemError, match="there is no dataset 'My-penguins'"):
        client.dataset("My-penguins")


def test_what_takes_long_is_polled_until_its_problem_is_known(
    client: Client, lite: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "ANSWER_S", 0.0)
    (tmp_path / "bad.csv").write_text("bad\n")
    with pytest.raises(ProblemError) as refused:
        client.add_dataset(tmp_path / "bad.csv")
    assert (refused.value.problem.code, refused.value.problem.status) == ("unreadable_dataset", 422)
    assert (refused.value.field, refused.value.value) == ("b", 3)
    assert states(lite) == {"bad": "failed"}
    kept = client.dataset("bad")
    assert isinstance(kept, DatasetView)
    assert kept.problem is not None
    assert kept.problem.detail == "row 3 is bad"
    (tmp_path / "bad.csv").write_text(TEXT)
    assert client.add_dataset(tmp_path / "bad.csv").state == "ready", "a failed one is replaced"


def test_a_preview_is_kept(client: Client, file: Path) -> None:
    assert client.add_dataset(file, name="tried", dry_run=True).state == "preview"
    assert client.keep_dataset("tried").state == "ready"


def test_frames_have_a_name_by_their_content(client: Client) -> None:
    first, again = client.add_dataset(Frame(), target="y"), client.add_dataset(Frame(), target="y")
    assert first == again
    assert first.name.startswith("data-")
    assert first.file.name is None


def test_arrays_go_without_pickles() -> None:
    arrays = {"file": np.arange(3.0), "who": np.array(["x", "yy", "z"], dtype=object)}
    with opened(arrays, None) as sent:
        assert sent.kind == "application/x-npz"
        archive = zipfile.ZipFile(io.BytesIO(b"".join(sent.pieces(None))))
        values = {
            name: np.load(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False) for name in arrays
        }
    assert values["file"].tolist() == [0, 1, 2]
    assert values["who"].tolist() == ["x", "yy", "z"]
    with opened(np.ones((2, 3)), "ones") as sent:
        assert (sent.kind, sent.name) == ("application/x-npy", "ones")
        assert np.load(io.BytesIO(b"".join(sent.pieces(None)))).shape == (2, 3)


@pytest.mark.parametrize(
    ("data", "error", "said"),
    [
        (3, UnsupportedMedia, "data frame of pandas or polars"),
        ({"a": [object()]}, ValueError, "Python objects"),
        (PandasWithoutArrow(), ImportError, "pip install pyarrow"),
        ("model.xlsx", UnsupportedMedia, "must end with one of"),
        ("nowhere.csv", FileNotFoundError, "nowhere.csv"),
    ],
)
def test_what_cannot_be_sent_is_said_so(
    data: Any, error: type[Exception], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.xlsx").write_text("x")
    with pytest.raises(error, match=said), opened(data, None):
        pass


def test_a_stream_of_arrow_is_sent_as_parquet() -> None:
    with opened(Arrow(), None) as sent:
        assert sent.kind == "application/vnd.apache.parquet"
        found = parquet.read_table(pa.py_buffer(b"".join(sent.pieces(None))))
    assert found.to_pydict() == {"a": [0.5, 1.5], "word": ["x", None]}

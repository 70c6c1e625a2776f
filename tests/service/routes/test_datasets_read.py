"""The door and the reader of whichopt together: real files, and those that are made to harm."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.builders.concluded_jobs import BODY
from tests.builders.datasets import states
from tests.builders.services import KEY, Recorder
from tests.builders.serving import served
from tests.builders.texts import prose
from whichopt.service.app import create_app
from whichopt.service.client import Client, ProblemError
from whichopt.service.db import Store
from whichopt.service.intake import LOCK
from whichopt.service.settings import Settings

ROWS = 240
SPECIES = ("adelie", "chinstrap", "gentoo")


@pytest.fixture
def client(lite: Store, settings: Settings) -> Iterator[Client]:
    """A client of a service with the real reader, over a socket."""
    app = create_app(settings, lite, Recorder())
    with served(app) as url, Client(url, KEY, timeout_s=120) as client:
        yield client


def penguins() -> pd.DataFrame:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "bill": random.normal(40, 5, ROWS).round(2),
            "island": random.choice(["biscoe", "dream"], ROWS),
            "species": random.choice(SPECIES, ROWS),
        }
    )
    frame.loc[3, "bill"] = None
    return frame


def kept(settings: Settings) -> set[str]:
    return {file.name for file in settings.blobs.iterdir()} - {LOCK}


def test_a_table_is_the_same_dataset_however_it_is_sent(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    frame = penguins()
    frame.to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    sent = [client.add_dataset(tmp_path / "a.csv"), client.add_dataset(tmp_path / "b.csv.gz")]
    sent.append(client.add_dataset(frame, target="species", name="frame"))
    for view in sent:
        table = view.table
        assert table is not None
        assert (table.rows, table.target, table.classes) == (ROWS, "species", SPECIES)
        assert [column.kind for column in table.columns] == ["numeric", "category", "category"]
        assert (table.columns[0].missing, table.columns[0].width, table.shape.features) == (1, 2, 4)
    assert kept(settings) == {view.content for view in sent}
    assert sent[0].content == sent[1].content
    job = client.submit({**BODY, "workload": {"dataset": "frame", "model": "linear"}})
    assert job.spec.workload.upload is not None
    assert job.spec.workload.upload.classes == SPECIES


def test_arrays_are_a_dataset(client: Client) -> None:
    random = np.random.default_rng(0)
    arrays = {"x": random.normal(size=ROWS), "z": random.normal(size=ROWS), "y": random.normal(size=ROWS)}
    view = client.add_dataset(arrays, target="y", name="arrays")
    assert view.table is not None
    assert (view.table.task, view.table.shape.features) == ("regression", 2)


def _pickled() -> bytes:
    file = io.BytesIO()
    np.savez(file, x=np.array([{"a": 1}] * 9, dtype=object))
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("ragged.csv", b"a,b,y\n1,2,3\n1,2\n", "row 3"),
        ("twice.csv", b"a,a,y\n1,2,3\n", "'a'"),
        ("nul.csv", b"a,b,y\n1,\x00,3\n" * 3, "NUL"),
        ("latin.csv", "a,b,y\n1,\u00e9,3\n".encode("latin-1") * 9, "UTF-8"),
        ("none.parquet", b"PAR1 not at all", ""),
        ("pickled.npz", _pickled(), ""),
        ("one-class.csv", b"a,b,y\n" + b"1.5,2.5,yes\n" * 50, ""),
    ],
)
def test_what_cannot_be_read_is_named_and_leaves_nothing(
    client: Client, lite: Store, settings: Settings, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ProblemError) as refused:
        client.add_dataset(tmp_path / name)
    assert 400 <= refused.value.problem.status < 500, refused.value.detail
    assert said in refused.value.detail
    assert states(lite) == {}
    assert kept(settings) == set()


def test_a_text_is_a_dataset_that_a_language_model_learns(client: Client, tmp_path: Path) -> None:
    """Whatever the file's name ends with: without the task a `.txt` file is a table, as before."""
    for name in ("book.md", "book.txt"):
        (tmp_path / name).write_text(prose(), encoding="utf-8")
        view = client.add_dataset(tmp_path / name, task="language", name="book")
        assert view.table is not None
        assert view.table.text is not None
        assert view.table.text.beginning == prose()[:400]
        assert str(view.table.split) == "in_order"
    (tmp_path / "table.txt").write_text("a,b,y\n" + "1,2,3\n2,1,5\n" * 50)
    assert client.add_dataset(tmp_path / "table.txt", "y").table is not None
    workload = {"dataset": {"name": "book", "length": 32}, "model": "lstm"}
    job = client.submit({**BODY, "workload": workload, "batch_size": 8})
    upload = job.spec.workload.upload
    assert upload is not None
    assert upload.text is not None
    assert upload.text.beginning == "", "a job does not tell the text"
    assert job.spec.workload.task == "language"
    with pytest.raises(ProblemError, match="has no columns"):
        client.add_dataset(tmp_path / "book.txt", "y", task="language", name="other")
    (tmp_path / "bad.txt").write_bytes(b"no\0text")
    with pytest.raises(ProblemError, match="NUL character, so the file is no text"):
        client.add_dataset(tmp_path / "bad.txt", task="language")

"""Files, folders and jobs of any name: spaces, other scripts, what means something in a URL or terminal."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.builders.concluded_jobs import concluded_job
from tests.builders.services import KEY
from whichopt.service.cli import app
from whichopt.service.cli.listings import Heading, Listing
from whichopt.service.db import Store
from whichopt.service.db.migrate import is_current, upgrade
from whichopt.service.sqlite_url import sqlite_url
from whichopt.workers.embedded import broker

ODD = (
    "two words",
    "na\xefve \U0001f600",
    "a#b",
    "100%",
    "a%41b",
    "what?",
    'it\'s "quoted"',
    "two\nlines",
    "-dash",
    "$(echo x);&*",
    "user:word@host",
    os.fsdecode(b"\xff\xfe"),
    "n" * 245,
)
RUN = CliRunner()


@pytest.mark.parametrize("name", ODD, ids=range(len(ODD)))
def test_a_database_is_where_its_path_says(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    store = Store(sqlite_url(folder / "whichopt.db"))
    upgrade(store)
    assert is_current(store)
    store.close()
    assert [file.name for file in folder.iterdir()] == ["whichopt.db"]
    assert list(tmp_path.iterdir()) == [folder]


def test_a_path_that_no_url_can_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"give a path without \? and %"):
        sqlite_url(Path(os.fsdecode(b"/tmp/\xff?")))


@pytest.mark.parametrize("name", ["socket?#%", "long" * 40], ids=["characters", "length"])
def test_the_brokers_socket_has_a_short_plain_path(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / name))
    made = broker.Broker(tmp_path)
    assert len(str(made.socket)) <= 103
    assert broker.PLAIN.fullmatch(str(made.socket))
    made.runtime.rmdir()


def test_files_of_any_name_are_read_and_written(url: str, lite: Store, tmp_path: Path) -> None:
    _, uid = concluded_job(lite)
    for name in ODD:
        (tmp_path / name).write_text(json.dumps({"workload": {"dataset": "wine", "model": "linear"}}))
        assert RUN.invoke(app, ["lint", "--", str(tmp_path / name)]).exit_code == 0, name
        (tmp_path / name).unlink()
    options = ["--url", url, "--key", KEY]
    for name in ("a%41b", "what?", "two\nlines", ODD[-1]):
        saved = RUN.invoke(app, ["export", uid, "--to", str(tmp_path / name), "--json", *options])
        assert saved.exit_code == 0, saved.output
        told = json.loads(saved.stdout)
        assert Path(told["file"]).read_bytes().startswith(b"SQLite format 3")
        store = Store(told["storage"])
        with store.read() as tx:
            assert tx.connection.exec_driver_sql("SELECT count(*) FROM studies").scalar_one() > 0, name
        store.close()
    folder = RUN.invoke(app, ["export", uid, "--to", str(tmp_path), "--force", *options])
    assert folder.exit_code == 2
    assert f"it is a folder; name a file: {tmp_path}" in folder.stderr
    assert [file for file in tmp_path.iterdir() if file.name.endswith(".part")] == []


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    listing = Listing([Heading("name")], [["a\x1b[31mb\x9bc\u202ed\te\x07"]])
    assert listing.rows[0][0].text == "a\ufffd[31mb\ufffdc\ufffdd e\ufffd"

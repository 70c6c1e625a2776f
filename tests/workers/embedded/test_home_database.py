"""What a home does with its database before it is announced."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from whichopt.service.db import Store
from whichopt.service.db.files import keep_copy
from whichopt.service.db.migrate import upgrade
from whichopt.service.db.standing import Tables, head, standing
from whichopt.service.sqlite_url import sqlite_url
from whichopt.workers.embedded.home import AskedToStop, CannotStart, Home

EARLIEST = Path(__file__).parents[2] / "earlier" / "0.1" / "data" / "whichopt.db"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home on an earlier version's database, none of whose processes have been started."""
    folder = tmp_path / "what? 100% of #1"
    folder.mkdir()
    shutil.copy(EARLIEST, folder / "whichopt.db")
    home = Home(host="127.0.0.1", port=0, data=folder, workers=1)
    yield home
    home.lock.close()


def test_an_earlier_versions_database_is_copied_before_it_is_migrated(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert home._prepare_database() == (home.data / "api-key").read_text().strip()
    copy = home.data / f"whichopt.db.before-{head()}"
    assert str(copy) in capsys.readouterr().out
    for file, tables in ((copy, Tables.OLDER), (home.data / "whichopt.db", Tables.CURRENT)):
        store = Store(sqlite_url(file))
        assert standing(store).tables is tables
        store.close()
    with closing(sqlite3.connect(EARLIEST)) as before, closing(sqlite3.connect(copy)) as kept:
        assert list(kept.iterdump()) == list(before.iterdump())
    assert home._prepare_database() is not None
    assert capsys.readouterr().out == "", "once"


def test_what_is_too_large_for_a_copy_is_migrated_without(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whichopt.service.db.files.LARGEST_COPY", 1000)
    store = Store(home.database_url)
    assert keep_copy(store, "before-x") is None
    store.close()
    assert home._prepare_database() is not None
    assert list(home.data.glob("*before*")) == []


def test_a_database_that_cannot_be_used_is_said_in_one_line(home: Home) -> None:
    store = Store(home.database_url)
    upgrade(store)
    with store.transaction() as tx:
        tx.connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0099'")
    store.close()
    with pytest.raises(CannotStart, match=r"^[^\n]*upgrade the program[^\n]*$"):
        home._prepare_database()
    (home.data / "whichopt.db").write_bytes(b"none")
    with pytest.raises(CannotStart, match=r"^[^\n]*not an SQLite database[^\n]*$"):
        home._prepare_database()


def test_ctrl_c_ends_the_wait_for_a_database_that_is_held(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(home.data / "whichopt.db", isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("BEGIN IMMEDIATE")
        home.ask_to_stop(2, None)
        with pytest.raises(AskedToStop):
            home._prepare_database()
    home.stop_asked = False
    for _ in range(2):
        home._waits("another program holds it")
    assert capsys.readouterr().err.count("another program holds it") == 1


def test_ctrl_c_interrupts_a_start_and_nothing_else(home: Home) -> None:
    home.ask_to_stop(2, None)
    assert home.stop_asked, "and the loop that watches ends by itself"
    home.interruptible = True
    with pytest.raises(AskedToStop):
        home.ask_to_stop(2, None)
    home.ask_to_stop(2, None)  # once: what is ended meanwhile is not interrupted


@pytest.mark.parametrize("name", ["taken", "taken/below"])
def test_a_file_in_the_place_of_the_data_folder_is_said(name: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(CannotStart, match="is a file, or lies in one; give --data a folder"):
        Home(host="127.0.0.1", port=1, data=tmp_path / name, workers=1)


def test_a_data_folder_that_cannot_be_made_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuses)
    with pytest.raises(
        CannotStart, match=r"nix cannot be created \(Permission denied\); give --data another"
    ):
        Home(host="127.0.0.1", port=1, data=tmp_path / "nix", workers=1)

"""Databases in odd states, for real: each is told in one line that says what to do, at every door."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from celery.worker import state
from fastapi.testclient import TestClient
from structlog.testing import capture_logs
from typer.testing import CliRunner

from whichopt.service.cli import app as command_line
from whichopt.service.db import OUT_OF_REACH, DatabaseError, Store, troubles
from whichopt.service.db.migrate import CannotMigrate, upgrade
from whichopt.service.db.standing import Tables, head, standing
from whichopt.service.db.troubles import in_words, trouble
from whichopt.service.routes.health import tell_standing
from whichopt.service.settings import Settings
from whichopt.service.sqlite_url import sqlite_url
from whichopt.workers import alive, standby
from whichopt.workers import app as worker

NOBODY = 65534


def told(url: str, use: Callable[[Store], object]) -> str:
    """What is said of the error that `use` raises: one line."""
    store = Store(url)
    with pytest.raises((DatabaseError, CannotMigrate)) as raised:
        use(store)
    store.close()
    words = in_words(raised.value, store.url)
    assert "\n" not in words
    assert len(words) < 600
    return words


def count(store: Store) -> object:
    with store.read() as tx:
        return tx.views.job_counts()


def write(store: Store) -> None:
    with store.transaction() as tx:
        tx.keys.ensure("a-new-key-of-this-test", name="test")


def revise(store: Store, statement: str) -> None:
    with store.transaction() as tx:
        tx.connection.execute(sa.text(statement))


# -- SQLite --------------------------------------------------------------------------------------------


@pytest.fixture
def file(lite: Store) -> Path:
    """The file of a current database that nobody has open."""
    lite.close()
    return Path(str(lite.url.database))


def damage(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:4096] + b"\x5a" * (len(content) - 4096))


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda file: file.write_bytes(b"no database" * 999), "is not an SQLite database"),
        (damage, "PRAGMA integrity_check"),
        (lambda file: os.truncate(file, file.stat().st_size // 2), "restore it from a backup"),
        (lambda file: (file.unlink(), file.mkdir()), "it is a folder; name a file"),
        (lambda file: file.parent.rename(f"{file.parent}-away"), "there is no folder"),
    ],
    ids=["junk", "damaged", "truncated", "folder", "gone"],
)
def test_files_that_are_no_database(file: Path, spoil: Callable[[Path], object], expected: str) -> None:
    spoil(file)
    for use in (count, write, upgrade, standing):
        assert expected in told(sqlite_url(file), use)


def test_a_database_that_another_program_holds(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whichopt.service.db.migrate.LOCK_S", 1)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "another program has locked the database" in told(sqlite_url(file), upgrade)
        assert standing(Store(sqlite_url(file))).tables is Tables.CURRENT, "who only reads does not wait"


def test_a_database_that_nobody_else_may_read_is_waited_for(file: Path) -> None:
    """Another program with `locking_mode=exclusive`: who connects is refused before it could migrate."""
    said: list[str] = []
    store = Store(sqlite_url(file))
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")

        def waits(words: str) -> None:
            said.append(words)
            if len(said) == 2:
                other.close()

        upgrade(store, waits=waits)
    assert said == [f"another program has locked {file}; waiting for it, up to 20 s"] * 2
    store.close()


def test_a_wait_for_another_program_ends(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whichopt.service.db.migrate.LOOK_S", 0.1)
    monkeypatch.setattr("whichopt.service.db.migrate.LOCK_S", 0.3)
    said: list[str] = []
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        text = told(sqlite_url(file), lambda store: upgrade(store, waits=said.append))
    assert "another program has locked the database" in text
    assert len(said) == 2


def test_who_only_uses_a_database_makes_no_file(tmp_path: Path) -> None:
    for name in ("nothere.db", "what? 100% of #1.db"):
        store = Store(sqlite_url(tmp_path / name), makes_file=False)
        with pytest.raises(OUT_OF_REACH) as raised, store.read():
            pass
        assert troubles.in_words(raised.value, store.url) == (
            f"the database {tmp_path / name}: there is no such file; run 'whichopt migrate', which creates "
            "it, or name another"
        )
        assert list(tmp_path.iterdir()) == []
        made = Store(sqlite_url(tmp_path / name))
        upgrade(made)
        assert standing(store).tables is Tables.CURRENT
        for each in (made, store):
            each.close()
        for left in tmp_path.iterdir():
            left.unlink()
    Store("sqlite://", makes_file=False).engine.connect().close()


@pytest.mark.parametrize("door", ["whichopt.workers.alive", "whichopt.workers.app"])
def test_workers_make_no_database(door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'nothere.db'}"
    if door == "whichopt.workers.alive":
        monkeypatch.setenv("WHICHOPT_DATABASE_URL", url)
        assert alive.main() == 1
    else:
        monkeypatch.setattr(worker, "_store", None)
        monkeypatch.setattr(worker, "settings", Settings(database_url=url))
        with pytest.raises(OUT_OF_REACH):
            standing(worker._own_store())
    assert list(tmp_path.iterdir()) == []


def test_files_that_this_user_may_not_write(file: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        ours = folder / "whichopt.db"
        ours.write_bytes(file.read_bytes())
        os.seteuid(NOBODY)
        try:
            said = told(sqlite_url(ours), write)
        finally:
            os.seteuid(0)
    assert f"this user (id {NOBODY}) may not write the folder" in said
    assert "belongs to id 0" in said
    assert "the database cannot be written" in told(f"sqlite:///file:{file}?mode=ro&uri=true", write)


def test_each_way_that_tables_can_stand(file: Path) -> None:
    store = Store(sqlite_url(file))
    assert standing(store).tables is Tables.CURRENT
    for revision, tables, expected in (
        ("0001", Tables.OLDER, "run 'whichopt migrate'"),
        ("0099", Tables.NEWER, f"knows revisions up to {head()}): upgrade the program"),
        ("0099_later", Tables.NEWER, "upgrade the program"),
        ("1975ea83b712", Tables.OTHERS, "none of whichopt's"),
    ):
        revise(store, f"UPDATE alembic_version SET version_num = '{revision}'")
        found = standing(store)
        assert (found.tables, found.revision) == (tables, revision)
        assert expected in found.detail
        if found.lasting:
            assert told(sqlite_url(file), upgrade) == found.detail
            assert "whichopt migrate" not in found.detail
    for statement in ("DELETE FROM alembic_version", "DROP TABLE alembic_version"):
        revise(store, statement)
        assert standing(store).tables is Tables.OTHERS
        assert "has a table 'api_key', but does not say which version" in told(sqlite_url(file), upgrade)
    store.close()


def test_a_table_that_is_gone_is_told(file: Path) -> None:
    store = Store(sqlite_url(file))
    revise(store, "DROP TABLE forecast")
    store.close()

    def count_forecasts(store: Store) -> None:
        revise(store, "SELECT count(*) FROM forecast")

    assert "does not have this version's tables (no such table: forecast)" in told(
        sqlite_url(file), count_forecasts
    )


# -- PostgreSQL ----------------------------------------------------------------------------------------


@pytest.fixture
def server(postgres: Any) -> Iterator[Callable[..., None]]:
    """Runs statements as the server's owner."""
    owner = Store(postgres.url("postgres"))

    def run(*statements: str) -> None:
        for statement in statements:
            postgres._execute(owner, statement)

    yield run
    owner.close()


def test_a_server_that_refuses(postgres: Any, server: Callable[..., None]) -> None:
    url = sa.make_url(postgres.database())
    assert "has no database of that name" in told(postgres.url("none_of_that_name"), count)
    server("CREATE ROLE narrow LOGIN CONNECTION LIMIT 1", "CREATE ROLE silent NOLOGIN")
    stranger = url.set(username="stranger").render_as_string(hide_password=False)
    assert "rejects this user" in told(stranger, upgrade)
    silent = url.set(username="silent").render_as_string(hide_password=False)
    assert "rejects this user" in told(silent, count)
    narrow = url.set(username="narrow").render_as_string(hide_password=False)
    assert "lacks a permission (permission denied for table" in told(narrow, count)
    postgres.wait_until_left("narrow")
    one = Store(narrow)
    with one.engine.connect():
        assert "raise the server's max_connections" in told(narrow, count)
    one.close()
    postgres.wait_until_left("narrow")
    empty = sa.make_url(postgres.database(migrated=False)).set(username="narrow")
    said = told(empty.render_as_string(hide_password=False), upgrade)
    assert "lacks a permission (permission denied for schema public); make that user the owner" in said


def test_a_server_that_can_only_be_read(postgres: Any, server: Callable[..., None]) -> None:
    url = postgres.database()
    server(f"ALTER DATABASE {sa.make_url(url).database} SET default_transaction_read_only = on")
    assert "name the primary in WHICHOPT_DATABASE_URL" in told(url, write)


def test_databases_of_other_encodings(postgres: Any, server: Callable[..., None]) -> None:
    """One that takes any bytes is used as UTF-8; one that lacks characters is refused while it is empty."""
    for name, encoding in (("any_bytes", "SQL_ASCII"), ("latin", "LATIN1")):
        server(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    assert "encoding is LATIN1" in told(postgres.url("latin"), upgrade)
    store = Store(postgres.url("any_bytes"))
    upgrade(store)
    with store.transaction() as tx:
        tx.keys.ensure("a-key-of-any-bytes", name="実験")
        names = tx.connection.scalars(sa.text("SELECT name FROM api_key")).all()
    assert names == ["実験"]
    store.close()
    assert "lacks a character" in told(
        postgres.url("latin"), lambda store: revise(store, "CREATE TABLE t AS SELECT '実' AS t")
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('FATAL:  password authentication failed for user "low"', troubles.REFUSED),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.2", user "x", database "y"', troubles.REFUSED),
        ("connection failed: fe_sendauth: no password supplied", troubles.REFUSED),
        ("FATAL:  the database system is starting up", troubles.STARTING),
        ("FATAL:  the database system is not yet accepting connections", troubles.STARTING),
        ("FATAL:  the database system is shutting down", troubles.STARTING),
        ("FATAL:  sorry, too many clients already", troubles.TOO_MANY),
        ("FATAL:  remaining connection slots are reserved for roles", troubles.TOO_MANY),
        ("connection to server at ..., port 5432 failed: Connection refused", troubles.UNREACHABLE),
        ("failed to resolve host 'db': [Errno -2] Name or service not known", troubles.UNREACHABLE),
        ("connection timeout expired", troubles.UNREACHABLE),
        ("session is read-only", troubles.STANDBY),
    ],
)
def test_what_a_server_says_before_there_is_a_connection(said: str, expected: troubles.Trouble) -> None:
    """As servers said it; libpq hands over no code with it."""
    assert trouble(sa.exc.OperationalError("SELECT 1", {}, psycopg.OperationalError(said))) is expected


def test_a_password_is_never_told(postgres: Any) -> None:
    for url in (
        f"postgresql+psycopg://who:secret@/x?host={postgres.folder}",
        f"postgresql+psycopg://who@/x?host={postgres.folder}&password=secret",
    ):
        said = told(url, count)
        assert str(postgres.folder) in said
        assert "secret" not in said


# -- doors ---------------------------------------------------------------------------------------------


def test_migrate_says_it_in_one_line(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICHOPT_DATABASE_URL", sqlite_url(file))

    def renumber(file: Path) -> None:
        revise(Store(sqlite_url(file)), "UPDATE alembic_version SET version_num = '0099'")

    spoils: list[tuple[Callable[[Path], None], str]] = [
        (renumber, "upgrade the"),
        (damage, "integrity_check"),
    ]
    for spoil, expected in spoils:
        spoil(file)
        found = CliRunner().invoke(command_line, ["migrate"])
        assert found.exit_code == 2
        (line,) = found.stderr.splitlines()
        assert line.startswith("whichopt: ")
        assert expected in line


def test_readyz_advises_what_can_help(http: TestClient, lite: Store) -> None:
    for revision, expected, not_said in (
        ("0001", "run 'whichopt migrate'", "upgrade the program"),
        ("0099", "upgrade the program", "migrate"),
    ):
        revise(lite, f"UPDATE alembic_version SET version_num = '{revision}'")
        answer = http.get("/readyz")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert expected in answer.json()["detail"]
        assert not_said not in answer.json()["detail"]
        with capture_logs() as logged:
            tell_standing(lite)
        assert [expected in entry["reason"] for entry in logged] == [True]


def test_a_database_that_is_damaged_while_it_is_used(http: TestClient, lite: Store, file: Path) -> None:
    damage(file)
    for path in ("/v1/jobs", "/readyz", "/metrics", "/"):
        answer = http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert "PRAGMA integrity_check" in answer.json()["detail"]
        assert str(file) not in answer.text
    with capture_logs() as logged:
        tell_standing(lite)
    assert [entry["event"] for entry in logged] == ["database_trouble"]


def test_a_worker_older_than_its_database_ends_and_says_why(
    lite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "should_stop", None)
    revise(lite, "UPDATE alembic_version SET version_num = '0099'")
    with capture_logs() as logged:
        assert standby.database_is_current(lite, state) is False
    assert state.should_stop == os.EX_CONFIG
    (entry,) = logged
    assert entry["event"] == "cannot_work"
    assert "upgrade the program" in entry["reason"]


def test_a_worker_that_waits_says_so_again(lite: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here until it has said so twice; then it is asked to stop."""
    monkeypatch.setattr(standby, "SAY_AGAIN_S", 0.0)
    monkeypatch.setattr(state, "should_stop", None)
    revise(lite, "UPDATE alembic_version SET version_num = '0001'")
    with capture_logs() as logged:

        def sleep(_: float) -> None:
            if len(logged) == 3:
                state.should_stop = 0

        monkeypatch.setattr("whichopt.workers.standby.time.sleep", sleep)
        assert standby.database_is_current(lite, state) is False
    assert [entry["event"] for entry in logged] == ["waits", "still_waits", "still_waits"]
    assert all("whichopt migrate" in entry["waits_for"] for entry in logged)

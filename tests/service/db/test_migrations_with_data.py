"""Migrations of databases with rows: each step down and up on both, tables made anew, steps that fail.

The rows are those of the earliest version's fixture, and one of our own for each table and column that it
leaves empty, by the tables of the code: a new migration is tried by itself.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.builders.guests import guest_spec
from tests.builders.jobs import add_job
from whichopt.service.db import IntegrityError, Store
from whichopt.service.db.migrate import CannotMigrate, downgrade, is_current, upgrade
from whichopt.service.db.standing import _revisions, head, location
from whichopt.service.db.tables import UTCDateTime, job, metadata
from whichopt.service.spec import ResolvedSpec
from whichopt.service.spec.upgrade import goal_of
from whichopt.service.sqlite_url import sqlite_url

EARLIEST = Path(__file__).parents[2] / "earlier" / "0.1" / "data" / "whichopt.db"
KNOWN = _revisions(location())

Row = dict[str, Any]
Contents = dict[str, list[Row]]


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Store]:
    """A current SQLite database with a job of every state, and no table or column without a value."""
    store = Store(sqlite_url(Path(shutil.copy(EARLIEST, tmp_path / "filled.db"))))
    upgrade(store)
    add_job(store)
    with store.transaction() as tx:
        for table in metadata.sorted_tables:
            fill(tx.connection, table)
    yield store
    store.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def both(request: pytest.FixtureRequest, filled: Store) -> Iterator[Store]:
    """The same rows in either database."""
    if request.param == "sqlite":
        yield filled
        return
    store = Store(request.getfixturevalue("postgres").database())
    with filled.read() as tx, store.transaction() as to:
        for table in metadata.sorted_tables:
            rows = [row._asdict() for row in tx.connection.execute(sa.select(table))]
            to.connection.execute(table.insert(), rows)
            if "id" in table.c:  # new rows come after those that brought their ids
                last = sa.select(sa.func.max(table.c.id)).scalar_subquery()
                sequence = sa.func.pg_get_serial_sequence(table.name, "id")
                to.connection.execute(sa.select(sa.func.setval(sequence, last)))
    yield store
    store.close()


@pytest.fixture
def more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Adds a migration after the last one."""

    def add(upward: str) -> None:
        folder = shutil.copytree(location(), tmp_path / "migrations")
        text = f"""
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9000", {KNOWN[-1]!r}, None, None


def upgrade() -> None:
    {upward}


def downgrade() -> None:
    raise NotImplementedError
"""
        (folder / "versions" / "9000_added.py").write_text(text)
        for module in ("standing", "migrate"):
            monkeypatch.setattr(f"whichopt.service.db.{module}.location", lambda: str(folder))

    return add


def fill(connection: sa.Connection, table: sa.Table) -> None:
    """Give the table a row if it has none, and its first row a value in every column."""
    row = connection.execute(sa.select(table).limit(1)).mappings().first()
    if row is None:
        values = {column.name: made_up(connection, column) for column in table.columns}
        connection.execute(table.insert().values(values))
        return
    empty = {name: made_up(connection, table.c[name]) for name, value in row.items() if value is None}
    if empty:
        key = [column == row[column.name] for column in table.primary_key]
        connection.execute(table.update().where(*key).values(empty))


def made_up(connection: sa.Connection, column: sa.Column[Any]) -> Any:
    for reference in column.foreign_keys:
        return connection.execute(sa.select(reference.column).limit(1)).scalar_one()
    if isinstance(column.type, sa.JSON):
        return {"\N{CHECK MARK}": [1, None, "'"]}
    values: dict[type, Any] = {
        int: 7,
        float: 0.5,
        bool: True,
        str: "na\N{LATIN SMALL LETTER I WITH DIAERESIS}ve"[: getattr(column.type, "length", None)],
        datetime: datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
        bytes: b"\x00\xff",
    }
    return values[datetime if isinstance(column.type, UTCDateTime) else column.type.python_type]


def contents(store: Store) -> Contents:
    """All rows of all tables, whatever they are at this revision."""
    found = sa.MetaData()
    with store.read() as tx:
        found.reflect(tx.connection)
        return {
            name: [dict(row) for row in tx.connection.execute(sa.select(table)).mappings()]
            for name, table in found.tables.items()
            if name != "alembic_version"
        }


def put_back(store: Store, rows: Contents) -> bool:
    """Give the tables that are new and empty the rows that they had; return whether there were any."""
    there, found = contents(store), sa.MetaData()
    empty = [name for name in rows if not there[name]]
    with store.transaction() as tx:
        found.reflect(tx.connection)
        for table in found.sorted_tables:
            if table.name in empty:
                tx.connection.execute(table.insert(), rows[table.name])
    return bool(empty)


def assert_kept(before: Contents, after: Contents, step: str) -> None:
    """What both have is the same: a step adds and drops tables and columns, and changes no row."""
    assert before.keys() & after.keys() or not (before and after), step
    for name in before.keys() & after.keys():
        rows, others = before[name], after[name]
        assert len(rows) == len(others), (step, name)
        assert rows, (step, name)
        shared = rows[0].keys() & others[0].keys()
        assert len(shared) >= min(len(rows[0]), len(others[0])), (step, name)
        assert part(rows, shared) == part(others, shared), (step, name)


def part(rows: list[Row], columns: set[str]) -> list[str]:
    return sorted(str(sorted((name, row[name]) for name in columns)) for row in rows)


def test_the_rows_are_of_every_kind(filled: Store) -> None:
    found = contents(filled)
    assert found.keys() == set(metadata.tables)
    assert {row["state"] for row in found["job"]} == {"queued", "running", "succeeded", "failed", "cancelled"}
    for name, rows in found.items():
        assert {column for row in rows for column, value in row.items() if value is not None} == set(
            rows[0]
        ), name


def test_every_step_down_and_up_keeps_the_rows(both: Store) -> None:
    now, recorded = contents(both), dict[str, Contents]()
    for revision in (*reversed(KNOWN[:-1]), "base"):
        downgrade(both, revision)
        before, now = now, contents(both)
        assert_kept(before, now, f"down to {revision}")
        recorded[revision] = now
    assert now == {}
    for revision in KNOWN:
        upgrade(both, revision)
        before, now = now, contents(both)
        assert_kept(before, now, f"up to {revision}")
        if put_back(both, recorded.get(revision, {})):
            now = contents(both)
    assert is_current(both)


def test_what_the_earliest_version_left_is_kept_at_each_step(tmp_path: Path) -> None:
    store = Store(sqlite_url(Path(shutil.copy(EARLIEST, tmp_path / "earliest.db"))))
    with store.read() as tx:
        at = tx.connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one()
    now = {name: rows for name, rows in contents(store).items() if rows}
    for revision in KNOWN[KNOWN.index(at) + 1 :]:
        upgrade(store, revision)
        before, now = now, {name: rows for name, rows in contents(store).items() if rows}
        assert_kept(before, now, f"up to {revision}")
    assert is_current(store)
    store.close()


def test_the_metric_of_every_job_is_filled_in(both: Store) -> None:
    downgrade(both, "0009")
    upgrade(both)
    with both.read() as tx:
        rows = tx.connection.execute(sa.select(job.c.spec, job.c.metric, job.c.direction)).all()
    assert rows
    for row in rows:
        goal = goal_of(row.spec)
        assert (row.metric, row.direction) == (goal.metric, goal.direction)


def test_a_job_about_a_function_goes_down_and_up(both: Store) -> None:
    with both.transaction() as tx:
        _, uid = tx.jobs.add(guest_spec(), queue=None)
        tx.workers.seen("w9", queue="cpu", functions={"ourlab.train:fit": "0f" * 32})

    def row() -> Any:
        names = "task, dataset, model, queue"
        with both.read() as tx:
            asked = sa.text(f"SELECT {names} FROM job WHERE uid = :uid")
            return tx.connection.execute(asked, {"uid": uid}).one()

    assert tuple(row()) == (None, None, None, f"here-{uid}")
    downgrade(both, "0009")
    down = row()
    assert (down.task, down.dataset, down.model) == ("function", "function", "function")
    assert down.queue in (f"here-{uid}", f"here-{uid}"[:16]), "SQLite bounds no text"
    upgrade(both)
    with both.read() as tx:
        found = tx.connection.execute(sa.select(job).where(job.c.uid == uid)).one()
        assert (found.metric, found.direction) == ("val_loss", "minimize")
        assert ResolvedSpec.model_validate(found.spec) == guest_spec()


def test_tables_that_others_refer_to_can_be_made_anew(both: Store, more: Callable[[str], None]) -> None:
    more("""for table in ("job", "study", "cohort", "api_key"):
        with op.batch_alter_table(table) as batch:
            batch.alter_column("id", existing_type=sa.Integer(), type_=sa.BigInteger())""")
    before = contents(both)
    upgrade(both)
    assert head() == "9000"
    assert_kept(before, contents(both), "made anew")
    with pytest.raises(IntegrityError), both.transaction() as tx:
        tx.connection.execute(metadata.tables["study"].update().values(job_id=123_456))


@pytest.mark.parametrize(
    "fault", ["raise RuntimeError('in the middle')", "op.execute('INSERT INTO none VALUES (1)')"]
)
def test_a_migration_that_fails_in_the_middle_changes_nothing(
    both: Store, more: Callable[[str], None], fault: str
) -> None:
    downgrade(both, KNOWN[-3])
    before = contents(both)
    more(f"""with op.batch_alter_table("job") as batch:
        batch.alter_column("name", existing_type=sa.String(200), type_=sa.String(300))
        batch.add_column(sa.Column("added", sa.Integer()))
    op.execute("UPDATE job SET name = 'changed'")
    op.drop_table("trial")
    {fault}""")
    with pytest.raises((RuntimeError, CannotMigrate, sa.exc.ProgrammingError, sa.exc.OperationalError)):
        upgrade(both)
    assert contents(both) == before
    with pytest.raises(IntegrityError), both.transaction() as tx:  # foreign keys hold, too
        tx.connection.execute(sa.text("UPDATE study SET job_id = 123456"))
    upgrade(both, KNOWN[-1])
    assert_kept(before, contents(both), "up after a failure")


def test_rows_that_would_refer_to_nothing_are_refused(filled: Store, more: Callable[[str], None]) -> None:
    before = contents(filled)
    more("""op.execute("DELETE FROM job WHERE state = 'succeeded'")""")
    with pytest.raises(CannotMigrate, match=r"rows that refer to nothing .*; nothing was changed"):
        upgrade(filled)
    assert contents(filled) == before


def test_tables_that_are_not_those_of_their_revision_are_left_alone(both: Store) -> None:
    """As a program left them that failed in the middle, on a database that could not undo it."""
    with both.transaction() as tx:
        tx.connection.execute(sa.text(f"UPDATE alembic_version SET version_num = {KNOWN[-2]!r}"))
    before = contents(both)
    with pytest.raises(
        CannotMigrate, match=rf"do not match its revision \({KNOWN[-2]}\)\. Nothing was changed"
    ):
        upgrade(both)
    assert contents(both) == before


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_many_that_migrate_at_once_do_it_once(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = sqlite_url(tmp_path / "new.db")
    if kind == "postgresql":
        url = request.getfixturevalue("postgres").database(migrated=False)
    stores = [Store(url) for _ in range(4)]
    with ThreadPoolExecutor(len(stores)) as threads:
        list(threads.map(upgrade, stores))  # raises what any of them raised
    assert all(is_current(store) for store in stores)
    for store in stores:
        store.close()


def test_who_migrates_hears_what_it_waits_for(filled: Store) -> None:
    other = Store(filled.url.render_as_string())
    heard: list[str] = []
    with other.engine.connect() as holder:
        transaction = holder.begin()

        def let_go(words: str) -> None:
            heard.append(words)
            transaction.rollback()

        upgrade(filled, waits=let_go)
    assert len(heard) == 1
    assert "another program has locked" in heard[0]
    other.close()

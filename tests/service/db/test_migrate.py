"""Migrations up and down on both databases; what they make is what the tables say."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from tests.builders.concluded_jobs import concluded_job
from whichopt.service.db import Store
from whichopt.service.db.migrate import downgrade, ensure_key, is_current, upgrade
from whichopt.service.db.tables import metadata


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "postgresql":
        return Store(request.getfixturevalue("postgres").database(migrated=False))
    return Store(f"sqlite:///{tmp_path / 'empty.db'}")


def tables(store: Store) -> set[str]:
    return set(sa.inspect(store.engine).get_table_names()) - {"alembic_version"}


def test_migrations_go_up_and_down(empty: Store) -> None:
    assert not is_current(empty)
    upgrade(empty)
    assert is_current(empty)
    assert tables(empty) == set(metadata.tables)
    upgrade(empty)  # again: nothing to do
    downgrade(empty)
    assert tables(empty) == set()
    assert not is_current(empty)
    empty.close()


def test_the_migrated_tables_are_the_tables_of_the_code(empty: Store) -> None:
    upgrade(empty)
    with empty.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    empty.close()


def test_reports_come_and_go_with_jobs_in_the_tables(store: Store) -> None:
    """The way down forgets where reports are; they are made again when they are asked for."""
    _, uid = concluded_job(store)
    downgrade(store, "0003_environment")
    assert "report" not in tables(store)
    upgrade(store)
    with store.read() as tx:
        row = tx.reports.of_job(uid)
    assert row is not None
    assert (row.concluded, row.revision, row.blobs) == (True, None, {})


def test_the_first_key_is_made_once(empty: Store) -> None:
    upgrade(empty)
    made = ensure_key(empty, None)
    assert made is not None
    assert ensure_key(empty, None) is None
    assert ensure_key(empty, "from-the-environment") is None
    with empty.read() as tx:
        assert tx.keys.find(made) is not None
        assert tx.keys.find("from-the-environment") is not None
    empty.close()

"""Brings a database to the tables of this version, and makes the first API key known."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from service import api_keys
from service.db import Store
from service.db.keys import new_key

LOCK = 7_460_118_923
"""PostgreSQL's advisory lock that two migrating processes contend for."""


def upgrade(store: Store, revision: str = "head") -> None:
    """Migrates up to `revision`; does nothing where the database is there already."""
    _run(store, lambda config: command.upgrade(config, revision))


def downgrade(store: Store, revision: str = "base") -> None:
    """Migrates down to `revision`; what the dropped tables and columns held is lost."""
    _run(store, lambda config: command.downgrade(config, revision))


def is_current(store: Store) -> bool:
    """Whether the database has the tables of this version."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    with store.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() == head


def ensure_key(store: Store, wanted: str | None) -> str | None:
    """Makes the key `wanted` known; without it, makes a new one where there is none. Returns a new one.

    Raises:
        WeakKey: `wanted` is not known yet, and may be no key.
    """
    with store.transaction() as tx:
        if wanted is not None:
            if not wanted.isascii() or tx.keys.find(wanted) is None:
                api_keys.check(wanted)
            tx.keys.ensure(wanted, name="from the environment")
        elif not tx.keys.any():
            made = new_key()
            tx.keys.ensure(made, name="first")
            return made
    return None


def _config() -> Config:
    # By name, as the service must not import it: it is data that ships beside the packages.
    spec = importlib.util.find_spec("migrations")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the package 'migrations' is not installed beside 'service'")
    config = Config()
    config.set_main_option("script_location", str(Path(spec.submodule_search_locations[0])))
    config.set_main_option("path_separator", "os")
    return config


def _run(store: Store, migration: Callable[[Config], None]) -> None:
    config = _config()
    with store.transaction() as tx:
        if tx.connection.dialect.name == "postgresql":
            tx.connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        config.attributes["connection"] = tx.connection
        migration(config)

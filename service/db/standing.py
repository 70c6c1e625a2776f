"""Compares a database's tables with those of this version, by the revision that it names."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL

from whichopt.service.db import Store
from whichopt.service.db.tables import metadata
from whichopt.service.db.troubles import RESTORE, place
from whichopt.service.versions import program


class Tables(StrEnum):
    """The relation of a database's tables to those of this version."""

    CURRENT = "current"
    NONE = "none"
    OLDER = "older"
    NEWER = "newer"
    OTHERS = "others"


@dataclass(frozen=True)
class Standing:
    """The finding of `standing`; `detail` says it in one line, with what to do."""

    tables: Tables
    revision: str | None
    detail: str

    @property
    def lasting(self) -> bool:
        """Tell if no migration by this program can change it."""
        return self.tables in (Tables.NEWER, Tables.OTHERS)


def standing(store: Store) -> Standing:
    """Say how the database's tables stand to those of this version."""
    with store.read() as tx:
        return of_connection(tx.connection, store.url)


def head() -> str:
    """The revision whose tables are this version's."""
    return _revisions(location())[-1]


def of_connection(connection: sa.Connection, url: URL) -> Standing:
    """Say the same of the database at `url`, to which there is a connection."""
    known, where = _revisions(location()), place(url)
    heads = MigrationContext.configure(connection).get_current_heads()
    if heads == (known[-1],):
        return Standing(Tables.CURRENT, known[-1], "the database has this version's tables")
    if not heads:
        ours = sorted(set(sa.inspect(connection).get_table_names()) & set(metadata.tables))
        if not ours:
            return Standing(
                Tables.NONE, None, f"{where}: the database has no tables yet; run 'whichopt migrate'"
            )
        what = f"has a table {ours[0]!r}, but does not say which version it belongs to (in alembic_version)"
        return Standing(
            Tables.OTHERS, None, f"{where}: the database {what}; {RESTORE}, or name another database"
        )
    at = ", ".join(heads)
    if set(heads) <= set(known):
        what = (
            f"has the tables of an earlier version ({at}; this one needs {known[-1]}); run 'whichopt migrate'"
        )
        return Standing(Tables.OLDER, at, f"{where}: the database {what}")
    if all(_number(head) > _number(known[-1]) for head in heads):
        what = (
            f"is newer than this whichopt ({at}; version {program()} knows revisions up to {known[-1]}): "
            "upgrade the program, or restore the backup from before the database was upgraded"
        )
        return Standing(Tables.NEWER, at, f"{where}: the database {what}")
    what = (
        f"is at revision {at!r}, which is none of whichopt's: it is another program's, or was changed by hand"
    )
    return Standing(Tables.OTHERS, at, f"{where}: the database {what}; {RESTORE}, or name another database")


def _number(revision: str) -> int:
    """The number that our revisions begin with; 0 for what is none of ours."""
    match = re.match(r"\d{4}(?=_|$)", revision)
    return int(match.group()) if match else 0


@cache
def _revisions(folder: str) -> tuple[str, ...]:
    """The revisions that this program knows, first to last."""
    scripts = ScriptDirectory(folder).walk_revisions()
    return tuple(reversed([script.revision for script in scripts]))


def location() -> str:
    """The folder of the migrations."""
    # By name, as the service must not import it: it is data that ships beside the packages.
    spec = importlib.util.find_spec("whichopt.migrations")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the package 'whichopt.migrations' is not installed")
    return str(Path(spec.submodule_search_locations[0]))

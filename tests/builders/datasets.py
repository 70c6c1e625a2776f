"""Datasets as people send them, made up for tests: rows of the database, and a reader of simple files."""

from __future__ import annotations

import sys
from pathlib import Path

import sqlalchemy as sa

from whichopt.service.catalog.shapes import Shape, Sizes
from whichopt.service.db import Store
from whichopt.service.db.tables import dataset
from whichopt.service.states import DatasetState
from whichopt.service.uploads import Choices, Column, File, Kind, Role, Split, Table

CONTENT = "c" * 64
FILE = File(name="penguins.csv", bytes=1234, sha256="f" * 64)

READER = (sys.executable, "-P", str(Path(__file__).with_name("simple_reader.py")))
"""A command that reads files of numbers as the reader of whichopt does, and obeys words in them."""


def number(name: str, role: Role = Role.FEATURE) -> Column:
    return Column(
        name=name,
        kind=Kind.NUMERIC,
        role=role,
        missing=0,
        distinct=9,
        low=0.0,
        high=1.0,
        width=1 if role is Role.FEATURE else 0,
        becomes="1 feature: standardized" if role is Role.FEATURE else "what is predicted",
    )


def make_table(rows: int = 100) -> Table:
    """A table of two numbers and a target of three classes."""
    test, validation = round(rows * 0.2), round(rows * 0.2)
    return Table(
        rows=rows,
        columns=(number("a"), number("b"), number("y", Role.TARGET)),
        target="y",
        task="classification",
        classes=("x", "y", "z"),
        split=Split(),
        shape=Shape(rows, 2, 3),
        sizes=Sizes(rows - test - validation, validation, test),
        notes=("The target is 'y', the last column.",),
    )


def add_dataset(
    store: Store,
    name: str = "penguins",
    *,
    state: DatasetState = DatasetState.READY,
    content: str = CONTENT,
    rows: int = 100,
) -> str:
    """Add a dataset in that state; its uid."""
    preview = state is DatasetState.PREVIEW
    with store.transaction() as tx:
        uid = tx.datasets.add(name, preview=preview, file=FILE, choices=Choices(), api_key_id=None)
        if state in (DatasetState.READY, DatasetState.PREVIEW):
            assert tx.datasets.finish(uid, make_table(rows), content, preview_s=3600)
    return uid


def states(store: Store) -> dict[str, str]:
    """The state of every dataset, by name."""
    with store.read() as tx:
        return {row.name: row.state for row in tx.connection.execute(sa.select(dataset))}

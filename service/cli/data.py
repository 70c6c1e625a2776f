"""The commands about people's own datasets: add, list, show, keep, delete."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from whichopt.service.cli.completion import DATA, dataset_names
from whichopt.service.cli.options import AsJson, Data, Key, Url, complaint, connected, console, show

if TYPE_CHECKING:
    from whichopt.service.client import Client
    from whichopt.service.views import DatasetView

app = typer.Typer()
dataset = typer.Typer(no_args_is_help=True)
app.add_typer(dataset, name="dataset", help="Send your own data, and show, keep or delete what was sent.")

POLL_S = 0.3

Name = Annotated[str, typer.Argument(help="Name of the dataset.", autocompletion=dataset_names)]


class Task(StrEnum):
    """The tasks that a dataset can be for."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"
    LANGUAGE = "language"


@dataset.command()
def add(
    file: Annotated[
        str,
        typer.Argument(
            help="CSV, TSV, Parquet, NPZ or NPY file, or a text, .gz if compressed; a zip of PNG or JPEG "
            "images in a folder for each class; or folder:NAME, such a folder under the service's "
            "WHICHOPT_DATA_ROOT."
        ),
    ],
    target: Annotated[str | None, typer.Option(help="Column to predict; if omitted, it is inferred.")] = None,
    task: Annotated[
        Task | None,
        typer.Option(help="What to predict; if omitted, it is inferred. language: the next token of a text."),
    ] = None,
    split: Annotated[
        str, typer.Option(help="How rows are split: random, column:NAME, group:NAME or time:NAME.")
    ] = "random",
    name: Annotated[str | None, typer.Option(help="Name for jobs; if omitted, the file's.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="Kind of a column that is not to be inferred, such as zip=category: numeric, category, "
            "bool, date, text, id, or leave_out. May be given several times."
        ),
    ] = None,
    no_header: Annotated[
        bool, typer.Option("--no-header", help="The first row holds values, not names of columns.")
    ] = False,
    size: Annotated[
        int | None,
        typer.Option(
            help="Width and height of images, in pixels; if omitted, their own, if all have the same and it "
            "is at most 64, else 32."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only look; 'whichopt dataset keep' keeps it within an hour.")
    ] = False,
    url: Url = None,
    key: Key = None,
    data: Data = DATA,
    as_json: AsJson = False,
) -> None:
    """Send a table, images or a text to the service, and show what was found in them."""
    from whichopt.service.cli import dataset_tables

    columns = dict(map(_column, column or []))
    with connected(url, key, data) as client, _bar(quiet=as_json) as bar:
        view = client.add_dataset(
            file,
            target,
            name=name,
            task=None if task is None else task.value,
            split=split,
            columns=columns or None,
            header=False if no_header else None,
            size=size,
            dry_run=dry_run,
            wait=False,
            sent=lambda gone, size: bar("sending", gone / size),
        )
        view = _when_read(client, view, bar)
    show(view, as_json, dataset_tables.dataset_summary(view))


@dataset.command("list")
def list_datasets(url: Url = None, key: Key = None, data: Data = DATA, as_json: AsJson = False) -> None:
    """List the datasets: the built-in ones and those that were sent."""
    from whichopt.service.cli import dataset_tables

    with connected(url, key, data) as client:
        entries = client.datasets()
    show(entries, as_json, dataset_tables.dataset_listing(entries))


@dataset.command("show")
def show_dataset(
    name: Name, url: Url = None, key: Key = None, data: Data = DATA, as_json: AsJson = False
) -> None:
    """Show a dataset: its columns, what becomes of them, and how target, task and split were decided."""
    from whichopt.service.cli import dataset_tables, tables
    from whichopt.service.views import CatalogEntry

    with connected(url, key, data) as client:
        found = client.dataset(name)
    if isinstance(found, CatalogEntry):
        show(found, as_json, tables.catalog_listing([found]))
    else:
        show(found, as_json, dataset_tables.dataset_summary(found))


@dataset.command()
def keep(name: Name, url: Url = None, key: Key = None, data: Data = DATA, as_json: AsJson = False) -> None:
    """Keep a dataset that was sent with --dry-run, so that jobs can use it."""
    from whichopt.service.cli import dataset_tables

    with connected(url, key, data) as client:
        kept = client.keep_dataset(name)
    show(kept, as_json, dataset_tables.dataset_summary(kept))


@dataset.command()
def delete(name: Name, url: Url = None, key: Key = None, data: Data = DATA) -> None:
    """Delete a dataset that was sent; jobs that used it keep their results."""
    with connected(url, key, data) as client:
        client.delete_dataset(name)
    typer.echo(f"Deleted {name}.")


def _column(text: str) -> tuple[str, str]:
    """Return the name and the kind that an option gives; a name may have an equals sign in it."""
    name, equals, kind = text.rpartition("=")
    if not equals or not name:
        raise complaint(f"--column is {text!r}; give it as NAME=KIND, such as zip=category")
    return name, kind


def _when_read(client: Client, view: DatasetView, bar: Callable[[str, float | None], object]) -> DatasetView:
    """Wait until the dataset has been read.

    Raises:
        ProblemError: it could not be read.
    """
    from whichopt.service.client.datasets import refusal
    from whichopt.service.states import DatasetState
    from whichopt.service.views import CatalogEntry

    while view.state is DatasetState.READING:
        rows = view.progress.rows
        bar("reading" if rows is None else f"reading: {rows:,} rows", view.progress.share)
        time.sleep(POLL_S)
        found = client.dataset(view.name)
        assert not isinstance(found, CatalogEntry)
        view = found
    if view.problem is not None:
        raise refusal(view.problem)
    return view


@contextmanager
def _bar(*, quiet: bool) -> Iterator[Callable[[str, float | None], object]]:
    """Yield what shows a step and the share of it that is done, in a terminal; then it goes."""
    from rich.progress import BarColumn, Progress, TextColumn

    terminal = console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        console=terminal,
        transient=True,
        disable=quiet or not terminal.is_terminal,
    ) as progress:
        shown = progress.add_task("", total=1.0)
        yield lambda step, share: progress.update(
            shown, description=step, completed=share or 0.0, total=None if share is None else 1.0
        )

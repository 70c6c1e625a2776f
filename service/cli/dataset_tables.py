"""Tables of datasets for the terminal: what was found in a file, column by column."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from whichopt.service.cli.listings import Cell, Facts, Heading, Listing, Row, stacked
from whichopt.service.shape_words import image_words
from whichopt.service.states import DatasetState
from whichopt.service.texts import Text as TextFacts
from whichopt.service.uploads import Column, ImageFacts, Role, Table
from whichopt.service.views import CatalogEntry, DatasetView

STYLES = {
    DatasetState.READY: "green",
    DatasetState.FAILED: "red",
    DatasetState.PREVIEW: "yellow",
    DatasetState.READING: "",
}
FIRST_LINES = 5
"""Lines that are shown of a text."""

HIDDEN = "\N{REPLACEMENT CHARACTER}"
"""What is shown of a character that a terminal would obey."""

FEW_CLASSES, MANY_CLASSES = 6, 20
"""Classes of a table, and of images, up to which each is shown with its rows."""
ROLES = {Role.TARGET: "bold green", Role.SPLIT: "cyan", Role.LEFT_OUT: "dim", Role.FEATURE: ""}


AS_OPTIONS = (
    (r'columns=\{"([^"]*)": "(\w+)"\}', r"--column \1=\2"),
    (r"columns=\{\.\.\.: (\w+)\}", r"--column NAME=\1"),
    (r"header=false", "--no-header"),
    (r"\b(target|task|split|size)=(?=[\w])", r"--\1 "),
)
"""What REST and Python call by the names of parameters, as options of the command."""


def as_options(text: str) -> str:
    """Return what is said about a file with the command's own options in place of parameters."""
    for parameter, option in AS_OPTIONS:
        text = re.sub(parameter, option, text)
    return text


def dataset_summary(view: DatasetView) -> RenderableType:
    """Return what was found in a file: a row for each column, and how everything was decided."""
    file = view.file
    facts: list[tuple[str, str | Cell]] = [
        ("name", view.name),
        ("state", Cell(view.state.value, STYLES[view.state])),
        ("file", f"{file.name or 'a data frame or arrays'}, {file.bytes:,} bytes"),
    ]
    lines: list[RenderableType] = []
    if view.problem is not None:
        lines.append(Text(f"{view.problem.code}: {view.problem.detail}", style="red"))
    if view.table is None:
        return Group(Facts(facts), *lines)
    table = view.table
    if table.text is not None:
        facts += _text_facts(table, table.text)
    elif table.images is not None:
        facts += _image_facts(table, table.images)
    else:
        facts += _facts(table)
    lines += [Text(f"- {as_options(note)}") for note in table.notes]
    for remark in table.remarks:
        if remark.code == "left_out":
            continue  # the table says so, and a note
        lines.append(Text.assemble(("warning", "yellow"), f" {remark.code}: {remark.what}"))
        lines += [Text(f"    why: {remark.why}"), Text(f"    instead: {as_options(remark.instead)}")]
    lines.append(Text())
    if view.state is DatasetState.PREVIEW:
        lines.append(Text(f"This is a preview. Keep it with: whichopt dataset keep {view.name}"))
    else:
        lines.append(Text(f'Use it in a job as {{"dataset": "{view.name}"}}.'))
    found = _columns(table.columns) if table.text is None else _beginning(table.text)
    return Group(stacked(Facts(facts), found), *lines)


def _text_facts(table: Table, text: TextFacts) -> list[tuple[str, str | Cell]]:
    sizes, length = table.sizes, table.shape.features
    other = f", and one for all others ({text.rare:,} in the text)" if text.rare else ""
    return [
        ("text", f"{text.characters:,} characters in {text.lines:,} lines"),
        ("tokens", f"{len(text.vocabulary):,} characters{other}"),
        ("task", table.task),
        (
            "split",
            f"{table.split}, in windows of {length} characters: {sizes.train:,} training, "
            f"{sizes.validation:,} validation, {sizes.test:,} test (the last ones)",
        ),
    ]


def _beginning(text: TextFacts) -> Text:
    """Return the first lines, without what a terminal would obey."""
    lines = text.beginning.splitlines()[:FIRST_LINES]
    shown = ("".join(one if one.isprintable() else HIDDEN for one in line[:100]) for line in lines)
    return Text("\n".join(f"  {line}" for line in shown), style="dim")


def _image_facts(table: Table, images: ImageFacts) -> list[tuple[str, str | Cell]]:
    """Return what images are in place of columns; their classes stand in full, as they are their folders."""
    before = f", resized: {images.resized:,}" if images.resized else ""
    facts = [(name, said) for name, said in _facts(table) if name not in ("rows", "features", "target")]
    return [
        ("images", f"{table.rows:,} of {image_words(table.shape)}{before}"),
        ("target", f"{table.target} ({table.task}{_classes(table, MANY_CLASSES)})"),
        *facts,
    ]


def _classes(table: Table, most: int) -> str:
    """Say how many classes there are, or if they are few, which, with the rows of each."""
    counted = list(zip(table.classes or (), table.class_rows or (), strict=False))
    if 0 < len(counted) <= most:
        return f": {', '.join(f'{name} {rows:,}' for name, rows in counted)}"
    return "" if table.classes is None else f" of {len(table.classes)} classes"


def _facts(table: Table) -> list[tuple[str, str | Cell]]:
    sizes, width = table.sizes, table.shape.features
    return [
        ("rows", f"{table.rows:,}"),
        ("target", f"{table.target} ({table.task}{_classes(table, FEW_CLASSES)})"),
        ("features", f"{width:,} from {len(table.features):,} columns"),
        (
            "split",
            f"{table.split}: {sizes.train:,} training, {sizes.validation:,} validation, {sizes.test:,} test",
        ),
    ]


def _columns(columns: Sequence[Column]) -> Listing:
    headings = (
        Heading("column", folds=True),
        Heading("kind"),
        Heading("missing", right=True),
        Heading("distinct", right=True, rank=2),
        Heading("range", folds=True, rank=1),
        Heading("becomes", folds=True),
    )
    return Listing(
        headings,
        [
            (
                Cell(column.name, ROLES[column.role]),
                column.kind.value,
                f"{column.missing:,}",
                f"{column.distinct:,}",
                _range(column),
                column.becomes,
            )
            for column in columns
        ],
    )


def _range(column: Column) -> str:
    if column.low is None or column.high is None:
        return ", ".join(column.categories[:4]) + (", ..." if len(column.categories) > 4 else "")
    ends = (f"{end:.6g}" if isinstance(end, float) else end for end in (column.low, column.high))
    return " to ".join(ends)


def dataset_listing(entries: Sequence[CatalogEntry]) -> RenderableType:
    """Return a table with a row for each dataset."""
    headings = (
        Heading("name", folds=True),
        Heading("state"),
        Heading("task"),
        Heading("rows", right=True),
        Heading("features", right=True),
        Heading("target", folds=True, rank=2),
        Heading("split", folds=True, rank=3),
        Heading("source", folds=True, rank=1),
    )
    rows: list[Row] = []
    for entry in entries:
        details = entry.details
        state = DatasetState(details["state"])
        sizes = (details.get(part) for part in ("examples", "features"))
        rows.append(
            (
                entry.name,
                Cell(state.value, STYLES[state]),
                str(details.get("task", "")),
                *("" if size is None else f"{size:,}" for size in sizes),
                *(str(details.get(name) or "") for name in ("target", "split")),
                str(details["source"]),
            )
        )
    return Listing(headings, rows)

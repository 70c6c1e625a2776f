"""Rows of the command line: fitted to a terminal, and one unwrapped line a row if nobody reads a screen.

In a terminal no heading is ever cut: ids are shortened, columns of lesser rank are left out, and long text is
folded. In a pipe every column and every id is whole, and an empty cell is a dash, so that `awk` counts on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.panel import Panel
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

PIPED_WIDTH = 100_000
"""Width of a console that writes to no terminal: no line is wrapped."""

GAP = 2
"""Number of spaces between two columns."""

LEAST_FOLDED = 16

UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters that a terminal obeys instead of showing: controls, and those that reverse the text."""

SHORTEST_ID = 8
"""Least number of characters of a shortened id."""


@dataclass(frozen=True)
class Heading:
    """A column: `rank` 0 is always shown, and the highest rank is the first to be left out.

    A column that folds keeps `least` characters before one of lesser rank is left out for it.
    """

    title: str
    right: bool = False
    folds: bool = False
    least: int = LEAST_FOLDED
    rank: int = 0
    ids: bool = False


class HasBounds(Protocol):
    """Anything with the ends of an interval."""

    @property
    def low(self) -> float | None: ...

    @property
    def high(self) -> float | None: ...


class Cell(NamedTuple):
    text: str
    style: str = ""


Row = Sequence[str | Cell]


class Listing:
    """A table: rows under headings. Every cell is plain text; nothing in it is read as markup."""

    def __init__(
        self, headings: Sequence[Heading], rows: Sequence[Row], *, title: str = "", indent: int = 0
    ) -> None:
        self.headings = headings
        self.title = title
        self.indent = indent
        self.rows = [[_cell(cell) for cell in row] for row in rows]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.title:
            yield Text(self.title, style="italic")
        if options.is_terminal:
            table = self._fitted(options.max_width - self.indent)
            yield Padding(table, (0, 0, 0, self.indent), expand=False) if self.indent else table
        else:
            for line in self._lines():
                yield Segment(" " * self.indent + line)
                yield Segment.line()

    def _fitted(self, width: int) -> Table:
        rows, shown = self.rows, list(range(len(self.headings)))
        if self._least(rows, shown) > width:
            rows = self._shortened()
        while self._least(rows, shown) > width and max(self.headings[at].rank for at in shown) > 0:
            shown.remove(max(shown, key=lambda at: self.headings[at].rank))
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
        for at in shown:
            heading = self.headings[at]
            table.add_column(
                heading.title,
                justify="right" if heading.right else "left",
                no_wrap=not heading.folds,
                min_width=len(heading.title) if heading.folds else self._natural(rows, at),
                overflow="fold",
            )
        for row in rows:
            table.add_row(*(Text(row[at].text, style=row[at].style) for at in shown))
        return table

    def _least(self, rows: Sequence[Sequence[Cell]], shown: Sequence[int]) -> int:
        """Return the narrowest width at which the columns `shown` can be read."""
        least = 0
        for at in shown:
            natural, title = self._natural(rows, at), len(self.headings[at].title)
            least += max(title, min(natural, self.headings[at].least)) if self.headings[at].folds else natural
        return least + GAP * len(shown)

    def _natural(self, rows: Sequence[Sequence[Cell]], at: int) -> int:
        return max([len(self.headings[at].title), *(cell_len(row[at].text) for row in rows)])

    def _shortened(self) -> list[list[Cell]]:
        """Return the rows, with ids as short as they are unique."""
        rows = [list(row) for row in self.rows]
        for at, heading in enumerate(self.headings):
            if heading.ids:
                for row, short in zip(rows, shortened([row[at].text for row in self.rows]), strict=True):
                    row[at] = Cell(short, row[at].style)
        return rows

    def _lines(self) -> Iterator[str]:
        cells = [[heading.title for heading in self.headings]]
        cells += [[cell.text or "-" for cell in row] for row in self.rows]
        widths = [max(cell_len(row[at]) for row in cells) for at in range(len(self.headings))]
        for row in cells:
            padded = [
                " " * (width - cell_len(text)) + text
                if heading.right
                else text + " " * (width - cell_len(text))
                for text, width, heading in zip(row, widths, self.headings, strict=True)
            ]
            yield (" " * GAP).join(padded).rstrip()


class Facts:
    """Names with their values, one per line; `title` stands in the frame, which only a terminal draws."""

    def __init__(self, facts: Sequence[tuple[str, str | Cell]], *, title: str = "") -> None:
        self.facts = [(name, _cell(value)) for name, value in facts]
        self.title = title

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        grid = Table.grid(padding=(0, GAP))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in self.facts:
            grid.add_row(name, Text(value.text, style=value.style))
        if options.is_terminal and self.title:
            yield Panel(grid, title=self.title, title_align="left")
        elif options.is_terminal:
            yield grid
        else:
            widest = max(len(name) for name, _ in self.facts)
            for name, value in self.facts:
                yield Segment(f"{name:<{widest + GAP}}{value.text}")
                yield Segment.line()


def stacked(*parts: RenderableType) -> Group:
    """Return the parts below each other, with an empty line between two."""
    spaced: list[RenderableType] = []
    for part in parts:
        spaced += [Text(), part] if spaced else [part]
    return Group(*spaced)


def shortened(ids: Sequence[str]) -> list[str]:
    """Return the shortest unique ends of the ids, all of one length.

    An id begins with its time, so ids of one hour begin alike; their ends are random.
    """
    length, different = SHORTEST_ID, len(set(ids))
    while len({one[-length:] for one in ids}) < different:
        length += 1
    return [one[-length:] for one in ids]


def config_text(config: Mapping[str, Any]) -> str:
    """Return the hyperparameters as name=value, with a space between them."""
    return " ".join(f"{name}={value_text(value)}" for name, value in config.items())


def number_text(value: float | None, form: str = ".5g") -> str:
    """Return the number, or nothing if there is none."""
    return "" if value is None else format(value, form)


def value_text(value: Any) -> str:
    """Return a hyperparameter's value as short text."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return f"({', '.join(value_text(part) for part in value)})"
    return str(value)


def interval_text(value: HasBounds) -> str:
    """Return the interval's ends, or nothing if there are too few runs for one."""
    return "" if value.low is None or value.high is None else f"[{value.low:.3g}, {value.high:.3g}]"


def _cell(cell: str | Cell) -> Cell:
    text, style = (cell, "") if isinstance(cell, str) else cell
    return Cell(UNSEEN.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split())), style)

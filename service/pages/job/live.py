"""The parts of a page that move, and what a viewer who knows an earlier state of them has to be sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from whichopt.service.activity import JobActivity

WHOLE = "job"
"""Id of the element that holds all parts."""


class Stamp(NamedTuple):
    """A state of a page: the job's revision, and the number of changes that have not moved it since."""

    revision: int
    step: int = 0

    def __str__(self) -> str:
        return f"{self.revision}.{self.step}" if self.step else str(self.revision)


STAMP = r"^[0-9]{1,9}(\.[0-9]{1,4})?$"


def stamp_of(text: str) -> Stamp | None:
    """Return the stamp of that text; None if it is none."""
    if not re.match(STAMP, text):
        return None
    revision, _, step = text.partition(".")
    return Stamp(int(revision), int(step or 0))


@dataclass(frozen=True)
class Drawing:
    """A page at one revision of its job.

    Args:
        revision: of the job.
        kind: of the page, as the act that it shows: pages of two kinds have different parts.
        title: of the page.
        activity: what the job does or waits for, if the page shows it.
        ended: the job has ended, and nothing will change any more.
        body: all of it, as the content of the element `WHOLE`.
        parts: the HTML of each element that may change by itself, by its id.
        groups: the ids of elements whose children are parts, with these children in their order.
        holds: the parts that stand within a part, themselves without those within them. If only these change,
            they are sent, and not what is around them.
    """

    revision: int
    kind: str
    title: str
    activity: JobActivity | None
    ended: bool
    body: str
    parts: Mapping[str, str]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    holds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def alone(self) -> Mapping[str, str]:
        """The HTML of each part without the parts that it holds."""
        found = dict(self.parts)
        for name, inside in self.holds.items():
            for held in inside:
                found[name] = found[name].replace(self.parts[held], "", 1)
        return found

    def within(self, name: str) -> Iterator[str]:
        """Yield the parts that are sent with that part or group."""
        for held in (*self.groups.get(name, ()), *self.holds.get(name, ())):
            yield held
            yield from self.within(held)


class News(NamedTuple):
    """What a viewer has to be sent; then it knows the page as it was at `stamp`."""

    stamp: Stamp
    html: str
    ended: bool


class Live:
    """A page as it is now, with the stamp at which each of its parts changed last; it never changes."""

    def __init__(self, drawing: Drawing, before: Live | None = None) -> None:
        """`before` is the page that a viewer may know; without one this is the first that can be known."""
        self.drawing = drawing
        names = [*drawing.parts, *drawing.groups]
        self._sent: dict[Stamp, News] = {}
        if before is None:
            self.first = self.stamp = self._whole = Stamp(drawing.revision)
            self._changed = dict.fromkeys(names, self.stamp)
            return
        self.first, self.stamp, self._whole = before.first, before.stamp, before._whole
        self._changed = before._changed
        old = before.drawing
        same_parts = (drawing.kind, drawing.parts.keys()) == (old.kind, old.parts.keys())
        changed = [name for name, html in drawing.alone.items() if old.alone.get(name) != html]
        changed += [name for name, order in drawing.groups.items() if old.groups.get(name) != order]
        if same_parts and not changed and drawing.ended == old.ended:
            return
        moved = drawing.revision > self.stamp.revision
        self.stamp = Stamp(drawing.revision) if moved else self.stamp._replace(step=self.stamp.step + 1)
        if not same_parts:
            self._whole, changed = self.stamp, names
        self._changed = {**self._changed, **dict.fromkeys(changed, self.stamp)}

    def since(self, known: Stamp | None) -> News | None:
        """Return what has changed after that stamp, None if nothing has.

        Who knows nothing, or a state that this process does not remember, is sent all of it.
        """
        if known == self.stamp:
            return News(self.stamp, "", ended=True) if self.drawing.ended else None
        if known is None or not self.first <= known < self.stamp:
            return self._all()
        news = self._sent.get(known)  # most viewers know the same
        if news is None:
            news = self._sent[known] = self._all() if known < self._whole else self._news(known)
        return news

    def _all(self) -> News:
        html = f'<div id="{WHOLE}">{self.drawing.body}</div>'
        return News(self.stamp, partial(WHOLE, html), self.drawing.ended)

    def _news(self, known: Stamp) -> News:
        drawing = self.drawing
        changed = {name for name, stamp in self._changed.items() if stamp > known}
        inside = {held for name in changed for held in drawing.within(name)}
        sent = [
            partial(name, self._group(name), swap="innerMorph") for name in drawing.groups if name in changed
        ]
        sent += [partial(name, html) for name, html in drawing.parts.items() if name in changed - inside]
        return News(self.stamp, "\n".join(sent), self.drawing.ended)

    def _group(self, name: str) -> str:
        return "".join(self.drawing.parts[part] for part in self.drawing.groups[name])


def partial(target: str, html: str, *, swap: str = "outerMorph") -> str:
    """Return what puts `html` in the place of the element with that id, as htmx reads it."""
    return f'<hx-partial hx-target="#{target}" hx-swap="{swap}">{html}</hx-partial>'

"""The parts of a page that move, and what a viewer who knows an earlier state of them has to be sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """

    revision: int
    kind: str
    title: str
    activity: JobActivity | None
    ended: bool
    body: str
    parts: Mapping[str, str]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class News(NamedTuple):
    """What a viewer has to be sent; then it knows the page as it was at `stamp`."""

    stamp: Stamp
    html: str
    ended: bool


class Live:
    """A page with the stamp at which each of its parts changed last. Not safe to share between threads."""

    def __init__(self, drawing: Drawing) -> None:
        self.drawing = drawing
        self.first = self.stamp = Stamp(drawing.revision)
        self._whole = self.first
        self._changed = dict.fromkeys([*drawing.parts, *drawing.groups], self.first)

    def take(self, drawing: Drawing) -> bool:
        """Take the page as it is now; True if something of it has changed."""
        before, self.drawing = self.drawing, drawing
        same_kind = (drawing.kind, drawing.parts.keys()) == (before.kind, before.parts.keys())
        changed = [name for name, html in drawing.parts.items() if before.parts.get(name) != html]
        changed += [name for name, order in drawing.groups.items() if before.groups.get(name) != order]
        if same_kind and not changed and drawing.ended == before.ended:
            return False
        moved = drawing.revision > self.stamp.revision
        self.stamp = Stamp(drawing.revision) if moved else self.stamp._replace(step=self.stamp.step + 1)
        if not same_kind:
            self._whole = self.stamp
            self._changed = dict.fromkeys([*drawing.parts, *drawing.groups], self.stamp)
        self._changed |= dict.fromkeys(changed, self.stamp)
        return True

    def since(self, known: Stamp | None) -> News | None:
        """Return what has changed after that stamp, None if nothing has.

        Who knows nothing, or a state that this process does not remember, is sent all of it.
        """
        if known == self.stamp:
            return News(self.stamp, "", ended=True) if self.drawing.ended else None
        if known is None or not self.first <= known < self.stamp or known < self._whole:
            html = f'<div id="{WHOLE}">{self.drawing.body}</div>'
            return News(self.stamp, partial(WHOLE, html), self.drawing.ended)
        groups = {name for name in self.drawing.groups if self._changed[name] > known}
        inside = {part for name in groups for part in self.drawing.groups[name]}
        sent = [partial(name, self._group(name), swap="innerMorph") for name in groups]
        sent += [
            partial(name, html)
            for name, html in self.drawing.parts.items()
            if self._changed[name] > known and name not in inside
        ]
        return News(self.stamp, "\n".join(sent), self.drawing.ended)

    def _group(self, name: str) -> str:
        return "".join(self.drawing.parts[part] for part in self.drawing.groups[name])


def partial(target: str, html: str, *, swap: str = "outerMorph") -> str:
    """Return what puts `html` in the place of the element with that id, as htmx reads it."""
    return f'<hx-partial hx-target="#{target}" hx-swap="{swap}">{html}</hx-partial>'

"""Draws the lane of an optimizer's search: a mark for each trial, as SVG whose coordinates are percentages.

It is text, not a template, as a page may have thousands of marks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from markupsafe import Markup, escape

from whichopt.service.figures.tones import css_class, symbol
from whichopt.service.pages.frame import digits
from whichopt.service.pages.job.lanes import Scale, jitter
from whichopt.service.pages.job.search_lane import SearchLane, hardly_moved
from whichopt.service.race import RaceTrial
from whichopt.service.states import Origin

MOST_DOTS = 200
"""Trials of a lane that are drawn one by one; of more, bars count them."""

MANY = 80
"""Trials from which on dots are smaller."""

MOST_BARS = 60
BEST_DOTS = 12
"""Best trials that are drawn one by one above the bars."""

HIGH = 62
"""Height of the highest bar in percent: the words above it stay free."""

MOST_STEPS = 12
"""Improvements that have a tick on the way from the default to the best."""


@dataclass(frozen=True)
class Marks:
    """The marks of a lane that stay while none of its trials changes: those behind and before the rest.

    Where bars count trials, they stay until a hundredth of them has come, or a better one: nobody sees less.
    """

    lane: SearchLane
    scale: Scale
    head: str
    tail: str

    def hold_for(self, lane: SearchLane, scale: Scale) -> bool:
        """Tell if they are those of the lane as it stands now."""
        if self.scale != scale:
            return False
        return self.lane is lane or (len(self.lane.trials) > MOST_DOTS and hardly_moved(self.lane, lane))

    def running(self, lane: SearchLane, latest: Mapping[int, float], *, id: str) -> Markup:
        """Return the marks of running trials, as an element that moves alone.

        `latest` has their values so far, by their row's id.
        """
        marks = "".join(_running(lane, self.scale, latest))
        return Markup(f'<svg id="{id}" overflow="visible">{marks}</svg>')

    def with_running(self, running: Markup) -> Markup:
        """Return the lane's SVG with those marks in their place."""
        return Markup(f"{self.head}{running}{self.tail}")


def search_marks(lane: SearchLane, scale: Scale) -> Marks:
    """Draw the lane; its label says the same in words."""
    drawn = _bars(lane, scale) if len(lane.trials) > MOST_DOTS else _dots(lane, scale)
    classes = f"lane {css_class(lane.tone)}{' many' if len(lane.trials) > MANY else ''}"
    head = f'<svg class="{classes}" role="img" aria-label="{escape(told(lane))}">'
    return Marks(
        lane,
        scale,
        head="".join((head, *_grid(scale), *drawn, *_comet(lane, scale))),
        tail="".join((*_best(lane, scale), *_words(lane, scale), "</svg>")),
    )


def told(lane: SearchLane) -> str:
    """Say in a line what the lane shows."""
    said = [f"{lane.label}: {lane.ended} trials"]
    if lane.default is not None:
        said.append(f"default {digits(lane.default)}")
    if lane.best is not None:
        said.append(f"best {digits(lane.best[1])}")
    for count, what in (
        (lane.parted.cut, "pruned"),
        (lane.parted.diverged, "diverged"),
        (len(lane.parted.running), "running"),
    ):
        if count:
            said.append(f"{count} {what}")
    return ", ".join(said)


def trial_title(lane: SearchLane, trial: RaceTrial, value: float, *, end: str = "") -> str:
    """Say of a trial its number, its value and the config that was tried."""
    study = "" if trial.replicate is None else f" of study {trial.replicate + 1}"
    tried = ((name, trial.config.get(name)) for name in lane.searched)
    config = ", ".join(f"{name} {digits(of) if isinstance(of, float) else of}" for name, of in tried)
    origin = "default" if trial.origin is Origin.DEFAULT else config
    return f"trial {trial.number + 1}{study}: {digits(value)}{end}; {origin}"


def _grid(scale: Scale) -> Iterator[str]:
    for tick in scale.ticks:
        yield f'<line class="grid" x1="{tick.at:.1f}%" x2="{tick.at:.1f}%" y1="0" y2="100%"/>'


def _dots(lane: SearchLane, scale: Scale) -> Iterator[str]:
    size = 2.2 if len(lane.trials) > MANY else 3.1
    for trial, value in lane.parted.complete:
        yield _dot(lane, trial, value, scale, size)
    for trial, cut in lane.parted.pruned:
        title = escape(trial_title(lane, trial, cut, end=" when it was pruned"))
        yield (
            f'<svg x="{scale.at(cut):.1f}%" y="{_height(trial):.0f}%" overflow="visible">'
            f'<path class="cut" d="M-2.6-2.6 2.6 2.6M2.6-2.6-2.6 2.6"><title>{title}</title></path></svg>'
        )


def _dot(
    lane: SearchLane, trial: RaceTrial, value: float, scale: Scale, size: float, *, kind: str = "trial"
) -> str:
    return (
        f'<circle class="{kind}" cx="{scale.at(value):.1f}%" cy="{_height(trial):.0f}%" r="{size}">'
        f"<title>{escape(trial_title(lane, trial, value))}</title></circle>"
    )


def _bars(lane: SearchLane, scale: Scale) -> Iterator[str]:
    """Bars that count trials, as high as the root of their number, under the best few."""
    width = 100 / MOST_BARS
    counts = scale.counts(lane.shown_values, MOST_BARS)
    top = max(counts.values(), default=1)
    for at, count in sorted(counts.items()):
        high = HIGH * math.sqrt(count / top)
        yield (
            f'<rect class="bin" x="{at * width:.2f}%" width="{width - 0.28:.2f}%" y="{88 - high:.1f}%" '
            f'height="{high:.1f}%"><title>{count} trials</title></rect>'
        )
    for trial, value in lane.ordered[1:BEST_DOTS]:
        yield _dot(lane, trial, value, scale, 2.2, kind="trial top")


def _comet(lane: SearchLane, scale: Scale) -> Iterator[str]:
    """The way from the default to the best so far, with a tick at each improvement."""
    if lane.default is None or lane.best is None:
        return
    first, last = scale.at(lane.default), scale.at(lane.best[1])
    yield f'<line class="comet" x1="{first:.1f}%" x2="{last:.1f}%" y1="50%" y2="50%"/>'
    for value in lane.improvements[:-1][-MOST_STEPS:]:
        at = scale.at(value)
        yield f'<line class="was" x1="{at:.1f}%" x2="{at:.1f}%" y1="43%" y2="57%"/>'
    studies = len(lane.defaults)
    title = (
        f"default, untuned: {digits(lane.default)}{f' (median of {studies} studies)' if studies > 1 else ''}"
    )
    yield _glyph(lane.tone, first, 12, "hollow", title)


def _running(lane: SearchLane, scale: Scale, latest: Mapping[int, float]) -> Iterator[str]:
    for trial in lane.parted.running:
        value = latest.get(trial.id)
        if value is not None and math.isfinite(value):
            title = escape(trial_title(lane, trial, value, end=" so far, and running"))
            yield (
                f'<circle class="live" cx="{scale.at(value):.1f}%" cy="{_height(trial):.0f}%" r="3.6">'
                f"<title>{title}</title></circle>"
            )


def _best(lane: SearchLane, scale: Scale) -> Iterator[str]:
    if lane.best is not None:
        trial, value = lane.best
        yield _glyph(
            lane.tone, scale.at(value), 19, "best", f"best so far: {trial_title(lane, trial, value)}"
        )


def _words(lane: SearchLane, scale: Scale) -> Iterator[str]:
    """What has no place in the lane: values beyond its left end, and trials without a value."""
    said = []
    default = lane.default
    if default is not None and scale.beyond(default):
        said.append(f"‹ default {digits(default)}")
    beyond = scale.beyond(*lane.shown_values) - scale.beyond(*lane.defaults)
    if beyond > 0:
        said.append(f"‹ {beyond:,} worse")
    if lane.parted.diverged:
        said.append(f"{lane.parted.diverged:,} diverged")
    if said:
        yield f'<text x="0" y="12">{escape(", ".join(said))}</text>'


def _glyph(tone: int, at: float, size: int, kind: str, title: str) -> str:
    half = size / 2
    return (
        f'<svg class="{kind}" x="{at:.1f}%" y="50%" overflow="visible"><title>{escape(title)}</title>'
        f'<use href="#{symbol(tone)}" x="{-half:g}" y="{-half:g}" width="{size}" height="{size}"/></svg>'
    )


def _height(trial: RaceTrial) -> float:
    return jitter(trial.replicate, trial.number)

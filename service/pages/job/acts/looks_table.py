"""The looks of a job as lanes and as a table: what each found, and what it may spend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from whichopt.service.evidence.verdict.look_by_look import Looks, TakenLook
from whichopt.service.pages.job.acts.intervals import Lane, bars, in_words, scale_of, widths
from whichopt.service.pages.job.acts.words import counted, decimals, number, span
from whichopt.service.pages.job.lanes import Scale
from whichopt.service.spec import TODAY, ResolvedSpec
from whichopt.service.states import Direction
from whichopt.service.views import Interval, RankedOptimizer


@dataclass(frozen=True)
class LookRow:
    """A look in words: what it rests on, the share of errors that it may spend, and what it found."""

    number: int
    seeds: str
    level: str
    found: str
    taken: bool


def look_rows(looks: Looks, *, running: str) -> list[LookRow]:
    """Return the looks that were taken and those to come; `running` is said of the next one."""
    rows = [
        LookRow(look.number, _seeds(looks, look.seeds), level_text(look.level), found_text(look), True)
        for look in looks.taken
    ]
    for place, look in enumerate(looks.coming):
        said = running if place == 0 else "only if it is still open"
        rows.append(LookRow(look.number, _seeds(looks, look.seeds), level_text(look.level), said, False))
    return rows


def _seeds(looks: Looks, seeds: int) -> str:
    """Say on whose fresh seeds a look rests."""
    if looks.first is None:
        return f"{seeds} of each finalist"
    if seeds <= looks.first:
        return f"{seeds} of each finalist"
    return f"{seeds - looks.first} of each champion"


def level_text(level: float | None) -> str:
    """Return the share of the 5% as a percentage with at most two decimals; `nothing` for none."""
    return "nothing" if level is None else f"{100 * level:.2f}".rstrip("0").rstrip(".") + "%"


def found_text(look: TakenLook) -> str:
    """Say what the look found."""
    match look.found:
        case "champions":
            return f"{counted(len(look.ranking), 'champion')} chosen"
        case "winner":
            return f"{look.best} wins"
        case "nothing":
            return "nothing can be deployed"
        case "tie" if len(look.ranking) == 1:
            return "no other optimizer to beat"
        case "tie":
            return f"open: {len(look.possible)} may be the best"


def value_of(look: TakenLook, label: str) -> Interval | None:
    """Return the mean of that label at a look; None if it diverged."""
    return next((row.value for row in look.ranking if row.optimizer == label), None)


def common_scale(taken: Sequence[TakenLook], direction: Direction) -> Scale | None:
    """Return the scale of all lanes: it shows the latest look whole, and of the ones before their means.

    None if there is nothing to show.
    """
    latest = taken[-1]
    shown = [row.value for row in latest.ranking]
    if len(latest.ranking) == 1:
        shown.append(latest.ranking[0].default_value)
    if latest.today is not None:
        shown.append(latest.today.value)
    spans = [
        (one.mean if one.low is None else one.low, one.mean if one.high is None else one.high)
        for one in shown
        if one is not None
    ]
    if not spans:
        return None
    before = [
        (value.low, value.high)
        for look in taken[:-1]
        for value in (row.value for row in look.ranking)
        if value is not None and value.low is not None and value.high is not None
    ]
    return scale_of(spans, direction, before)


def places_of(rows: Sequence[RankedOptimizer]) -> int | None:
    """Return the decimals in which all values of a ranking are shown."""
    return decimals(widths([row.value for row in rows]))


def lanes_of(
    spec: ResolvedSpec, taken: Sequence[TakenLook], tones: dict[str, int], scale: Scale, *, ended: bool
) -> list[Lane]:
    """Return a lane for each optimizer, the best first, with a bar for each look.

    Args:
        spec: the job.
        taken: its looks, of which the last one says the words.
        tones: of the labels.
        scale: where values lie.
        ended: True if no more looks will come.
    """
    latest = taken[-1]
    places = places_of(latest.ranking)
    return [
        Lane(
            label=row.optimizer,
            tone=tones[row.optimizer],
            bars=bars([value_of(look, row.optimizer) for look in taken], scale),
            value=number(row.value.mean, places) if row.value else "",
            behind=behind_text(row, latest, places, ended=ended),
            odds=row.probability_best if len(spec.labels) > 1 else None,
            says=in_words(row.optimizer, row.value, places, _diverged(row)),
            note=_note(row, scale, places),
            strong=row.optimizer == latest.pick,
        )
        for row in latest.ranking
    ]


def default_lane(
    spec: ResolvedSpec, taken: Sequence[TakenLook], tones: dict[str, int], scale: Scale
) -> Lane | None:
    """Return the lane of an only optimizer's default; None if there are others to beat."""
    row = taken[-1].ranking[0]
    if len(spec.labels) > 1 or row.default_value == row.value:
        return None
    return lane_of_default(row, tones, scale, [look.ranking[0].default_value for look in taken])


def lane_of_default(
    row: RankedOptimizer, tones: dict[str, int], scale: Scale, intervals: Sequence[Interval | None]
) -> Lane:
    """Return the lane of an optimizer's default, whose interval after each look is given."""
    places, name = places_of([row]), f"{row.optimizer}'s default"
    latest = intervals[-1]
    gone = "diverged on a fresh seed" if row.default_diverged_seeds else "no value"
    beyond = latest is not None and scale.beyond(latest.mean)
    return Lane(
        label="its default",
        tone=tones[row.optimizer],
        bars=bars(intervals, scale),
        value="" if latest is None else number(latest.mean, places),
        behind="untuned",
        odds=None,
        says=in_words(name, latest, places, gone),
        note=gone if latest is None else f"‹ {number(latest.mean, places)}" if beyond else "",
        hollow=True,
    )


def behind_text(row: RankedOptimizer, latest: TakenLook, places: int | None, *, ended: bool) -> str:
    """Say how far an optimizer is behind the best, and if that leaves it a chance."""
    if row.value is None or row.difference is None:
        return "cannot win"
    ends = span(row.difference.low, row.difference.high, places)
    possible = row.optimizer in latest.possible
    if row.optimizer == latest.best:
        if latest.found == "winner":
            return "the winner" if ended else "wins"
        return "best mean" if ended else "best mean so far"
    if not possible:
        return ends if row.difference.low else f"{_up_to(row.difference.high, places)}shown to be worse"
    may = "may be as good" if ended else "may be the best"
    return f"{ends}, {may}" if ends else may


def _up_to(high: float | None, places: int | None) -> str:
    """The end of an interval that begins at 0: a test of one side may tell more than an interval of two."""
    return "" if high is None else f"up to {number(high, places)}, "


def _diverged(row: RankedOptimizer) -> str:
    if row.diverged_seeds:
        return f"diverged on {counted(row.diverged_seeds, 'fresh seed')}"
    return "no value yet"


def _note(row: RankedOptimizer, scale: Scale, places: int | None) -> str:
    if row.value is None:
        return _diverged(row)
    return f"‹ {number(row.value.mean, places)}" if scale.beyond(row.value.mean) else ""


def todays_lane(
    spec: ResolvedSpec, taken: Sequence[TakenLook], tones: dict[str, int], scale: Scale
) -> Lane | None:
    """Return the lane of today's config, which stands apart from the race; None if the job has none."""
    today = taken[-1].today
    if today is None or spec.today is None:
        return None
    places = places_of(taken[-1].ranking)
    gone = (
        f"diverged on {counted(today.diverged, 'fresh seed')}" if today.diverged else "no run has ended yet"
    )
    beyond = today.value is not None and scale.beyond(today.value.mean)
    return Lane(
        label=f"today's {today.optimizer}",
        tone=tones[TODAY],
        bars=bars([None if look.today is None else look.today.value for look in taken], scale),
        value="" if today.value is None else number(today.value.mean, places),
        behind=TODAYS_WORDS[today.answer],
        odds=None,
        says=in_words(f"today's {today.optimizer}", today.value, places, gone),
        note=gone if today.value is None else f"‹ {number(today.value.mean, places)}" if beyond else "",
        hollow=True,
    )


TODAYS_WORDS = {
    "keep": "keep it",
    "switch": "a switch is worth it",
    "not distinguishable": "cannot be told from the best",
}
"""What to do with today's config, by the answer about it."""

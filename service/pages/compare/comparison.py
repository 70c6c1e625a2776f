"""Jobs side by side: the sentence, whether their values may be compared, and a lane an optimizer. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from whichopt.service.figures.tones import tones
from whichopt.service.job_names import shown_name
from whichopt.service.pages.compare.differences import Setting, settings
from whichopt.service.pages.frame import seconds as duration
from whichopt.service.pages.home.rows import Odds, in_bold, odds_of, workload_words
from whichopt.service.pages.job.lanes import Scale, scale
from whichopt.service.states import JobState
from whichopt.service.views import Interval, JobView, Recommendation

FEWEST, MOST = 2, 4

LIKELY = 0.05
"""Least probability of being the best with which an optimizer is named in the sentence."""


CHANCES = Scale(worst=0.0, best=1.0, log=False)
"""The scale of the lanes if the values are not compared: the probability of being the best."""


class Side(NamedTuple):
    """A job of the comparison, and what it concluded, if it has."""

    job: JobView
    told: Recommendation | None

    @property
    def name(self) -> str:
        return shown_name(self.job.name) or self.job.spec.workload.short_title


@dataclass(frozen=True)
class Bar:
    """An optimizer in one job: its value with the ends of its interval, in percent of the lane.

    Its value has no place if the values are not compared, or there is none; `chance` is that of the
    probability of being the best.
    """

    y: float
    chance: float | None
    at: float | None
    low: float | None
    high: float | None
    value: str
    odds: str


@dataclass(frozen=True)
class Lane:
    """An optimizer with a bar in every job."""

    label: str
    tone: int
    bars: list[Bar]

    @property
    def words(self) -> str:
        """The values of the lane for whoever does not see it."""
        return f"{self.label}: {', '.join(bar.value or 'no value' for bar in self.bars)}"

    @property
    def chances(self) -> str:
        """The same of the probabilities of being the best."""
        return f"{self.label}: {', '.join(bar.odds or 'no odds' for bar in self.bars)}"


@dataclass(frozen=True)
class Comparison:
    """Jobs side by side. `apart` says why their values are not compared; None if they are."""

    title: str
    sentences: list[Markup]
    apart: str | None
    metric: str
    split: str
    scale: Scale
    lanes: list[Lane]
    odds: list[list[Odds]]
    legend: list[Odds]
    facts: list[Setting]
    settings: list[Setting]


def comparison(sides: Sequence[Side]) -> Comparison:
    """Return the comparison of two to four jobs."""
    apart = why_apart(sides)
    own = _tones(sides)
    odds = [
        [one._replace(tone=own[one.label]) for one in odds_of(side.job.odds, side.job.spec)] for side in sides
    ]
    goal = sides[0].job.spec.goal
    intervals = [_intervals(side) for side in sides]
    shown = [one for of_side in intervals for one in of_side.values()] if apart is None else []
    ends = [end for one in shown for end in (one.low, one.mean, one.high) if end is not None]
    axis = scale(ends, goal.direction)
    legend = [Odds(label, number, 0) for label, number in own.items()]
    told = sides[0].told
    compared = settings([side.job.spec for side in sides])
    return Comparison(
        title=_title(compared, sides),
        sentences=[*map(_sentence, sides), Markup("{}").format(apart or _alike(len(sides)))],
        apart=apart,
        metric=goal.metric,
        split="test" if told is None else told.split,
        scale=axis if apart is None else CHANCES,
        lanes=[
            _lane(label, number, intervals, odds, axis if apart is None else None)
            for label, number in _ordered(own, sides).items()
        ],
        odds=odds,
        legend=legend,
        facts=_facts(sides),
        settings=compared,
    )


def why_apart(sides: Sequence[Side]) -> str | None:
    """Return why the values of the jobs are not compared; None if they may be."""
    ended = [side for side in sides if side.told is not None]
    if len(ended) < len(sides):
        waiting = next(side for side in sides if side.told is None)
        return f"Their values are not compared, as “{waiting.name}” has no verdict."
    goals = [side.job.spec.goal for side in sides]
    differing = [
        words
        for words, values in (
            ("metric", [goal.metric for goal in goals]),
            ("direction", [goal.direction.value for goal in goals]),
            ("data or test split", [_test_of(side) for side in sides]),
        )
        if len({*values}) > 1
    ]
    if not differing:
        return None
    return f"Their values are not compared, as the jobs differ in {' and '.join(differing)}: the odds are."


def _test_of(side: Side) -> str:
    """Return what two jobs have alike that are judged on the same test examples.

    The test rows of data are the same for every seed (`whichopt.service.splits`).
    """
    spec, told = side.job.spec, side.told
    split = "test" if told is None else told.split
    if spec.guest is not None:
        own = spec.guest.model_dump(mode="json")
        return json.dumps([own["function"], own["source"] or side.job.id, split], sort_keys=True)
    workload = spec.workload
    data = workload.model_dump(mode="json", include={"dataset", "content", "sizes", "upload"})
    upload = data.get("upload") or {}
    dataset = data["content"] or data["dataset"]
    return json.dumps(
        [dataset, data["sizes"]["test"], upload.get("target"), upload.get("split"), split], sort_keys=True
    )


def _tones(sides: Sequence[Side]) -> dict[str, int]:
    named: dict[str, str] = {}
    for side in sides:
        for chosen in side.job.spec.optimizers:
            named.setdefault(chosen.label, chosen.name)
        for label in side.job.odds or {}:
            named.setdefault(label, label)
    return tones(named)


def _ordered(own: dict[str, int], sides: Sequence[Side]) -> dict[str, int]:
    """Return the labels with their tones, in the order of the first ranking that has them."""
    ranked = [row.optimizer for side in sides if side.told for row in side.told.ranking]
    return {label: own[label] for label in dict.fromkeys([*ranked, *own]) if label in own}


def _intervals(side: Side) -> dict[str, Interval]:
    rows = () if side.told is None else side.told.ranking
    return {row.optimizer: row.value for row in rows if row.value is not None}


def _lane(
    label: str,
    tone: int,
    intervals: Sequence[dict[str, Interval]],
    odds: Sequence[Sequence[Odds]],
    axis: Scale | None,
) -> Lane:
    bars = []
    for place, (of_side, chances) in enumerate(zip(intervals, odds, strict=True)):
        value = of_side.get(label)
        known = value if axis is not None else None
        chance = next((one.probability for one in chances if one.label == label), None)
        bars.append(
            Bar(
                y=100 * (place + 1) / (len(intervals) + 1),
                chance=None if chance is None else CHANCES.at(chance),
                at=None if known is None or axis is None else axis.at(known.mean),
                low=None if known is None or axis is None or known.low is None else axis.at(known.low),
                high=None if known is None or axis is None or known.high is None else axis.at(known.high),
                value="" if value is None else f"{value.mean:#.4g}".rstrip("."),
                odds="" if chance is None else f"{chance:.2f}",
            )
        )
    return Lane(label, tone, bars)


def _title(compared: Sequence[Setting], sides: Sequence[Side]) -> str:
    differing = [setting.path for setting in compared if setting.differs]
    if len(differing) == 1:
        return f"Does the answer change with {differing[0]}?"
    jobs = {2: "both jobs", 3: "three jobs", 4: "four jobs"}[len(sides)]
    return "The same job, again" if not differing else f"Is the answer the same in {jobs}?"


def _sentence(side: Side) -> Markup:
    """Return what one job says of who is best."""
    start = Markup("In “{}”, ").format(side.name)
    if side.job.state is JobState.FAILED:
        return start + "nothing is known: it failed."
    likely = [one for one in odds_of(side.job.odds, side.job.spec) if one.probability >= LIKELY]
    if side.told is not None and side.told.optimizer is None:
        return start + "nothing can be deployed: every finalist diverged on a fresh seed."
    if not likely:
        state = "was cancelled" if side.job.state is JobState.CANCELLED else "has no odds yet"
        return start + f"nothing is known: it {state}."
    so_far = "" if side.told is not None else " so far"
    if len(side.job.spec.labels) == 1:
        return start + in_bold(f"{likely[0].label} races alone.", likely[0].label)
    if side.told is not None and side.told.verdict == "winner":
        return start + in_bold(f"{likely[0].label} is the clear winner.", likely[0].label)
    named = [f"{one.label} ({one.probability:.2f})" for one in likely]
    if len(named) == 1:
        words = f"{likely[0].label} is the best with probability {likely[0].probability:.2f}{so_far}."
    else:
        words = f"{', '.join(named[:-1])} and {named[-1]} may be the best{so_far}."
    return start + in_bold(words, likely[0].label)


def _alike(jobs: int) -> str:
    all_ = "Both jobs" if jobs == 2 else "All jobs"
    return (
        f"{all_} share metric, data and test split, so their values may be compared; who is the best was "
        "judged in each by itself."
    )


def _facts(sides: Sequence[Side]) -> list[Setting]:
    """Return what came out of the jobs, and what they took."""

    def row(words: str, values: Sequence[str]) -> Setting:
        return Setting(words, tuple(values))

    jobs, told = [side.job for side in sides], [side.told for side in sides]
    took = [
        job.finished_at and job.started_at and (job.finished_at - job.started_at).total_seconds()
        for job in jobs
    ]
    rates = [(one.config or {}).get("lr") if one is not None else None for one in told]
    return [
        row("trained", [workload_words(job.spec) for job in jobs]),
        row("recommended", [_recommended(side) for side in sides]),
        row("its lr", ["" if not isinstance(rate, float) else f"{rate:.3g}" for rate in rates]),
        row("runs, with those on fresh seeds", [f"{job.progress.trials_done:,}" for job in jobs]),
        row("took", [duration(time) if time else "" for time in took]),
    ]


def _recommended(side: Side) -> str:
    if side.told is None:
        return "" if side.job.state.ended else "nothing yet"
    return side.told.optimizer or "nothing"

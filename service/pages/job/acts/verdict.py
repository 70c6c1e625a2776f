"""Act 3: what to use, how sure we are, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from whichopt.service.evidence.verdict.look_by_look import Looks, TakenLook
from whichopt.service.evidence.verdict.snippet_lines import lines_to_paste
from whichopt.service.pages.job.acts import made, verdict_words
from whichopt.service.pages.job.acts.intervals import Lane, bars, in_words, scale_of, widths
from whichopt.service.pages.job.acts.kept_looks import looks_if_kept, looks_of
from whichopt.service.pages.job.acts.looks_table import (
    common_scale,
    default_lane,
    lanes_of,
    todays_lane,
)
from whichopt.service.pages.job.acts.warning_words import warned
from whichopt.service.pages.job.acts.words import decimals, number, span
from whichopt.service.pages.job.lanes import Scale
from whichopt.service.pages.job.scene import Scene
from whichopt.service.states import Direction
from whichopt.service.training_words import batches_line, schedule_line
from whichopt.service.views import Interval, OptimizerVerdict, Recommendation

FEW_TRIALS = 800
"""Trials of a job whose earlier looks are computed with its page; those of a larger one come after it."""


def values(scene: Scene) -> dict[str, Any]:
    """Return what `job/verdict.html` is filled with."""
    with scene.store.read() as tx:
        row = tx.views.recommendation(scene.job.id)
    found = None if row is None else row[1]
    if found is None:
        return {"sentence": "The job has no recommendation.", "recommendation": None}
    cut = any(warning.code == "search_cut_short" for warning in found.warnings)
    asked = None if cut else scene.spec.asked_trials
    return {
        "sentence": verdict_words.lead(found),
        "tones": scene.tones,
        "recommendation": found,
        "lines": lines_to_paste(scene.spec, found),
        "asked": asked,
        "trained": _trained(scene, found),
        "took_s": _took(scene),
        "odds": _odds(scene, found),
        "warnings": warned(found),
        "todays": None if found.today is None else compared(found),
        **made.values(scene, found),
        **sure(scene, found),
    }


def sure(scene: Scene, found: Recommendation) -> dict[str, Any]:
    """Return what the tables of `job/sure.html` are filled with."""
    spec = scene.spec
    # Today's config has a lane of its own, which would move what is below it if it came later.
    waits = found.cost.trials > FEW_TRIALS and found.today is None
    looks = looks_if_kept(scene) if waits else looks_of(scene)
    taken = _taken(found, looks)
    scale = common_scale(taken, spec.goal.direction)
    seen = found.could_have_seen
    lanes = [] if scale is None else lanes_of(spec, taken, scene.tones, scale, ended=True)
    return {
        "waits": looks is None,
        "taken": taken,
        "lanes": lanes or _without_values(scene, found),
        "apart": [] if scale is None else _apart(scene, taken, scale),
        "ticks": [] if scale is None else scale.ticks,
        "zero": _zero(taken[-1], scale),
        "axis": f"{found.split} {found.metric} · better to the right",
        "ground": verdict_words.ground(spec, found),
        "study_ground": verdict_words.study_ground(spec, found)
        if found.optimizer_verdict.differences
        else "",
        "studies": _studies(scene, found.optimizer_verdict),
        "seen": "" if seen is None else verdict_words.seen(found, seen.config, seen.chance),
        "why": verdict_words.why(found),
        "stopped": "" if found.stage is None else verdict_words.stopped(found.stage),
        "new_examples": ""
        if found.over_examples is None
        else verdict_words.new_examples(found, found.over_examples),
    }


def _trained(scene: Scene, found: Recommendation) -> tuple[str, str] | None:
    """The batches and the schedule of the pick; None if whichopt makes no batches."""
    if found.optimizer is None or found.config is None or scene.spec.guest is not None:
        return None
    of = (scene.spec, found.optimizer, found.config)
    return batches_line(*of), schedule_line(*of)


def _took(scene: Scene) -> float | None:
    """Seconds from the first claim to the end."""
    began, ended = scene.job.started_at, scene.job.finished_at
    return None if began is None or ended is None else (ended - began).total_seconds()


def _odds(scene: Scene, found: Recommendation) -> list[tuple[str, int, float]]:
    """The probability of being the best by label, the likeliest first; empty if nobody was to be beaten."""
    if len(scene.spec.labels) == 1 or found.optimizer is None:
        return []
    rows = [(row.optimizer, scene.tones[row.optimizer], row.probability_best or 0.0) for row in found.ranking]
    return sorted(rows, key=lambda row: -row[2])


def _taken(found: Recommendation, looks: Looks | None) -> list[TakenLook]:
    """The looks of the job, of which the last is the recommendation's, as it was kept."""
    stage = found.stage
    last = TakenLook(
        number=1 if stage is None else stage.look,
        seeds=found.all_seeds,
        judged=found.seeds,
        level=None if stage is None else stage.alpha,
        found=found.verdict,
        best=found.equivalent[0] if found.equivalent else None,
        pick=None if found.today and found.today.answer == "keep" else found.optimizer,
        possible=tuple(found.equivalent),
        ranking=tuple(found.ranking),
        today=None,
    )
    if looks is None or found.shows_stand_ins or not looks.taken:
        return [last]
    return [*looks.taken[:-1], replace(last, today=looks.taken[-1].today)]


def _zero(latest: TakenLook, scale: Scale | None) -> float | None:
    """Where the best mean lies, in percent; None if there is none."""
    row = next((one for one in latest.ranking if one.optimizer == latest.best), None)
    return None if row is None or row.value is None or scale is None else scale.at(row.value.mean)


def _apart(scene: Scene, taken: list[TakenLook], scale: Scale) -> list[Lane]:
    """The lanes that have no part in the race: the default of an only optimizer, and today's config."""
    found = (make(scene.spec, taken, scene.tones, scale) for make in (default_lane, todays_lane))
    return [lane for lane in found if lane is not None]


def _without_values(scene: Scene, found: Recommendation) -> list[Lane]:
    """Lanes of a job all of whose configs diverged."""
    return [
        Lane(
            label=row.optimizer,
            tone=scene.tones[row.optimizer],
            bars=(),
            value="",
            behind="cannot be deployed",
            odds=None,
            says=in_words(row.optimizer, None, None, _gone(row.diverged_seeds)),
            note=_gone(row.diverged_seeds),
        )
        for row in found.ranking
    ]


def _gone(seeds: int | None) -> str:
    return "diverged" if not seeds else f"diverged on {seeds} fresh seed{'s' if seeds > 1 else ''}"


def _studies(scene: Scene, verdict: OptimizerVerdict) -> dict[str, Any] | None:
    """The table of the verdict on optimizers; None if there is none."""
    behind = {row.optimizer: row for row in verdict.differences}
    if not behind:
        return None
    best = [label for label in scene.spec.labels if label not in behind]
    intervals = {
        label: None if row.mean is None else _interval(row.mean, row.low, row.high, verdict.replicates)
        for label, row in behind.items()
    }
    known = [one for one in intervals.values() if one is not None]
    places = decimals(widths(known))
    spans = [(0.0, 0.0), *((one.mean, one.mean if one.high is None else one.high) for one in known)]
    scale = scale_of(spans, Direction.MINIMIZE)
    chances = verdict.probability_best or {}
    lanes = []
    for label in [*best, *behind]:
        found = _interval(0.0, 0.0, 0.0, 0) if label in best else intervals[label]
        lanes.append(
            Lane(
                label=label,
                tone=scene.tones[label],
                bars=bars([found], scale),
                value="" if found is None else "0" if label in best else number(found.mean, places),
                behind=_told(label, verdict, found, places, is_best=label in best),
                odds=chances.get(label),
                says=in_words(label, found, places, "a config of its studies diverged"),
                note="a config of its studies diverged" if found is None else "",
                strong=label == verdict.optimizer,
            )
        )
    return {"lanes": lanes, "ticks": scale.ticks, "zero": scale.at(0.0)}


def _interval(mean: float, low: float | None, high: float | None, runs: int) -> Interval:
    return Interval(mean=mean, low=low, high=high, level=0.95, seeds=runs)


def _told(
    label: str, verdict: OptimizerVerdict, found: Interval | None, places: int | None, *, is_best: bool
) -> str:
    if found is None:
        return "cannot win"
    if is_best:
        return "the better one" if verdict.verdict == "winner" else "best mean"
    ends = span(found.low, found.high, places)
    if label not in verdict.equivalent:
        return ends or "shown to be worse"
    return f"{ends}, may be as good" if ends else "may be as good"


def compared(found: Recommendation) -> list[tuple[str, str, str, bool]]:
    """Return today's config and its challenger's by hyperparameter: name, both, and if they differ."""
    today = found.today
    if today is None:
        return []
    mine, theirs = today.config, today.challenger_config or {}
    return [
        (name, _text(mine, name), _text(theirs, name), name in theirs and mine.get(name) != theirs.get(name))
        for name in dict.fromkeys((*mine, *theirs))
    ]


def _text(config: Mapping[str, Any], name: str) -> str:
    """A hyperparameter's value, as short as it can be told."""
    if name not in config:
        return ""
    value = config[name]
    if isinstance(value, list | tuple):
        return f"({', '.join(f'{part:.4g}' for part in value)})"
    return f"{value:.4g}" if isinstance(value, float) else str(value)

"""The sentence above the race while a job searches: how it stands, and what that does not say."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from whichopt.service.evidence.forecast.leads import Leads
from whichopt.service.pages.frame import digits
from whichopt.service.pages.job.acts.words import odds
from whichopt.service.pages.job.scene import Scene
from whichopt.service.pages.job.search_lane import SearchLane, by_rank
from whichopt.service.states import Direction, JobState, Origin, Phase, TrialState

LUCK = "These are searched values, the luckiest of many; the verdict will rest on fresh seeds."


def sentence(scene: Scene, lanes: Sequence[SearchLane], leads: Leads | None) -> Markup:
    """Return how the search stands; `lanes` in any order."""
    ranked = [lane for lane in by_rank(lanes) if lane.best is not None]
    ended = sum(lane.ended for lane in lanes)
    state = scene.job.state
    if state.ended and state is not JobState.SUCCEEDED:
        return _stopped(scene, ranked, ended)
    if not ended:
        return _waiting(scene)
    if not ranked:
        return Markup("{} so far, and none with a value: all of them diverged or were pruned.").format(
            _are_in(ended)
        )
    if scene.job.phase is Phase.CONFIRM or state is JobState.SUCCEEDED:
        return Markup(
            "The search is over: of {:,} trials <strong>{}</strong> had the best one, {}. That is the "
            "luckiest of many; what counts is how the finalists do on fresh seeds."
        ).format(ended, ranked[0].label, _value(ranked[0]))
    if all(_untuned(lane) for lane in lanes):
        return _defaults(ranked, ended)
    return _racing(ranked, lanes, ended, leads)


def leader_said(lanes: Sequence[SearchLane]) -> str:
    """Return what screen readers are told when another optimizer takes the lead; nothing before one leads."""
    first = by_rank(lanes)[0] if lanes else None
    return "" if first is None or first.best is None else f"{first.label} leads now"


def _racing(
    ranked: Sequence[SearchLane], lanes: Sequence[SearchLane], ended: int, leads: Leads | None
) -> Markup:
    leader = ranked[0]
    total = sum(lane.total for lane in lanes)
    of = f" of {total:,}" if total else ""
    said = [
        Markup("After {:,}{} trials <strong>{}</strong> has the best one, {}{}.").format(
            ended, of, leader.label, _value(leader), _against_default(leader)
        )
    ]
    left = total - ended
    if total and left <= 0:
        said.append(Markup("All trials are in, and the finalists are being chosen."))
    elif leads is None:
        said.append(Markup("It is too early to say who will lead at the end."))
    else:
        what = f"The {left:,} trials left beat" if left > 1 else "The trial left beats"
        said.append(Markup("{} it with probability <strong>{}</strong>.").format(what, odds(leads.beaten)))
    said.append(Markup(LUCK))
    return Markup(" ").join(said)


def _against_default(lane: SearchLane) -> str:
    """Say how the best one stands to its optimizer's default."""
    assert lane.best is not None
    best, default = lane.best[1], lane.default
    if default is None:
        return ""
    if best == default or lane.best[0].origin is Origin.DEFAULT:
        return ", which is its default"
    if lane.direction is Direction.MINIMIZE and best > 0:
        percent = 100 * (1 - best / default)
        if percent < 1:
            return ", about its own default"
        return f": {'over 99' if percent > 99.5 else f'{percent:.0f}'}% below its own default"
    return f": {digits(abs(best - default))} {'above' if best > default else 'below'} its own default"


def _defaults(ranked: Sequence[SearchLane], ended: int) -> Markup:
    """Say how the optimizers do untuned, which is all that is known by now."""
    parts = [
        Markup(
            "{}. Each study begins with its optimizer's default, so this is how they do "
            "<strong>untuned</strong>"
        ).format(_are_in(ended))
    ]
    if len(ranked) > 1:
        first, last = ranked[0], ranked[-1]
        far = " far" if last.rank - first.rank > 2 * abs(first.rank) else ""
        parts.append(Markup(": {} first, {}{} behind").format(first.label, last.label, far))
    parts.append(Markup(". Nothing is said yet about who wins."))
    return Markup("").join(parts)


def _waiting(scene: Scene) -> Markup:
    activity = scene.job.activity
    if activity is not None and activity.what != "training":
        return Markup("Nothing has been trained yet.")
    return Markup("The first trials are being trained: each study begins with its optimizer's default.")


def _stopped(scene: Scene, ranked: Sequence[SearchLane], ended: int) -> Markup:
    what = "was cancelled" if scene.job.state is JobState.CANCELLED else "failed"
    if not ranked:
        return Markup("The job {} before a trial had a value.").format(what)
    return Markup(
        "The job {} in its search, after {}. <strong>{}</strong> had the best one, {}. That is a searched "
        "value, the luckiest of many: no fresh seeds were run, so nobody can say who wins."
    ).format(what, f"{ended:,} trial{'s' if ended > 1 else ''}", ranked[0].label, _value(ranked[0]))


def _untuned(lane: SearchLane) -> bool:
    """Tell if none but defaults have ended."""
    waiting = (TrialState.QUEUED, TrialState.RUNNING, TrialState.CANCELLED)
    return all(trial.origin is Origin.DEFAULT or trial.state in waiting for trial in lane.trials)


def _are_in(ended: int) -> str:
    return f"{ended:,} trials are in" if ended > 1 else "One trial is in"


def _value(lane: SearchLane) -> str:
    return digits(lane.best[1]) if lane.best is not None else ""

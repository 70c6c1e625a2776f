"""Act 2: fresh seeds, look by look: intervals shrink until a winner is named, or the seeds are used up."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from whichopt.service.evidence.forecast.durations import duration_text
from whichopt.service.evidence.verdict.look_by_look import Looks, TakenLook
from whichopt.service.forecasting import job_forecast
from whichopt.service.pages.job import drawn_figures
from whichopt.service.pages.job.acts.intervals import Lane
from whichopt.service.pages.job.acts.kept_looks import looks_of
from whichopt.service.pages.job.acts.looks_table import (
    common_scale,
    default_lane,
    lanes_of,
    look_rows,
    places_of,
    todays_lane,
)
from whichopt.service.pages.job.acts.words import (
    counted,
    few,
    number,
    odds,
    sentence,
    spelled,
    strong,
)
from whichopt.service.pages.job.lanes import Scale
from whichopt.service.pages.job.scene import Scene
from whichopt.service.spec import ResolvedSpec
from whichopt.service.views import ConfirmForecast


def values(scene: Scene) -> dict[str, Any]:
    """Return what `job/confirm.html` is filled with."""
    looks = looks_of(scene)
    ended = scene.job.state.ended
    ahead = coming(scene)
    latest = looks.taken[-1] if looks.taken else None
    scale = None if latest is None else common_scale(looks.taken, scene.spec.goal.direction)
    lanes = [] if scale is None else lanes_of(scene.spec, looks.taken, scene.tones, scale, ended=ended)
    return {
        "sentence": _sentence(scene, looks, ahead),
        "looks": looks,
        "latest": latest,
        "labels": scene.spec.labels,
        "tones": scene.tones,
        "lanes": lanes,
        "apart": [] if scale is None else _apart(scene, looks, scale),
        "ticks": [] if scale is None else scale.ticks,
        "zero": _zero(latest, scale),
        "rows": look_rows(looks, running=_running(scene, looks)),
        "curse": None if latest is None else promised(scene.spec, latest),
        "odds": drawn_figures.odds(scene, ahead),
        "axis": axis_words(scene),
        "can_conclude": bool(looks.taken) and not ended,
        "choosing": latest is not None and latest.found == "champions",
        "split": scene.spec.workload.judged_split,
    }


def coming(scene: Scene) -> ConfirmForecast | None:
    """Return what the next look may say; None before the first one, and once the job has ended.

    It is found once for each look, and kept for those who look at the page after it.
    """
    looks = looks_of(scene)
    if scene.job.state.ended or not looks.taken:
        return None
    key = f"forecast after look {looks.taken[-1].number}"
    if key not in scene.memory:
        scene.memory[key] = job_forecast(scene.store, scene.job.id).confirm
    found: ConfirmForecast | None = scene.memory[key]
    return found


def _apart(scene: Scene, looks: Looks, scale: Scale) -> list[Lane]:
    """The lanes that have no part in the race: today's config, and the default of an only optimizer."""
    found = (make(scene.spec, looks.taken, scene.tones, scale) for make in (default_lane, todays_lane))
    return [lane for lane in found if lane is not None]


def axis_words(scene: Scene) -> str:
    """Return the title of the axis."""
    return f"{scene.spec.workload.judged_split} {scene.spec.goal.metric} · better to the right"


def _zero(latest: TakenLook | None, scale: Scale | None) -> float | None:
    """Where the best mean lies, in percent; None if there is none."""
    row = None if latest is None else next((r for r in latest.ranking if r.optimizer == latest.best), None)
    return None if row is None or row.value is None or scale is None else scale.at(row.value.mean)


def _running(scene: Scene, looks: Looks) -> str:
    """Say how far the next look is; of a job that has ended before it, that it was not taken."""
    if scene.job.state.ended:
        return "not taken"
    confirm = scene.job.progress.confirm
    before = looks.taken[-1].seeds if looks.taken else 0
    done = max(0, (0 if confirm is None else confirm.seeds_done) - before)
    of = looks.coming[0].seeds - before if looks.coming else 0
    return f"running, {done} of {counted(of, 'seed')} {'is' if of == 1 else 'are'} in"


def _time(coming: ConfirmForecast) -> str:
    if coming.next_seconds is None:
        return ""
    return duration_text(coming.next_seconds) if coming.next_seconds >= 1 else "a second"


def _sentence(scene: Scene, looks: Looks, coming: ConfirmForecast | None) -> Markup:
    if not looks.taken:
        return _before(scene, looks)
    latest = looks.taken[-1]
    if latest.found == "nothing":
        return Markup(
            "On {} every config has diverged at least once, so there is nothing to recommend. "
            "Most often a learning rate is too large for some seeds."
        ).format(strong(counted(latest.seeds, "fresh seed")))
    return sentence(_standing(scene, latest), _next(latest, coming))


def _before(scene: Scene, looks: Looks) -> Markup:
    confirm = scene.job.progress.confirm
    first = looks.coming[0].seeds if looks.coming else scene.spec.budget.confirm_seeds
    done = 0 if confirm is None else confirm.seeds_done
    told = Markup(
        "The search is over. Its {} (the best config of each study, and each default) now train again on "
        "fresh seeds, because the best of many tries is partly the luckiest."
    ).format(strong(counted(looks.finalists, "finalist")))
    if scene.job.state.ended:
        return sentence(told, f"The job ended before the first look, at {counted(first, 'seed')}.")
    come = "none has come in yet" if not done else f"{spelled(done)} {'has' if done == 1 else 'have'} come in"
    return sentence(told, f"The first look is at {counted(first, 'seed')}; {come}.")


def _standing(scene: Scene, latest: TakenLook) -> Markup:
    """Say who leads, how surely, and who is not ruled out."""
    best = latest.best or ""
    on = Markup("On {}").format(counted(latest.judged, "fresh seed"))
    if len(scene.spec.labels) == 1:
        return sentence(on, _against_default(latest))
    probability = strong(odds(latest.odds.get(best, 0.0)))
    told = Markup("{} {} is best with probability {}").format(on, strong(best), probability)
    if latest.found == "winner":
        return told + ": it is the clear winner."
    if latest.found == "champions":
        return told + Markup(
            ". Each optimizer's best finalist is now its champion, and champions alone train on."
        )
    rivals = [label for label in latest.possible if label != best]
    verb = "is" if len(rivals) == 1 else "are"
    return told + (Markup("; {} {} not yet ruled out.").format(few(rivals), verb) if rivals else ".")


def _against_default(latest: TakenLook) -> Markup:
    """Say what the config and the default of an only optimizer give."""
    row, places = latest.ranking[0], places_of(latest.ranking)
    if row.value is None:
        return Markup("{} has diverged.").format(strong(row.optimizer))
    told = Markup("the best config of {} gives {}").format(
        strong(row.optimizer), strong(number(row.value.mean, places))
    )
    if row.default_value is None:
        return told + ", and its default has diverged."
    return told + Markup(", and its default {}.").format(number(row.default_value.mean, places))


def _next(latest: TakenLook, coming: ConfirmForecast | None) -> Markup | str:
    """Say what the next seeds cost and may change."""
    if coming is None:
        return ""
    if coming.stops and latest.found == "winner":
        return "No more seeds are needed."
    if coming.stops:
        return f"No more seeds are needed: {coming.stops}."
    if coming.next_seeds is None or coming.winner_next is None:
        return ""
    more = f"{spelled(coming.next_seeds).capitalize()} more {'seed' if coming.next_seeds == 1 else 'seeds'}"
    takes = "take" if coming.next_seeds > 1 else "takes"
    time = f" {takes} about {_time(coming)}:" if coming.next_seconds is not None else ":"
    if len(latest.ranking) == 1:
        return f"{more}{time.removesuffix(':')}." if coming.next_seconds is not None else ""
    told = Markup("{}{} they name a winner with probability {}").format(
        more, time, strong(odds(coming.winner_next))
    )
    if coming.pick_changes is None:
        return told + "."
    now = f" (now {coming.pick})" if coming.pick != latest.best else ""
    return told + Markup(" and change the recommendation{} with {}.").format(
        now, strong(odds(coming.pick_changes))
    )


def promised(spec: ResolvedSpec, latest: TakenLook) -> str:
    """Say what search promised of the best config, and what fresh seeds gave on the same split."""
    row = next((one for one in latest.ranking if one.optimizer == latest.best), None)
    if row is None or row.searched_value is None or row.confirmed_validation is None:
        return ""
    places = places_of(latest.ranking)
    told = (
        f"Search promised {number(row.searched_value, places)} for {row.optimizer} on the validation split; "
        f"fresh seeds give {number(row.confirmed_validation, places)} there."
    )
    if spec.goal.sign * row.confirmed_validation > spec.goal.sign * row.searched_value:
        return f"{told} The best of many tries is partly the luckiest, so search decides nothing by itself."
    return f"{told} So it was not only lucky; still, search decides nothing by itself."

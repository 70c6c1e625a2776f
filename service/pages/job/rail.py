"""The rail of a job's page: its three acts, how far each has come, and the time that is left."""

from __future__ import annotations

from dataclasses import dataclass

from whichopt.service.pages.frame import seconds
from whichopt.service.pages.job.scene import Act, Scene, act_of
from whichopt.service.planning.looks import planned_looks
from whichopt.service.states import JobState, Phase

Parts = list[tuple[float, str]]


@dataclass(frozen=True)
class Stop:
    """An act on the rail.

    `parts` is its bar, (share in percent, CSS class) each; `note` says the same in words. `current` marks the
    act that the job has reached, and `shown` the one that the page shows.
    """

    act: Act
    title: str
    parts: Parts
    note: str
    current: bool
    shown: bool
    reached: bool


def rail(scene: Scene) -> list[Stop]:
    """Return the acts of the job, with the time that is left of each."""
    job = scene.job
    reached = act_of(job.state, job.phase)
    order = list(Act)
    search, search_note = _search(scene)
    confirm, confirm_note = _confirm(scene)
    said = {
        Act.SEARCH: (search, search_note),
        Act.CONFIRM: (confirm, confirm_note),
        Act.VERDICT: _verdict(job.state),
    }
    return [
        Stop(
            act=act,
            title=act.value.capitalize(),
            parts=parts,
            note=note,
            current=act is reached,
            shown=act is scene.act,
            reached=order.index(act) <= order.index(reached),
        )
        for act, (parts, note) in said.items()
    ]


def _search(scene: Scene) -> tuple[Parts, str]:
    job = scene.job
    if job.phase is Phase.CONFIRM or job.state is JobState.SUCCEEDED:
        searched = sum(trial.phase is Phase.SEARCH for trial in scene.race.trials.values())
        return [(100.0, "")], f"{searched:,} trials"
    done, total = job.progress.trials_done, job.progress.trials_total
    running = sum(len(cohort.trials) for cohort in scene.race.running)
    if not total:
        return [(0.0, "")], "" if job.state.ended else _about(scene.left.search) or "not planned yet"
    parts = [(100 * done / total, ""), (100 * min(running, total - done) / total, "on")]
    return parts, _joined(f"{done:,} of {total:,} trials", _about(scene.left.search))


def _confirm(scene: Scene) -> tuple[Parts, str]:
    job, progress = scene.job, scene.job.progress.confirm
    if progress is None or job.phase is not Phase.CONFIRM:
        if job.state.ended:
            return [(0.0, "")], ""
        left = scene.left.confirm
        note = f"up to {planned_looks(scene.spec)[-1]} fresh seeds"
        return [(0.0, "")], _joined(note, "" if left is None else f"about {seconds(max(1.0, left))}")
    if job.state is JobState.SUCCEEDED:
        return [(100.0, "")], f"{progress.seeds_done} fresh seeds"
    most = max(1, progress.seeds_most)
    parts = [(min(100.0, 100 * progress.seeds_done / most), "")]
    if not job.state.ended:
        parts.append((min(100.0, 100 * progress.seeds_planned / most) - parts[0][0], "on"))
    note = f"{progress.seeds_done} of at most {most} seeds"
    return parts, _joined(note, "" if job.state.ended else _about(scene.left.confirm))


def _verdict(state: JobState) -> tuple[Parts, str]:
    return [(100.0 if state is JobState.SUCCEEDED else 0.0, "")], ""


def _about(left_s: float | None) -> str:
    return "" if not left_s else f"about {seconds(max(1.0, left_s))} left"


def _joined(*notes: str) -> str:
    return ", ".join(filter(None, notes))

"""The rail of a job's page: its three acts, how far each has come, and the time that is left."""

from __future__ import annotations

from dataclasses import dataclass

from whichopt.service.pages.scene import Act, Scene, act_of
from whichopt.service.states import JobState, Phase
from whichopt.service.views import ConfirmProgress

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


def rail(scene: Scene, *, time_left: str = "") -> list[Stop]:
    """Return the acts of the job; `time_left` is said of the one that it has reached."""
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
            note=", ".join(filter(None, (note, time_left if act is reached else ""))),
            current=act is reached,
            shown=act is scene.act,
            reached=order.index(act) <= order.index(reached),
        )
        for act, (parts, note) in said.items()
    ]


def _search(scene: Scene) -> tuple[Parts, str]:
    job = scene.job
    if job.phase is Phase.CONFIRM or job.state is JobState.SUCCEEDED:
        return [(100.0, "")], f"{scene.spec.asked_trials or job.progress.trials_done:,} trials"
    done, total = job.progress.trials_done, job.progress.trials_total
    share = 100 * done / total if total else 0.0
    note = f"{done:,} of {total:,} trials" if total else "not planned yet"
    return [(share, "")], note


def _confirm(scene: Scene) -> tuple[Parts, str]:
    job = scene.job
    progress = job.progress.confirm
    if progress is None:
        seeds = scene.spec.budget.confirm_seeds
        return [(0.0, "")], f"up to {seeds} fresh seeds" if not job.state.ended else ""
    if job.state is JobState.SUCCEEDED:
        return [(100.0, "")], f"{progress.seeds_done} fresh seeds"
    return [(_share(progress), "")], f"{progress.seeds_done} of at most {progress.seeds_most} fresh seeds"


def _share(progress: ConfirmProgress) -> float:
    return min(100.0, 100 * progress.seeds_done / progress.seeds_most) if progress.seeds_most else 0.0


def _verdict(state: JobState) -> tuple[Parts, str]:
    return [(100.0 if state is JobState.SUCCEEDED else 0.0, "")], ""

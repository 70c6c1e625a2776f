"""The figures of a job's page, made of what its race and its looks have; each is None if nothing is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from whichopt.service.errors import UnknownName
from whichopt.service.evidence.analysis.anytime import anytime
from whichopt.service.evidence.analysis.job_data import Attempt, JobData, Study
from whichopt.service.evidence.analysis.shapes import Anytime
from whichopt.service.figures.coordinates import Tried, parallel_coordinates
from whichopt.service.figures.figure import Figure, Line, Metric, Point
from whichopt.service.figures.odds import Odds, odds_by_look
from whichopt.service.figures.progress import Against, best_so_far
from whichopt.service.figures.tuning import Rate, default_against_tuned, lr_ranges, lr_tile
from whichopt.service.pages.job.acts.kept_looks import confirmed, looks_of
from whichopt.service.pages.job.scene import Scene
from whichopt.service.race import Race, RaceTrial
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import TrialState
from whichopt.service.views import ConfirmForecast


def searched_metric(spec: ResolvedSpec) -> Metric:
    """Return what search is measured by."""
    return Metric(spec.goal.metric, spec.goal.direction, "validation")


def judged_metric(spec: ResolvedSpec) -> Metric:
    """Return what fresh seeds are measured by."""
    return Metric(spec.goal.metric, spec.goal.direction, spec.workload.judged_split)


def label_of(shown: Scene, optimizer: str | None) -> str:
    """Return the label that is asked for; without one, the job's first.

    Raises:
        UnknownName: the job has no such optimizer.
    """
    if optimizer is None:
        return shown.spec.labels[0]
    if optimizer not in shown.spec.labels:
        raise UnknownName.of("optimizer of this job", optimizer, shown.spec.labels, field="optimizer")
    return optimizer


def odds(scene: Scene, coming: ConfirmForecast | None) -> Figure | None:
    """Draw the odds look by look, and what is expected of the pick of the next one."""
    looks = looks_of(scene)
    known = [Odds(look.seeds, look.odds) for look in looks.taken if look.odds]
    if not known or len(scene.spec.labels) < 2:
        return None
    expected = None
    if looks.coming and coming is not None and coming.pick and coming.expected_probability_best is not None:
        expected = Odds(looks.coming[0].seeds, {coming.pick: coming.expected_probability_best})
    nobody = Odds(0, dict.fromkeys(scene.spec.labels, 1 / len(scene.spec.labels)))
    return odds_by_look([nobody, *known], scene.tones, expected=expected, most=looks.most)


def default_and_tuned(scene: Scene) -> Figure | None:
    """Draw each optimizer's default against what its studies chose, on fresh seeds."""
    found = confirmed(scene)
    return default_against_tuned(found.tuned, judged_metric(scene.spec), scene.tones, worst=found.worst)


def lr(scene: Scene, labels: Sequence[str]) -> dict[str, Figure]:
    """Draw the search trials of these optimizers by their learning rate; all of the job share the axes.

    Those without such trials have no figure.
    """
    tiles = {each: _rates(scene.spec, scene.race.searched.get(each, ())) for each in scene.spec.labels}
    metric = searched_metric(scene.spec)
    ranges = lr_ranges(tiles, metric, worst=confirmed(scene).worst)
    if ranges is None:
        return {}
    return {
        label: lr_tile(label, tiles[label], metric, scene.tones, ranges) for label in labels if tiles[label]
    }


def space(scene: Scene, label: str) -> Figure | None:
    """Draw the configs of an optimizer's search as lines over its hyperparameters."""
    tried = [
        Tried(trial.config, trial.value)
        for trial in scene.race.searched.get(label, ())
        if trial.state is TrialState.COMPLETE and trial.value is not None
    ]
    own = scene.spec.optimizer(label).searched
    metric = searched_metric(scene.spec)
    return parallel_coordinates(label, tried, own, metric, scene.tones, worst=confirmed(scene).worst)


def best(scene: Scene, against: Against) -> Figure | None:
    """Draw the best value so far of each optimizer, as a mean over its studies."""
    cost = (lambda trial: float(trial.steps)) if against == "steps" else (lambda trial: trial.seconds)
    data = data_of(scene.spec, scene.race, cost)
    found = {label: anytime(data, label) for label in scene.spec.labels}
    lines = [Line(label, _points(one, against)) for label, one in found.items()]
    if not any(line.points for line in lines):
        return None
    bands = {one.band for one in found.values()}
    metric = searched_metric(scene.spec)
    return best_so_far(lines, metric, scene.tones, against=against, band=BANDS[max(bands)])


BANDS = {
    "none": "",
    "range": "The band is from the worst study to the best.",
    "bootstrap": "The band holds the mean over such studies with a chance of 90%.",
}
"""The bands of `anytime` in words."""


def _points(found: Anytime, against: Against) -> tuple[Point, ...]:
    points = found.by_trials if against == "trials" else found.by_seconds
    return tuple(Point(p.at, p.value, p.low, p.high) for p in points if p.value is not None)


def data_of(spec: ResolvedSpec, race: Race, cost: Callable[[RaceTrial], float]) -> JobData:
    """Return the search as the analysis reads it; `cost` says what a trial's seconds are."""
    sign = spec.goal.sign
    studies: dict[str, tuple[Study, ...]] = {}
    for label in spec.labels:
        rows: dict[int, list[Attempt]] = {}
        for trial in sorted(race.searched.get(label, ()), key=lambda trial: trial.number):
            if trial.state.has_result and trial.replicate is not None:
                rows.setdefault(trial.replicate, []).append(_attempt(trial, sign, cost(trial)))
        studies[label] = tuple(Study(label, r, tuple(rows[r])) for r in sorted(rows))
    return JobData(
        spec=spec, metric=spec.goal.metric, sign=sign, trials=(), studies=studies, table=None, runs={}
    )


def _attempt(trial: RaceTrial, sign: float, cost: float) -> Attempt:
    rate = trial.config.get("lr")
    done = trial.state is TrialState.COMPLETE and trial.value is not None
    return Attempt(
        origin=trial.origin,
        ending=trial.state,
        loss=sign * trial.value if done and trial.value is not None else None,
        lr=float(rate) if isinstance(rate, int | float) else None,
        seconds=cost,
    )


def _rates(spec: ResolvedSpec, trials: Sequence[RaceTrial]) -> list[Rate]:
    """The trials that have ended, each with how far behind the best of its study it is."""
    best: dict[int | None, float] = {}
    ended = [trial for trial in trials if trial.state.has_result]
    sign = spec.goal.sign
    for trial in ended:
        if trial.state is TrialState.COMPLETE and trial.value is not None:
            loss = sign * trial.value
            best[trial.replicate] = min(loss, best.get(trial.replicate, loss))
    return [_rate(trial, best, sign) for trial in ended if isinstance(trial.config.get("lr"), int | float)]


def _rate(trial: RaceTrial, best: Mapping[int | None, float], sign: float) -> Rate:
    rate = float(trial.config["lr"])
    if trial.state is not TrialState.COMPLETE or trial.value is None:
        return Rate(rate, None, None)
    least = best[trial.replicate]
    return Rate(rate, trial.value, (sign * trial.value - least) / abs(least) if least else None)

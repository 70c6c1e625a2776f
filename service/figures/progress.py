"""Figures of lines that go on: the best so far, how trials learn, the best of so many random ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from whichopt.service.figures.axes import Range, axis, fit
from whichopt.service.figures.figure import Figure, Line, Metric, Point, Spec, listed, thinned
from whichopt.service.figures.lines import HEIGHT, MOST_POINTS, line_chart

MOST_BANDS = 3
"""Bands that can be told apart; of more lines, only the two best have one."""

Against = Literal["trials", "steps", "seconds"]
AGAINST: dict[str, str] = {
    "trials": "trials of a study",
    "steps": "steps of a study",
    "seconds": "seconds of training of a study",
}


def best_so_far(
    lines: Sequence[Line],
    metric: Metric,
    tones: Mapping[str, int],
    *,
    against: Against = "trials",
    band: str = "",
    worst: float | None = None,
    width: int | None = None,
    height: int = HEIGHT,
) -> Figure:
    """Draw the best value so far of each optimizer's studies; the two leaders have a band.

    Args:
        lines: one for each optimizer, at least one with a point; `at` is in the unit of `against`.
        metric: of the values.
        tones: of each label.
        against: what the horizontal axis counts.
        band: says what the bands are, in a sentence.
        worst: what a constant predictor scores, if it is known.
        width: in pixels; None if the page says it.
        height: in pixels.
    """
    drawn = [Line(line.label, kept_steps(line.points)) for line in lines if line.points]
    leaders = _leaders(drawn, metric)
    ends = {line.label: line.points[-1] for line in drawn}
    said = "; ".join(f"{label} {end.value:.4g} after {end.at:.4g}" for label, end in ends.items())
    shown, made = _lines(
        drawn,
        metric,
        tones,
        banded=leaders,
        steps=True,
        x_title=AGAINST[against],
        y_title=f"best {metric.words} so far {metric.up}",
        whole=against != "seconds",
        worst=worst,
        width=width,
        height=height,
    )
    banded = band if any(p.low is not None for line in drawn for p in line.points) else ""
    if banded and len(drawn) > len(leaders):
        banded += f" Only {listed(sorted(leaders))}, which lead, have a band drawn."
    return Figure(
        name=f"best-by-{against}",
        title=f"Best so far, by {against}",
        caption=" ".join(
            part
            for part in (
                f"The best {metric.words} so far, as a mean over the studies of each optimizer.",
                banded,
                shown.said(metric, _edge(metric)).strip(),
            )
            if part
        ),
        alt=f"Best {metric.words} so far, by {against}: {said}.",
        spec=made,
    )


def learning_curves(
    lines: Sequence[Line],
    metric: Metric,
    tones: Mapping[str, int],
    *,
    caption: str = "The best trial of each optimizer in bold, the next ones behind. The last point counts; "
    "nobody picks an epoch.",
    title: str = "How they learn",
    x_title: str = "epochs",
    worst: float | None = None,
    width: int | None = None,
    height: int = HEIGHT,
) -> Figure:
    """Draw learning curves; those that are `quiet` lie behind, thin and without a name.

    Args:
        lines: at least one with a point; `at` is in epochs, or what `x_title` says.
        metric: of the values.
        tones: of each label.
        caption: what the lines are; what lies beyond the figure is added to it.
        title: of the figure.
        x_title: of the horizontal axis.
        worst: what a constant predictor scores, if it is known.
        width: in pixels; None if the page says it.
        height: in pixels.
    """
    drawn = [Line(line.label, thinned(line.points, MOST_POINTS), line.quiet) for line in lines if line.points]
    named = [line for line in drawn if not line.quiet]
    leaders = _leaders(named, metric) if len(named) > MOST_BANDS else {line.label for line in named}
    banded = any(point.low is not None for line in named for point in line.points)
    only = f" Only {listed(sorted(leaders))}, which end best, have a band drawn." if banded else ""
    shown, made = _lines(
        drawn,
        metric,
        tones,
        banded=leaders,
        steps=False,
        x_title=x_title,
        y_title=f"{metric.words} {metric.up}",
        whole=True,
        worst=worst,
        width=width,
        height=height,
    )
    said = "; ".join(f"{line.label} ends at {line.points[-1].value:.4g}" for line in drawn if not line.quiet)
    return Figure(
        name="curves",
        title=title,
        caption=caption + (only if len(named) > MOST_BANDS else "") + shown.said(metric, _edge(metric)),
        alt=f"Curves of {metric.words}: {said}.",
        spec=made,
    )


def expected_best(
    lines: Sequence[Line],
    metric: Metric,
    tones: Mapping[str, int],
    *,
    width: int | None = None,
    height: int = HEIGHT,
) -> Figure:
    """Draw what so many random trials would give at best, on average; `at` is their number."""
    drawn = [Line(line.label, thinned(line.points, MOST_POINTS)) for line in lines if line.points]
    shown, made = _lines(
        drawn,
        metric,
        tones,
        banded=_leaders(drawn, metric),
        steps=False,
        x_title="random trials",
        y_title=f"expected best {metric.words} {metric.up}",
        whole=True,
        worst=None,
        width=width,
        height=height,
    )
    said = "; ".join(f"{line.label} {line.points[-1].value:.4g} of {line.points[-1].at:g}" for line in drawn)
    return Figure(
        name="expected-best",
        title="Expected best of random trials",
        caption="What so many configs drawn at random from the space would give at best, on average "
        "(unbiased estimate); shown up to half of the random trials, beyond which the estimate says little."
        + shown.said(metric, _edge(metric)),
        alt=f"Expected best {metric.words} of random trials: {said}.",
        spec=made,
    )


def kept_steps(points: Sequence[Point], most: int = MOST_POINTS) -> tuple[Point, ...]:
    """Return the first point, the last, and those at which something changes; at most `most` of them."""
    changes = [
        point
        for before, point in zip([None, *points], points, strict=False)
        if before is None or (before.value, before.low, before.high) != (point.value, point.low, point.high)
    ]
    if points and changes[-1] is not points[-1]:
        changes.append(points[-1])
    return thinned(changes, most)


def _leaders(lines: Sequence[Line], metric: Metric) -> set[str]:
    last = {line.label: line.points[-1].value for line in lines}
    return set(sorted(last, key=lambda label: metric.direction.sign * last[label])[:2])


def _edge(metric: Metric) -> str:
    return "upper" if metric.is_lower_better else "lower"


def _lines(
    lines: Sequence[Line],
    metric: Metric,
    tones: Mapping[str, int],
    *,
    banded: set[str],
    steps: bool,
    x_title: str,
    y_title: str,
    whole: bool,
    worst: float | None,
    width: int | None,
    height: int,
) -> tuple[Range, Spec]:
    """Return the range of the vertical axis and the whole spec."""
    # The ends of the lines are what all is about, so they are always inside.
    shown = fit(
        [point.value for line in lines for point in line.points],
        metric,
        worst=worst,
        always=[line.points[-1].value for line in lines if not line.quiet],
    )
    return shown, line_chart(
        lines,
        tones,
        shown,
        axis(y_title, shown.ticks(6)),
        banded=banded,
        steps=steps,
        x_title=x_title,
        whole=whole,
        width=width,
        height=height,
    )

"""The figures of a report: what each is made of, and all of them drawn, on a wide page and on a phone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from whichopt.service.evidence.report import batch_figures, finalist_figures, search_figures, training_figures
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.samples import ReportSamples, samples_of
from whichopt.service.figures.figure import Figure
from whichopt.service.figures.static import drawn
from whichopt.service.figures.tones import tones
from whichopt.service.spec import TODAY

WIDE, NARROW, TILE = 530, 300, 248
"""Pixels of a figure on a wide page, on a phone, and of one of many small ones."""

MOST_SPACES = 2
"""Optimizers whose configs have a figure: the pick, and the next one of the ranking."""

Maker = Callable[[Report, dict[str, int], int], Figure | None]

MAKERS: tuple[Maker, ...] = (
    finalist_figures.config_intervals,
    finalist_figures.study_intervals,
    finalist_figures.seed_values,
    training_figures.curves,
    batch_figures.batch_sizes,
    batch_figures.batch_noise,
    training_figures.default_and_tuned,
    training_figures.seconds_used,
    training_figures.steps_to_target,
    search_figures.best_by_trials,
    search_figures.best_by_seconds,
    search_figures.expected_best,
    search_figures.probability_by_trials,
)


@dataclass(frozen=True)
class Drawing:
    """A figure with its SVG for a wide page, and for a phone if that is another one."""

    title: str
    caption: str
    wide: str
    narrow: str | None = None


@dataclass(frozen=True)
class Drawings:
    """All drawings of a report; `named` has those that there is one of."""

    named: dict[str, Drawing]
    lr: list[Drawing]
    spaces: list[Drawing]
    made: ReportSamples | None
    made_svgs: dict[str, str]
    """What the finalists' networks make, and the drawings of those that make points, by the maker's id."""


def optimizer_tones(report: Report) -> dict[str, int]:
    """Return the tone of each label that was trained, today's config among them."""
    names = {one.label: one.name for one in report.spec.optimizers}
    if report.spec.today is not None:
        names.setdefault(TODAY, report.spec.optimizer(TODAY).name)
    return tones(names)


def drawings(report: Report) -> Drawings:
    """Draw all figures that the report has something for.

    Raises:
        ReportFailed: one of them cannot be drawn, which is named.
    """
    of = optimizer_tones(report)
    wide = {figure.name: figure for make in MAKERS if (figure := make(report, of, WIDE)) is not None}
    narrow = {figure.name: figure for make in MAKERS if (figure := make(report, of, NARROW)) is not None}
    lr = {figure.name: figure for figure in search_figures.lr_tiles(report, of, TILE)}
    spaces = [_spaces(report, of, width) for width in (WIDE, NARROW)]
    made = samples_of(report, of)
    points = {} if made is None else made.figures
    svgs = drawn(
        {
            **wide,
            **lr,
            **points,
            **spaces[0],
            **{f"{name}-narrow": figure for name, figure in [*narrow.items(), *spaces[1].items()]},
        }
    )

    def both(figures: dict[str, Figure]) -> dict[str, Drawing]:
        return {
            name: Drawing(one.title, one.caption, svgs[name], svgs.get(f"{name}-narrow"))
            for name, one in figures.items()
        }

    return Drawings(
        both(wide),
        list(both(lr).values()),
        list(both(spaces[0]).values()),
        made,
        {name: svgs[name] for name in points},
    )


def _spaces(report: Report, of: dict[str, int], width: int) -> dict[str, Figure]:
    """Return the figures of the configs that were searched, of the pick and of the next best."""
    pick = report.recommendation.optimizer
    ranked = [row.optimizer for row in report.recommendation.ranking]
    order: Sequence[str] = list(dict.fromkeys([*([pick] if pick else []), *ranked]))[:MOST_SPACES]
    found = (search_figures.coordinates(report, label, of, width) for label in order)
    return {figure.name: figure for figure in found if figure is not None}

"""What the networks of a job's finalists make, as its page and its report show it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from whichopt.service import samples
from whichopt.service.figures.figure import Figure
from whichopt.service.figures.made import Extent, extent_of, points_made
from whichopt.service.samples import Maker
from whichopt.service.spec import TODAY
from whichopt.service.trials import Sample
from whichopt.service.views import Recommendation

FIRST = 2
"""Least samples that are shown at once, if there are as many."""

TITLES = {"text": "What it writes", "points": "What it makes", "images": "What it makes"}
"""The heading by kind."""


@dataclass(frozen=True)
class Made:
    """A sample to be shown: as text, as a figure if it is of points, or as a picture of `size` pixels.

    `problem` says why it cannot be shown.
    """

    maker: Maker
    whose: str
    text: str | None = None
    figure: Figure | None = None
    size: tuple[int, int] | None = None
    problem: str | None = None


def parted(makers: Sequence[Maker], found: Recommendation) -> tuple[list[Maker], list[Maker]]:
    """Return those that are shown at once, and the others.

    First are the recommended config, its optimizer's default, and today's config, and if these are not two,
    the best of the ranking, whose order the others have.
    """
    picked = _picked(found)
    by_place = {(one.optimizer, one.replicate): one for one in makers}
    wanted = [] if picked is None else [picked, (picked[0], None), (TODAY, None)]
    first = [by_place[place] for place in dict.fromkeys(wanted) if place in by_place]
    ranked = [by_place.get((row.optimizer, row.replicate)) for row in found.ranking]
    more = [one for one in ranked if one is not None and one not in first]
    first += more[: max(0, FIRST - len(first))]
    ranks = {row.optimizer: place for place, row in enumerate(found.ranking)}

    def place(one: Maker) -> tuple[int, int]:
        return ranks.get(one.optimizer, len(ranks)), -1 if one.replicate is None else one.replicate

    return first, sorted((one for one in makers if one not in first), key=place)


def whose(maker: Maker, found: Recommendation) -> str:
    """Say which config of its optimizer a maker has."""
    if maker.optimizer == TODAY:
        return "as you run it"
    is_picked = (maker.optimizer, maker.replicate) == _picked(found)
    if maker.replicate is None:
        return "recommended, its default" if is_picked else "its default"
    return "recommended" if is_picked else f"as study {maker.replicate} tuned it"


def shared_extent(known: Mapping[str, Sample]) -> Extent | None:
    """Return what the axes must show of all points among these samples; None if there are none."""
    fine = [one for one in known.values() if one.kind == "points" and samples.problem(one) is None]
    return extent_of(point for one in fine for point in samples.points(one))


def made(
    maker: Maker,
    sample: Sample,
    found: Recommendation,
    tones: Mapping[str, int],
    extent: Extent | None,
    *,
    name: str,
    width: int | None = None,
) -> Made:
    """Return a sample as it is shown.

    Args:
        maker: the finalist that made it.
        sample: what it made.
        found: the job's recommendation.
        tones: of each label.
        extent: what `shared_extent` says of all samples of the job.
        name: names its figure within a page.
        width: of its figure, in pixels; None if the page says it.
    """
    said = whose(maker, found)
    if (problem := samples.problem(sample)) is not None:
        return Made(maker, said, problem=problem)
    match sample.kind:
        case "text":
            return Made(maker, said, text=samples.text(sample))
        case "images":
            return Made(maker, said, size=samples.size(sample))
        case "points":
            assert extent is not None  # it has this sample's points
            places, title = samples.points(sample), f"{maker.optimizer}, {said}"
            drawn = points_made(maker.optimizer, places, tones, extent, name=name, title=title, width=width)
            return Made(maker, said, figure=drawn)


def _picked(found: Recommendation) -> tuple[str, int | None] | None:
    """Return label and study of the recommended config; None if nothing is recommended."""
    row = next((one for one in found.ranking if one.optimizer == found.optimizer), None)
    return None if row is None else (row.optimizer, row.replicate)

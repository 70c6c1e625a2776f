"""Whose samples are shown first, and what they are called."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders.concluded_jobs import make_recommendation
from tests.builders.jobs import make_spec
from whichopt.service.made import parted, whose
from whichopt.service.samples import Maker
from whichopt.service.spec import TODAY
from whichopt.service.views import Recommendation

Place = tuple[str, int | None]


def recommendation(pick: str | None, *ranking: Place) -> Recommendation:
    found = make_recommendation("job", make_spec())
    (row,) = found.ranking
    rows = [row.model_copy(update={"optimizer": label, "replicate": study}) for label, study in ranking]
    return found.model_copy(update={"optimizer": pick, "ranking": rows})


def makers(*places: Place) -> list[Maker]:
    return [Maker(f"{label}-{study}", label, study, "points") for label, study in places]


ALL: Any = [("sgd", None), ("sgd", 1), ("adam", 0), ("adam", None), ("adam", 1)]


@pytest.mark.parametrize(
    ("made", "pick", "ranking", "first"),
    [
        (ALL, "adam", [("adam", 1), ("sgd", 1)], [("adam", 1), ("adam", None)]),
        ([*ALL, (TODAY, None)], "adam", [("adam", 1)], [("adam", 1), ("adam", None), (TODAY, None)]),
        (ALL, "adam", [("adam", None), ("sgd", 1)], [("adam", None), ("sgd", 1)]),
        (ALL, None, [("sgd", 1), ("adam", 0)], [("sgd", 1), ("adam", 0)]),
        ([("adam", None)], "adam", [("adam", 1)], [("adam", None)]),
        ([], "adam", [("adam", 1)], []),
    ],
)
def test_the_recommended_beside_its_default_and_todays(
    made: list[Place], pick: str | None, ranking: list[Place], first: list[Place]
) -> None:
    shown, others = parted(makers(*made), recommendation(pick, *ranking))
    assert [(one.optimizer, one.replicate) for one in shown] == first
    assert {*shown, *others} == set(makers(*made))


def test_the_others_have_the_order_of_the_ranking() -> None:
    _, others = parted(makers(*ALL), recommendation("adam", ("adam", 1), ("sgd", 1)))
    assert [(one.optimizer, one.replicate) for one in others] == [("adam", 0), ("sgd", None), ("sgd", 1)]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (("adam", 1), "recommended"),
        (("adam", None), "its default"),
        (("sgd", 0), "as study 0 tuned it"),
        ((TODAY, None), "as you run it"),
    ],
)
def test_each_is_called_by_its_config(place: Place, said: str) -> None:
    assert whose(makers(place)[0], recommendation("adam", ("adam", 1), ("sgd", 0))) == said


def test_a_default_that_is_recommended_is_both() -> None:
    assert whose(makers(("adam", None))[0], recommendation("adam", ("adam", None))) == (
        "recommended, its default"
    )

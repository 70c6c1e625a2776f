"""The time that is left: each label's trials as long as they took so far, by the clock of the job's past."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.builders.jobs import make_spec
from whichopt.service.forecasts import RoundForecast, Used
from whichopt.service.pages.job.time_left import TimeLeft, time_left
from whichopt.service.states import Phase

BEGAN = datetime(2026, 11, 30, tzinfo=UTC)
USED = {("adabelief", Phase.SEARCH): Used(2, 4.0), ("sgd", Phase.SEARCH): Used(1, 1.0)}
KNOWN = RoundForecast(
    search=[], confirm=None, trial_seconds={"adabelief": 2.0, "sgd": 1.0}, finalists=["adabelief", "sgd"]
)


def test_what_is_left_takes_as_long_as_it_took() -> None:
    """Each of the two optimizers has four trials; a training second took two by the clock."""
    spec = make_spec(budget={"trials": 4, "replicates": 2, "epochs": 2, "confirm_seeds": 3})
    left = time_left(spec, USED, KNOWN, BEGAN, BEGAN + timedelta(seconds=10))
    assert left.search == pytest.approx(2 * (2 * 2.0 + 3 * 1.0))
    assert left.confirm is not None
    assert left.confirm == pytest.approx(2 * 1.5 * 6)
    assert time_left(spec, USED, None, BEGAN, BEGAN + timedelta(seconds=10)).confirm is None


def test_nothing_is_said_before_anything_is_known() -> None:
    spec = make_spec()
    assert time_left(spec, {}, None, None, None) == TimeLeft()
    assert time_left(spec, {}, None, BEGAN, BEGAN + timedelta(seconds=1)) == TimeLeft()
    # The clock was set back between the two.
    assert time_left(spec, USED, None, BEGAN, BEGAN - timedelta(seconds=1)) == TimeLeft()


def test_minutes_end_when_they_are_over() -> None:
    spec = make_spec(budget={"minutes": 5, "replicates": 2, "confirm_seeds": 3})
    left = time_left(spec, USED, KNOWN, BEGAN, BEGAN + timedelta(seconds=100))
    assert left.search is None

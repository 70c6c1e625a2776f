"""Points that networks make, on axes that all finalists share."""

from __future__ import annotations

import math

import pytest

from whichopt.service.figures.made import Extent, extent_of, points_made

RING = [(2 * math.cos(i), 2 * math.sin(i)) for i in range(200)]
TONES = {"adam": 4}


def test_the_axes_are_a_square_around_all_points() -> None:
    extent = extent_of([*RING, (2.5, 0.0)])
    assert extent is not None
    assert all(map(extent.holds, RING))
    assert extent.x[1] - extent.x[0] == pytest.approx(extent.y[1] - extent.y[0])


def test_a_stray_point_does_not_squeeze_the_rest() -> None:
    extent = extent_of([*RING, (1e6, 0.0), (0.0, -1e6)])
    assert extent is not None
    assert all(map(extent.holds, RING))
    assert extent.x[1] < 3
    drawn = points_made("adam", [*RING, (1e6, 0.0)], TONES, extent, name="made", title="adam, its default")
    assert "200 points" in drawn.caption
    assert "1 more lies outside" in drawn.caption
    assert len(drawn.spec["layer"][0]["data"]["values"]) == 200
    assert "201 points that the network makes" in drawn.alt


@pytest.mark.parametrize(
    "points", [[(1.0, 1.0)], [(1e30, -1e30)], [(0.0, 0.0)] * 5, [(0.0, 0.0), (1e-30, 0.0)]]
)
def test_a_generator_that_has_collapsed_has_axes_too(points: list[tuple[float, float]]) -> None:
    extent = extent_of(points)
    assert extent is not None
    assert extent.x[0] < extent.x[1]
    drawn = points_made("adam", points, TONES, extent, name="made", title="adam")
    assert len(drawn.spec["layer"][0]["data"]["values"]) == len(points)


def test_nothing_has_no_axes() -> None:
    assert extent_of([]) is None
    nothing = points_made("adam", [], TONES, Extent((0, 1), (0, 1)), name="made", title="adam")
    assert "0 points" in nothing.caption

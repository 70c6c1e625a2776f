"""Every figure: right is better, colors and shapes are the optimizers' own, and words say what it shows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest

from whichopt.service.figures import coordinates, costs, intervals, lines, odds, progress, tuning
from whichopt.service.figures.figure import Figure, Line, Metric, Point
from whichopt.service.figures.style import SCHEMA
from whichopt.service.figures.tones import color, tones
from whichopt.service.space import Categorical, Float, Space
from whichopt.service.states import Direction

LOSS = Metric("nll", Direction.MINIMIZE, "test")
SCORE = Metric("accuracy", Direction.MAXIMIZE, "test")
LABELS = ("adabelief", "sgd", "<b>&")
TONES = tones({"adabelief": "adabelief", "sgd": "sgd", "<b>&": "adam"})
SPACE: Space = {"lr": Float(low=1e-5, high=0.1, scale="log"), "nesterov": Categorical(choices=(False, True))}


def line(label: str, count: int, *, quiet: bool = False) -> Line:
    points = (Point(i + 1, 1 / (i + 1), 0.5 / (i + 1), 2 / (i + 1)) for i in range(count))
    return Line(label, tuple(points), quiet)


def tried(count: int) -> list[coordinates.Tried]:
    return [
        coordinates.Tried({"lr": 10 ** (-1 - i % 4), "nesterov": i % 2 == 0}, 0.1 + 0.01 * i)
        for i in range(count)
    ]


def rates() -> dict[str, list[tuning.Rate]]:
    points = [tuning.Rate(10.0**-i, 0.1 * (i + 1), 0.2 * i) for i in range(5)]
    return {label: [*points, tuning.Rate(0.5, None, None)] for label in LABELS}


def every(metric: Metric, width: int | None = None) -> dict[str, Figure]:
    """Return one figure of each kind."""
    lines = [line(label, 12) for label in LABELS]
    bounded = [intervals.Bounded(label, 0.1 * i, 0.0, 0.3) for i, label in enumerate(LABELS, 1)]
    chances = {label: 0.5**i for i, label in enumerate(LABELS, 1)}
    ranges = tuning.lr_ranges(rates(), metric)
    assert ranges is not None
    found: dict[str, Figure | None] = {
        "best": progress.best_so_far(lines, metric, TONES, width=width),
        "seconds": progress.best_so_far(lines, metric, TONES, against="seconds", width=width),
        "curves": progress.learning_curves([*lines, line("sgd", 9, quiet=True)], metric, TONES, width=width),
        "expected": progress.expected_best(lines, metric, TONES, width=width),
        "odds": odds.odds_by_look(
            [odds.Odds(4, chances), odds.Odds(6, chances)],
            TONES,
            expected=odds.Odds(10, chances),
            most=10,
            width=width,
        ),
        "advice": odds.odds_by_trials([odds.Odds(i, chances) for i in (1, 2, 3)], TONES, width=width),
        "chance": odds.chance_by_lead(
            [
                odds.Chances("4 seeds", ((0.0, 0.05), (1.0, 0.4), (3.0, 0.9))),
                odds.Chances("10 seeds", ((0.0, 0.05), (1.0, 0.8), (3.0, 1.0)), is_own=True),
            ],
            width=width,
        ),
        "tuned": tuning.default_against_tuned(
            [tuning.Tuned(label, 0.9, 0.2) for label in LABELS], metric, TONES, width=width
        ),
        "lr": tuning.lr_tile("sgd", rates()["sgd"], metric, TONES, ranges, width=width),
        "space": coordinates.parallel_coordinates("sgd", tried(20), SPACE, metric, TONES, width=width),
        "finalists": intervals.finalists([bounded, bounded], metric, TONES, level=0.95, width=width),
        "behind": intervals.behind_the_best(
            bounded,
            metric,
            TONES,
            name="configs",
            title="Configs",
            caption="How far behind the best each is.",
            width=width,
        ),
        "seeds": intervals.seed_values(
            {label: [0.1, 0.2, 0.3] for label in LABELS}, metric, TONES, width=width
        ),
        "used": costs.seconds_used([costs.Used(label, 2.0, 1.0) for label in LABELS], TONES, width=width),
        "target": costs.steps_to_target(
            [costs.Reached(label, (10, 20, None), 20) for label in LABELS], metric, 0.2, TONES, width=width
        ),
    }
    return {name: figure for name, figure in found.items() if figure is not None}


def encodings(spec: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for layer in spec["layer"]:
        yield from layer["encoding"].items()


@pytest.mark.parametrize("metric", [LOSS, SCORE])
def test_every_figure_is_plain_json_with_words(metric: Metric) -> None:
    figures = every(metric)
    assert len(figures) == 15
    for name, figure in figures.items():
        spec = json.loads(json.dumps(figure.spec, allow_nan=False))
        assert spec["$schema"] == SCHEMA
        assert spec["description"] == figure.alt
        assert len(figure.alt) > 20, name
        assert len(figure.caption) > 20, name
        assert "—" not in figure.caption + figure.alt
        colors = {
            one for _, channel in encodings(spec) for one in (channel.get("scale") or {}).get("range", [])
        }
        assert all(one.startswith("var(--o") or one in SHAPES for one in colors), name


SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")


@pytest.mark.parametrize("name", ["finalists", "seeds", "tuned"])
def test_right_is_better_whatever_the_metric_is(name: str) -> None:
    for metric, reverse in ((LOSS, True), (SCORE, False)):
        channels = [channel for key, channel in encodings(every(metric)[name].spec) if key == "x"]
        assert {channel["scale"]["reverse"] for channel in channels} == {reverse}
        assert {channel["axis"]["title"] for channel in channels} == {f"{metric.words}, better to the right"}


def test_the_best_is_at_the_right_of_those_behind_it() -> None:
    for metric in (LOSS, SCORE):
        channels = [channel for key, channel in encodings(every(metric)["behind"].spec) if key == "x"]
        assert all(channel["scale"]["reverse"] for channel in channels)


def test_optimizers_have_their_own_colors_everywhere() -> None:
    for name, figure in every(LOSS).items():
        for key, channel in encodings(figure.spec):
            if key in ("color", "stroke") and "scale" in channel:
                of = dict(zip(channel["scale"]["domain"], channel["scale"]["range"], strict=True))
                assert all(of[label] == color(TONES[label]) for label in of), name


def test_a_line_has_at_most_60_points_its_last_one_among_them() -> None:
    figure = progress.best_so_far([line("sgd", 5000)], LOSS, TONES)
    rows = next(one["data"]["values"] for one in figure.spec["layer"] if one["mark"]["type"] == "line")
    assert len(rows) <= lines.MOST_POINTS
    assert rows[-1]["x"] == 5000


def test_only_the_two_leaders_have_a_band() -> None:
    lines = [
        Line(label, (Point(1, v, v / 2, 2 * v), Point(2, v, v / 2, 2 * v)))
        for label, v in zip(LABELS, (3.0, 1.0, 2.0), strict=True)
    ]
    figure = progress.best_so_far(lines, LOSS, TONES, band="The band is a band.")
    area = next(one for one in figure.spec["layer"] if one["mark"]["type"] == "area")
    assert {row["o"] for row in area["data"]["values"]} == {"sgd", "<b>&"}
    assert "Only <b>& and sgd, which lead, have a band drawn." in figure.caption
    by_score = progress.best_so_far(lines, SCORE, TONES, band="The band is a band.")
    assert "adabelief" in by_score.caption


def test_counts_have_whole_ticks_and_a_width_decides_how_many() -> None:
    for width in (None, 300, 900):
        spec = every(LOSS, width)["best"].spec
        x = next(channel for key, channel in encodings(spec) if key == "x" and "axis" in channel)
        assert all(tick == int(tick) for tick in x["axis"]["values"])
        wide = spec["width"] + spec["padding"]["left"] + spec["padding"]["right"]
        assert wide == (width or 480)


def test_what_diverged_is_left_out_and_named() -> None:
    figure = tuning.default_against_tuned(
        [tuning.Tuned("sgd", 0.5, 0.2), tuning.Tuned("adabelief", None, 0.1)], LOSS, TONES
    )
    assert figure is not None
    assert "Not shown, as runs diverged: adabelief." in figure.caption
    assert tuning.default_against_tuned([tuning.Tuned("sgd", None, None)], LOSS, TONES) is None


def test_the_shaded_lr_is_that_of_configs_near_the_best() -> None:
    figure = every(LOSS)["lr"]
    # An excess of 0 and of 0.2 is within a quarter; 0.4 is not.
    assert "2 of 5 complete trials are within 25% of their study's best, with lr from 0.1 to 1" in figure.alt
    assert "Crosses: 1 without a value." in figure.caption


@pytest.mark.parametrize("metric", [LOSS, SCORE])
def test_the_value_is_the_last_axis_and_up_is_better(metric: Metric) -> None:
    trials = tried(20)
    figure = coordinates.parallel_coordinates("sgd", trials, SPACE, metric, TONES)
    assert figure is not None
    rows = [row for one in figure.spec["layer"] for row in one["data"]["values"] if row.get("best")]
    assert len({row["t"] for row in rows}) == 4, "a fifth of 20"
    values = [row["h"] for row in rows if row["n"] == len(SPACE)]
    assert min(values) > 0.8
    texts = [row["s"] for one in figure.spec["layer"] for row in one["data"]["values"] if "s" in row]
    assert {"lr", "nesterov", "nll" if metric is LOSS else "accuracy"} <= set(texts)
    assert "1e-5" in texts


def test_of_many_trials_an_lr_tile_draws_some_the_best_among_them() -> None:
    many = [tuning.Rate(10.0 ** -(i % 5), 1.0 + i, 0.01 * i) for i in range(1000)]
    ranges = tuning.lr_ranges({"sgd": many}, LOSS)
    assert ranges is not None
    figure = tuning.lr_tile("sgd", many, LOSS, TONES, ranges)
    rows = figure.spec["layer"][-1]["data"]["values"]
    assert len(rows) == tuning.MOST_MARKS
    assert min(row["v"] for row in rows) == 1.0
    assert "26 of 1000 complete trials" in figure.caption
    assert "Not all are drawn" in figure.caption


def test_too_few_trials_have_no_coordinates() -> None:
    assert coordinates.parallel_coordinates("sgd", tried(1), SPACE, LOSS, TONES) is None
    assert coordinates.parallel_coordinates("sgd", tried(9), {}, LOSS, TONES) is None


def test_thousands_of_trials_are_not_all_drawn() -> None:
    figure = coordinates.parallel_coordinates("sgd", tried(5000), SPACE, LOSS, TONES)
    assert figure is not None
    assert "worst are left out" in figure.caption
    assert len(json.dumps(figure.spec)) < 250_000


def test_a_bar_that_goes_on_has_a_head_and_its_optimizer_is_named() -> None:
    rows = [intervals.Bounded(label, 0.1, 0.0, 0.2) for label in LABELS[:2]]
    figure = intervals.behind_the_best(
        [*rows, intervals.Bounded("<b>&", 0.1, 0.0, 90.0)], LOSS, TONES, name="x", title="X", caption="C."
    )
    assert figure.caption == "C. Arrowheads: the interval goes on (<b>&)."
    heads = [one for one in figure.spec["layer"] if one["mark"].get("shape", "").startswith("M")]
    assert [row["o"] for one in heads for row in one["data"]["values"]] == ["<b>&"]


def test_the_forecast_is_dotted_and_said() -> None:
    figure = every(LOSS)["odds"]
    dotted = [one for one in figure.spec["layer"] if "strokeDash" in one["mark"]]
    assert len(dotted) == 1
    assert "Dotted: what the look after 10 seeds is expected to say" in figure.caption


def test_runs_that_never_reached_the_target_are_counted() -> None:
    figure = every(LOSS)["target"]
    assert "×: runs that never had it within the budget." in figure.caption
    assert costs.steps_to_target([costs.Reached("sgd", (None,), None)], LOSS, 0.1, TONES) is None


def test_odd_values_are_drawn_all_the_same() -> None:
    same = Line("sgd", (Point(1, 0.5), Point(1, 0.5)))
    for figure in (
        progress.best_so_far([same], LOSS, TONES),
        intervals.behind_the_best(
            [intervals.Bounded("sgd", 0.0, 0.0, 0.0)], LOSS, TONES, name="x", title="X", caption="C"
        ),
        intervals.finalists([[intervals.Bounded("sgd", 0.0, None, None)]], LOSS, TONES, level=0.95),
        costs.seconds_used([costs.Used("sgd", 0.0, 0.0)], TONES),
        odds.odds_by_look([odds.Odds(4, {"sgd": 1.0})], TONES),
    ):
        assert "NaN" not in json.dumps(figure.spec)
        assert math.isfinite(figure.spec["width"])

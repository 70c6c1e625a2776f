"""Figures of batches that grow: powers of two, a line at what is allowed, and what they did in words."""

from __future__ import annotations

import json
import math

import pytest

from whichopt.service.figures.batches import Grown, batch_noise, batch_sizes
from whichopt.service.figures.figure import Figure
from whichopt.service.figures.tones import tones

TONES = tones({"adadagrad": "adadagrad", "sgd": "sgd"})
RUNS = "fresh-seed runs"


def grown(label: str = "adadagrad", most: int = 536, noise: float = 1.5, runs: int = 3) -> Grown:
    sizes = [[(1000 * i, 32.0 * 2**i + 8 * run) for i in range(1, 5)] for run in range(runs)]
    return Grown(
        label, 32, most, sizes, [[(at, noise / (run + 1)) for at, _ in sizes[0]] for run in range(runs)]
    )


def marks(figure: Figure, kind: str) -> list[dict[str, float]]:
    layers = [one for one in figure.spec["layer"] if one["mark"]["type"] == kind]
    return [row for one in layers for row in one["data"]["values"]]


@pytest.mark.parametrize("width", [None, 300, 530])
def test_a_batch_starts_at_its_first_size_and_each_doubling_is_as_far(width: int | None) -> None:
    found = batch_sizes([grown()], TONES, runs=RUNS, width=width)
    line = marks(found, "line")
    assert [(row["x"], row["v"]) for row in line] == [
        (0, 32),
        (1000, 72),
        (2000, 136),
        (3000, 264),
        (4000, 520),
    ]
    y = next(one for one in found.spec["layer"] if one["mark"]["type"] == "line")["encoding"]["y"]
    assert y["scale"]["type"] == "log"
    assert y["axis"]["values"] == [32, 64, 128, 256, 512]
    assert json.loads(json.dumps(found.spec)) == found.spec


def test_words_tell_how_far_a_batch_grew() -> None:
    found = batch_sizes([grown(), grown("sgd", most=520)], TONES, runs=RUNS)
    assert found.caption.startswith(
        "The batch of adadagrad grew from 32 to 520 examples; that of sgd grew from 32 to 520 examples, the "
        "most it may have."
    )
    assert "the band holds all of them" in found.caption


def test_a_batch_that_never_grew_is_drawn_too() -> None:
    still = Grown("sgd", 32, 512, [[(100, 32.0), (200, 32.0)]], [[(100, 0.2), (200, 0.3)]])
    found = batch_sizes([still], TONES, runs="best trial")
    assert found.caption.startswith("The batch of sgd stayed at 32 examples. Shown is the best trial.")
    assert "read when a run is evaluated" in found.caption, "a line that jumps is no jump of the batch"
    assert [row["v"] for row in marks(found, "line")] == [32, 32, 32]


def test_a_line_is_a_size_that_some_run_had_and_its_band_holds_all_runs() -> None:
    two = Grown("sgd", 32, 512, [[(100, 64.0)], [(100, 256.0)]], [[], []])
    (_, row) = marks(batch_sizes([two], TONES, runs=RUNS), "line")
    assert (row["v"], row["low"], row["high"]) == (64, 64, 256)


def test_noise_has_a_line_at_what_is_allowed() -> None:
    found = batch_noise([grown()], TONES, runs=RUNS)
    assert found is not None
    assert marks(found, "rule") == [{"v": 1.0}]
    assert {row["v"] for row in marks(found, "line")} == {0.75}
    assert "adadagrad ends at 0.75" in found.alt


@pytest.mark.parametrize("noise", [0.0, 1e-9, 1e12])
def test_noise_that_no_axis_holds_is_drawn_at_the_edge(noise: float) -> None:
    found = batch_noise([grown(noise=noise)], TONES, runs=RUNS)
    assert found is not None
    assert all(math.isfinite(row["v"]) and row["v"] > 0 for row in marks(found, "line"))
    assert "drawn at the edge" in found.caption


def test_without_a_test_there_is_no_figure_of_noise() -> None:
    untested = Grown("sgd", 32, 512, [[(100, 32.0)]], [[]])
    assert batch_noise([untested], TONES, runs=RUNS) is None
    assert batch_noise([], TONES, runs=RUNS) is None

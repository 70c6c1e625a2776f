"""The benchmark of the reader: both processes run, and only a table of some size is judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.intake.__main__ import FEWEST_ROWS, MOST, Cost, least, main, verdict

PANDAS = Cost(seconds=1.0, cpu=1.2, peak=500)


def test_both_read_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--rows=2000", "--repeats=1", f"--json={tmp_path / 'figures.json'}"])
    assert "2,000 rows by 20 columns" in capsys.readouterr().out
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["rows"] == 2000
    for who in ("pandas", "reader"):
        assert min(figures[who].values()) > 0


@pytest.mark.parametrize(
    ("rows", "seconds", "wrong"),
    [(FEWEST_ROWS, MOST, False), (FEWEST_ROWS, MOST + 0.1, True), (FEWEST_ROWS - 1, 9.0, False)],
)
def test_the_reader_may_take_some_times_of_pandas(rows: int, seconds: float, wrong: bool) -> None:
    found = verdict(rows, PANDAS, Cost(seconds, 2.0, 400))
    assert (found is not None) == wrong


def test_the_lowest_of_each_figure_counts() -> None:
    assert least([Cost(1, 5, 9), Cost(2, 4, 8), Cost(3, 6, 7)]) == Cost(1, 4, 7)

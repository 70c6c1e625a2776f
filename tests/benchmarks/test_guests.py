"""The benchmark of guests runs, and what it measures is left as it was."""

from __future__ import annotations

from pathlib import Path

from benchmarks.guests.__main__ import measure


def test_nothing_is_left_of_its_trials(tmp_path: Path) -> None:
    outcome = measure(10, tmp_path)
    assert outcome.after.descriptors == outcome.before.descriptors
    assert outcome.after.children == outcome.before.children
    assert outcome.after.files == 0
    assert outcome.guest_ms > 0

"""The command on the cost of a step writes what it measured, and finds the state that entries say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.step_cost.__main__ import LARGE, SIZES, alone, kept, main
from whichopt.service.catalog.optimizer_entry import OptimizerEntry
from whichopt.service.catalog.optimizers import OPTIMIZERS, optimizer


def test_the_command_writes_what_it_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    main(["--quick", "--repeats", "1", "--json", str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text())["optimizers"]
    by_name = {row["optimizer"]: row for row in found}
    assert set(by_name) == {"adamw", "sgd", "soap", "adagradnorm", "schedulefree_adamw"}
    for row in found:
        base = by_name["adamw"]
        for size in ("small", "stacked", "large"):
            if row[f"{size}_ms"] is not None:
                assert row[f"{size}_ratio"] == pytest.approx(row[f"{size}_ms"] / base[f"{size}_ms"])
    assert by_name["schedulefree_adamw"]["stacked_ms"] is None
    out = capsys.readouterr().out
    assert "2 of 5 are stepped in a stack by their class, over views" in " ".join(out.split())
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("entry", OPTIMIZERS, ids=lambda entry: entry.name)
def test_no_default_keeps_more_than_the_entry_says(entry: OptimizerEntry) -> None:
    """Of a square matrix; that a switch or momentum brings it up to that, the catalog's conformance sees."""
    assert kept(alone(entry, ((24, 24),))) <= entry.state_bytes


def test_what_is_not_square_makes_soap_and_muon_keep_more() -> None:
    """SOAP two squares of each side beside its two averages, Muon two averages of what is no matrix."""
    assert kept(alone(optimizer("soap"), ((64, 16),))) == 8 + 2 * 4 * (64**2 + 16**2) / (64 * 16)
    assert kept(alone(optimizer("muon"), ((10, 10), (100,)))) == (4 + 8) / 2
    longest = optimizer("soap").build.fixed["max_precondition_dim"]
    assert isinstance(longest, int)
    assert max(max(shape) for shape in SIZES[LARGE]) <= longest

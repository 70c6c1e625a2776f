"""The command on the networks for images writes what it has measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.networks.__main__ import NETWORKS, main


def test_the_networks_command_writes_what_it_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = torch.get_num_threads()
    main(["--quick", "--repeats", "1", "--json", str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text())
    assert [one["network"] for one in found["networks"]] == list(NETWORKS)
    for one in found["networks"]:
        assert one["ratio"] == pytest.approx(one["solo_ms"] / one["stacked_ms"])
        assert one["params"] > 0
    assert "densenet121" in capsys.readouterr().out
    assert torch.get_num_threads() == threads

"""The command on networks by their layers writes what it has measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.layers.__main__ import NETWORKS, main


def test_the_layers_command_writes_what_it_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = torch.get_num_threads()
    main(["--quick", "--repeats", "1", "--json", str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text())
    assert [one["network"] for one in found["networks"]] == list(NETWORKS)
    for one in found["networks"]:
        assert one["ratio"] == pytest.approx(one["solo_ms"] / one["stacked_ms"])
        assert one["params"] > 0
    assert "small residual network of images" in capsys.readouterr().out
    assert torch.get_num_threads() == threads

"""The command on sizes of cohorts writes what it has measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmarks.cohort_size.__main__ import main


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small steps on two threads take many times as long where others want the cores as well."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
def test_the_size_command_writes_what_it_measured(tmp_path: Path) -> None:
    files = ["--json", str(tmp_path / "found.json"), "--plot", str(tmp_path / "found.png")]
    main(["--quick", "--executor", "solo", "--repeats", "1", *files])
    found = json.loads((tmp_path / "found.json").read_text())
    assert {one["model"] for one in found["by_size"]} == {"mlp", "cnn"}
    assert [one["trials"] for one in found["by_trials"]] == [8, 32]
    assert all(one["seconds"] > 0 for one in found["by_steps"])
    with Image.open(tmp_path / "found.png") as image:
        image.verify()

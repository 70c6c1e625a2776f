"""A report's comparison, repeated on seeds that no job has: which arms, which intervals, and what holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from tests.builders.reports import trained_report, with_trials
from whichopt.service.errors import InvalidQuery, UnknownName
from whichopt.service.evidence.report.document import Report
from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import TrialPlan, TrialResult
from whichopt.workers import arms
from whichopt.workers.arms import Comparison, compare
from whichopt.workers.rerun import main
from whichopt.workers.retrained import Retrained


@pytest.fixture(scope="module")
def report() -> Report:
    return trained_report()


def with_today(report: Report) -> Report:
    """The report with a run of a config that is used today, as such a job has it."""
    run = next(one for one in report.trials if one.plan.phase is Phase.CONFIRM)
    spec = report.spec.model_copy(update={"executors": {**(report.spec.executors or {}), "today": "stacked"}})
    today = run.model_copy(update={"plan": run.plan.model_copy(update={"label": "today"})})
    return with_trials(report, [*report.trials, today]).model_copy(update={"spec": spec})


@pytest.mark.bits
def test_arms_are_trained_side_by_side_on_seeds_that_the_report_does_not_have(report: Report) -> None:
    found = compare(report, ["winner", "runner-up", "default"], new_seeds=3)
    assert [one.arm for one in found.arms] == ["winner", "runner-up", "default"]
    pick, other, default = found.arms
    told = report.recommendation
    assert (pick.optimizer, default.optimizer) == (told.optimizer, told.optimizer)
    assert pick.config == told.config
    assert other.optimizer == next(row.optimizer for row in told.ranking if row.optimizer != told.optimizer)
    reported = {one.result.value for one in report.trials if one.result is not None}
    assert not reported & {value for one in found.arms for value in one.values}
    assert found.unlike == []
    again = compare(report, ["default", "runner-up"], new_seeds=3)
    assert {one.arm: one.values for one in again.arms} == {one.arm: one.values for one in found.arms}
    other_seeds = compare(report, ["default"], new_seeds=3, seed=1)
    assert not set(other_seeds.arms[0].values) & set(pick.values), "whoever asks has chosen the seeds"


def test_what_is_used_today_is_an_arm_if_the_job_has_it(report: Report) -> None:
    found = compare(with_today(report), ["winner", "today"], new_seeds=2)
    assert [one.optimizer for one in found.arms] == [report.recommendation.optimizer, "today"]
    assert "today's config" in found.statement
    with pytest.raises(UnknownName, match=r"which has winner, runner-up, default \(its job was not told"):
        compare(report, ["today"])


def test_arms_that_there_are_not_and_too_few_of_them_are_refused(report: Report) -> None:
    with pytest.raises(UnknownName, match="no arm 'second' in this report, which has winner, runner-up"):
        compare(report, ["winner", "second"])
    for few in (["winner"], [], ["default", "default"]):
        with pytest.raises(InvalidQuery, match="is compared with other arms, each named once"):
            compare(report, few)
    with pytest.raises(InvalidQuery, match="--new-seeds is 1, but a comparison needs 2 or more"):
        compare(report, ["default"], new_seeds=1)


# -- judged --------------------------------------------------------------------------------------------


def told_of(
    report: Report, monkeypatch: pytest.MonkeyPatch, values: Sequence[Sequence[float | None]]
) -> Comparison:
    """What is said of arms that give these values."""
    like = next(one.result for one in report.trials if one.state is TrialState.COMPLETE)
    assert like is not None

    def given(_: Report, plans: Sequence[TrialPlan], **__: Any) -> Retrained:
        flat = [value for row in values for value in row]
        assert len(plans) == len(flat)
        results = [
            like.model_copy(
                update={
                    "value": value,
                    "state": TrialState.DIVERGED if value is None else TrialState.COMPLETE,
                }
            )
            for value in flat
        ]
        return Retrained([TrialResult.model_validate(one) for one in results], report.environments[0])

    monkeypatch.setattr(arms, "retrain", given)
    names = ["winner", "runner-up", "default"][: len(values)]
    return compare(report, names, new_seeds=len(values[0]))


def test_the_intervals_are_students_and_hold_together(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    winner, second, default = [0.2, 0.3, 0.25, 0.28], [0.5, 0.62, 0.54, 0.6], [0.21, 0.29, 0.27, 0.28]
    found = told_of(report, monkeypatch, [winner, second, default])
    for lead, other in zip(found.leads, (second, default), strict=True):
        gaps = [theirs - ours for ours, theirs in zip(winner, other, strict=True)]
        reach = float(stats.t.ppf(1 - 0.05 / 4, 3)) * float(stats.tstd(gaps)) / 2
        assert (lead.low, lead.high) == pytest.approx((sum(gaps) / 4 - reach, sum(gaps) / 4 + reach))
    assert found.holds
    assert "is better than the runner-up" in found.statement
    assert "cannot be told apart" in found.statement
    assert found.statement.endswith("paired, together at 95%.")


def test_it_does_not_hold_if_another_arm_is_better(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    found = told_of(report, monkeypatch, [[0.5, 0.62, 0.54], [0.2, 0.3, 0.25]])
    assert not found.holds
    assert "It does not hold: on 3 new seeds" in found.statement
    assert "is worse than the runner-up" in found.statement


def test_a_run_that_diverges_is_said_and_breaks_only_what_is_recommended(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = told_of(report, monkeypatch, [[0.5, None], [0.2, 0.3]])
    assert not broken.holds
    assert broken.leads[0].mean is None
    assert "diverged on 1" in broken.statement
    assert told_of(report, monkeypatch, [[0.2, 0.3], [None, None]]).holds


def test_the_command_prints_a_column_an_arm(
    report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    path.write_text(report.model_dump_json())
    assert main([str(path), "--arms", "runner-up, default", "--new-seeds", "2", "--json"]) in (0, 1)
    assert json.loads(capsys.readouterr().out)["arms"][0]["arm"] == "winner"
    main([str(path), "--arms=default", "--new-seeds=2"])
    out = capsys.readouterr().out
    assert "test nll on new seeds, lower is better" in out
    assert out.count("new ") >= 3
    assert main([str(path), "--arms=today"]) == 2
    assert "has winner, runner-up, default" in capsys.readouterr().err

"""A reported config trained again: the same bits here, and new seeds judged by a prediction interval."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from scipy import stats

from tests.builders.present import present
from tests.builders.reports import trained_report, with_trials
from whichopt.service.catalog import datasets, optimizers
from whichopt.service.catalog.optimizer_entry import Build, OptimizerEntry
from whichopt.service.errors import InvalidReport
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.files import read_report
from whichopt.service.states import Phase
from whichopt.workers.products import mode
from whichopt.workers.rerun import main, prediction_interval, rerun

EARLIER = Path(__file__).parents[1] / "earlier"


@pytest.fixture(scope="module")
def report() -> Report:
    return trained_report()


@pytest.mark.bits
def test_a_like_machine_gives_the_same_bits(report: Report) -> None:
    found = rerun(report, new_seeds=3)
    assert {one.outcome for one in found.repeated} == {"same bits"}
    assert [one.seed for one in found.repeated] == list(range(report.recommendation.all_seeds))
    assert len({one.value for one in found.new}) == 3
    assert not {one.value for one in found.new} & {one.reported for one in found.repeated}
    assert found.interval is not None
    low, high = found.interval
    assert all(one.inside == (one.value is not None and low <= one.value <= high) for one in found.new)
    assert found.holds == all(one.inside for one in found.new)
    assert found.unlike == []


def test_an_invented_value_is_not_repeated(report: Report) -> None:
    """One reported test value moved by a standard deviation of the seeds: training again says that."""
    pick = rerun(report, new_seeds=0)
    values = [one.reported for one in pick.repeated if one.reported is not None]
    moved = values[0] + float(stats.tstd(values))
    trials = [
        trial.model_copy(update={"result": trial.result.model_copy(update={"value": moved})})
        if trial.result is not None and trial.plan.phase is Phase.CONFIRM and trial.result.value == values[0]
        else trial
        for trial in report.trials
    ]
    found = rerun(with_trials(report, trials), new_seeds=0)
    assert not found.holds
    assert [one.outcome for one in found.repeated].count("differs") == 1


def test_the_prediction_interval_is_students() -> None:
    """One future value: the textbook's interval. More: the same with the error shared out among them."""
    values = [1.0, 2.0, 4.0, 3.5, 2.5]
    n, mean, spread = 5, 2.6, float(stats.tstd(values))
    for future in (1, 4):
        reach = float(stats.t.ppf(1 - 0.05 / (2 * future), n - 1)) * spread * (1 + 1 / n) ** 0.5
        assert prediction_interval(values, future) == pytest.approx((mean - reach, mean + reach), rel=1e-12)
    assert prediction_interval([1.0], 3) is None


@pytest.mark.parametrize("seeds", [3, 5])
def test_few_seeds_are_said_to_predict_little(report: Report, seeds: int) -> None:
    pick = report.recommendation.optimizer
    few = [
        trial
        for trial in report.trials
        if trial.plan.phase is not Phase.CONFIRM or trial.plan.label != pick or trial.plan.number < seeds
    ]
    statement = rerun(with_trials(report, few), new_seeds=1).statement
    assert "gave the same bits. Of 1 new seeds" in statement or "tolerance. Of 1 new seeds" in statement
    assert ("seeds this interval says little" in statement) == (seeds == 3)


def test_a_report_without_its_runs_cannot_be_run(report: Report) -> None:
    with pytest.raises(InvalidReport, match="no confirm runs of what it recommends"):
        rerun(with_trials(report, report.trials[:1]))


def test_a_report_of_an_unknown_mode_is_compared_by_the_tolerance() -> None:
    """One of version 0.1, whose products were those of MKL without its reproducible mode."""
    earlier = read_report(EARLIER / "0.1" / "reports" / "finished.json")
    assert {environment.mkl_cbwr for environment in earlier.environments} == {None}
    found = rerun(earlier, new_seeds=0)
    assert found.holds
    assert found.tolerance is not None
    assert f"mkl_cbwr: unknown there, {mode()} here" in found.unlike


@pytest.mark.bits
def test_the_command_prints_what_it_found(
    report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    path.write_text(report.model_dump_json())
    assert main([str(path), "--new-seeds", "0"]) == 0
    out = capsys.readouterr().out
    assert out.count("same bits") == report.recommendation.all_seeds + 1  # a row each, and the statement
    assert main([str(path), "--new-seeds", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["holds"] is True
    assert main([str(tmp_path / "none.json")]) == 2
    assert "cannot read" in capsys.readouterr().err


def test_a_report_that_recommends_nothing_has_no_config_to_train_again(report: Report) -> None:
    nothing = {"verdict": "nothing", "optimizer": None, "config": None, "value": None, "snippet": None}
    changed = report.recommendation.model_copy(update=nothing)
    with pytest.raises(InvalidReport, match="recommends nothing"):
        rerun(report.model_copy(update={"recommendation": changed}))


def _recommended(report: Report) -> str:
    return report.spec.optimizer(present(report.recommendation.optimizer)).name


def _edit(
    monkeypatch: pytest.MonkeyPatch, name: str, edit: Callable[[OptimizerEntry], OptimizerEntry]
) -> None:
    changed = tuple(edit(entry) if entry.name == name else entry for entry in optimizers.OPTIMIZERS)
    monkeypatch.setattr(optimizers, "OPTIMIZERS", changed)


def test_an_optimizer_that_the_catalog_lacks_cannot_be_run(
    report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no answer to whether the report holds (1): it cannot be said here (2)."""
    path, name = tmp_path / "report.json", _recommended(report)
    path.write_text(report.model_dump_json())
    others = tuple(entry for entry in optimizers.OPTIMIZERS if entry.name != name)
    monkeypatch.setattr(optimizers, "OPTIMIZERS", others)
    assert main([str(path)]) == 2
    assert f"the runs are of {name!r}, which this version does not have" in capsys.readouterr().err


def test_an_optimizer_that_is_made_in_another_way_is_not_taken_for_the_same(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = Build(target="torch.optim.Adagrad")
    _edit(monkeypatch, _recommended(report), lambda entry: replace(entry, build=build))
    with pytest.raises(InvalidReport, match="makes in another way"):
        rerun(report, new_seeds=0)


def test_other_facts_of_the_optimizer_are_said(
    report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.json"
    path.write_text(report.model_dump_json())
    _edit(monkeypatch, _recommended(report), lambda entry: replace(entry, source="another paper"))
    assert main([str(path), "--new-seeds", "0"]) == 0
    assert f"says otherwise of {report.recommendation.optimizer}: source." in capsys.readouterr().out


def test_a_dataset_that_the_catalog_lacks_cannot_be_run(
    report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.json"
    path.write_text(report.model_dump_json())
    others = tuple(entry for entry in datasets.DATASETS if entry.name != "wine")
    monkeypatch.setattr(datasets, "DATASETS", others)
    assert main([str(path)]) == 2
    assert "there is no dataset 'wine'" in capsys.readouterr().err

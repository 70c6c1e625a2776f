"""The values by example in a report, or in a file beside it: read back, verified, and named if forged."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from tests.builders.reports import trained_report
from whichopt import read_report, verify
from whichopt.service.by_example import packed, read, written
from whichopt.service.errors import InvalidReport
from whichopt.service.evidence.report import beside
from whichopt.service.evidence.report.beside import set_apart
from whichopt.service.evidence.report.document import Report, evidence
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.records import RecordedTrial
from whichopt.service.states import Phase


def with_values(report: Report, at: int, values: str | None) -> Report:
    trials = list(report.trials)
    result = trials[at].result
    assert result is not None
    trials[at] = trials[at].model_copy(update={"result": result.with_examples(values)})
    return report.model_copy(update={"trials": tuple(trials)})


def a_confirm_run(report: Report) -> int:
    """The place of a run that the verdict on configs rests on: the last one."""
    return max(at for at, trial in enumerate(report.trials) if trial.plan.phase is Phase.CONFIRM)


def values_at(report: Report, at: int) -> np.ndarray:
    result = report.trials[at].result
    assert result is not None
    assert result.by_example is not None
    return read(result.by_example)


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> tuple[Report, bytes]:
    """The report of a job with too many values by example, and the content of the file beside it."""
    monkeypatch.setattr(beside, "MOST_BYTES", 100)
    whole = trained_report()
    taken = set_apart(whole.job.id, whole.trials)
    assert taken.beside is not None
    made = evidence(
        whole.job, whole.spec, taken.trials, whole.recommendation, whole.environments, examples=taken.beside
    )
    return made, taken.content


def test_a_report_has_them_and_is_confirmed() -> None:
    report = trained_report()
    complete = [t for t in report.trials if t.plan.phase is Phase.CONFIRM and t.state == "complete"]
    assert all(t.result is not None and t.result.by_example is not None for t in complete)
    assert report.recommendation.over_examples is not None
    assert report.examples is None
    assert verify(Report.model_validate_json(report.model_dump_json())).outcome == "confirmed"


def test_a_report_without_them_keeps_its_bytes_and_its_checksum() -> None:
    """As reports were before there were any."""
    whole = trained_report()
    bare: list[RecordedTrial] = beside.without_values(whole.trials)
    told = recommend(whole.job.id, whole.spec, bare)
    report = evidence(whole.job, whole.spec, bare, told, whole.environments)
    text = report.model_dump_json()
    assert "example" not in text.replace("examples", "").replace("by_example", "X")
    assert '"examples":{' not in text
    assert verify(Report.model_validate_json(text)).outcome == "confirmed"


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (lambda values: values * 0.9, "but the mean of its 36 values by example is"),
        (lambda values: values[:-1], "it has values of 35 examples, of a test split of 36"),
    ],
)
def test_forged_values_are_named(forge: object, said: str) -> None:
    assert callable(forge)
    report = trained_report()
    at = a_confirm_run(report)
    found = verify(with_values(report, at, written(forge(values_at(report, at)))))
    assert found.outcome == "differs"
    assert not found.checksum_matches
    assert any(said in one for one in found.inconsistencies)


def test_values_that_were_dealt_out_otherwise_change_the_lead() -> None:
    """Their mean is as before, so nothing contradicts; but the interval no longer follows."""
    report = trained_report()
    stage = report.recommendation.stage
    assert stage is not None
    assert stage.first is not None
    at = a_confirm_run(report)
    assert report.trials[at].plan.number >= stage.first
    found = verify(with_values(report, at, written(values_at(report, at)[::-1])))
    assert found.outcome == "differs"
    assert found.inconsistencies == []
    assert [one.conclusion for one in found.differences] == ["the lead over seeds and examples"]


def test_values_that_no_run_has_are_named() -> None:
    report = trained_report()
    at = a_confirm_run(report)
    result = report.trials[at].result
    assert result is not None
    broken = np.frombuffer(np.float32("nan").tobytes() * 36, dtype=np.float32)
    text = packed(broken.tobytes())
    assert any("not a finite number" in one for one in verify(with_values(report, at, text)).inconsistencies)
    searched = next(i for i, trial in enumerate(report.trials) if trial.plan.phase is Phase.SEARCH)
    said = verify(with_values(report, searched, result.by_example)).inconsistencies
    assert any("which only complete confirm runs have" in one for one in said)


def test_the_file_beside_a_report_is_found_and_makes_it_whole(
    apart: tuple[Report, bytes], tmp_path: Path
) -> None:
    report, content = apart
    assert report.examples is not None
    assert report.examples.sha256 == hashlib.sha256(content).hexdigest()
    path = tmp_path / "report.json"
    path.write_text(report.model_dump_json())
    (tmp_path / report.examples.name).write_bytes(content)
    found = read_report(path)
    assert found.trials == trained_report().trials
    checked = verify(found)
    assert checked.outcome == "confirmed", checked
    assert "beside" not in checked.statement


def test_a_file_that_is_not_there_is_told_of(apart: tuple[Report, bytes], tmp_path: Path) -> None:
    report, _ = apart
    assert report.examples is not None
    path = tmp_path / "report.json"
    path.write_text(report.model_dump_json())
    checked = verify(read_report(path))
    assert checked.outcome == "confirmed", checked
    assert f"{report.examples.name} (0 MB), which is not beside the report" in checked.statement


def test_another_file_is_refused(apart: tuple[Report, bytes], tmp_path: Path) -> None:
    report, content = apart
    assert report.examples is not None
    path = tmp_path / "report.json"
    path.write_text(report.model_dump_json())
    (tmp_path / report.examples.name).write_bytes(content[::-1])
    with pytest.raises(InvalidReport, match="is not the file that the report names"):
        read_report(path)
    with pytest.raises(InvalidReport, match="SHA-256"):
        report.with_examples(content[::-1])


def test_a_file_of_another_size_is_refused_before_it_is_read(
    apart: tuple[Report, bytes], tmp_path: Path
) -> None:
    report, content = apart
    assert report.examples is not None
    path, beside = tmp_path / "report.json", tmp_path / report.examples.name
    path.write_text(report.model_dump_json())
    with beside.open("wb") as file:
        file.truncate(2**40)  # a hole: it takes no room, and does not fit into memory
    with pytest.raises(InvalidReport, match="it has 1,099,511,627,776 bytes, not"):
        read_report(path)
    beside.write_bytes(content)
    claimed = report.examples.model_copy(update={"bytes": report.examples.bytes + 1})
    path.write_text(report.model_copy(update={"examples": claimed}).model_dump_json())
    with pytest.raises(InvalidReport, match="is not the file that the report names"):
        read_report(path)


def test_the_checksum_has_the_hash_of_the_file(apart: tuple[Report, bytes]) -> None:
    report, content = apart
    assert report.examples is not None
    assert report.is_as_written
    assert report.with_examples(content).is_as_written
    other = report.examples.model_copy(update={"sha256": "0" * 64})
    assert not report.model_copy(update={"examples": other}).is_as_written

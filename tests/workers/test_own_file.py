"""A report about a person's own data, trained again from their file: the right one, another, or none."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.builders.reports import concluded_report
from tests.builders.uploads import FILE, forget_data, people
from whichopt.service.catalog.built_in import built_in
from whichopt.service.catalog.datasets import uploaded
from whichopt.service.errors import InvalidReport, UnreadableDataset
from whichopt.service.evidence.report.document import Report
from whichopt.service.settings import Settings
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.uploads import Choices, Kind
from whichopt.workers import workload
from whichopt.workers.engine import Unwatched
from whichopt.workers.engine.executors import EXECUTORS
from whichopt.workers.intake.taken import take
from whichopt.workers.own_file import blobs_of
from whichopt.workers.rerun import rerun

CHOICES = Choices(target="risk", columns={"age": Kind.NUMERIC, "member": "leave_out"})


def _file(path: Path, rows: int = 120) -> Path:
    columns, risk = people(rows)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*columns, "risk"])
        for row in range(rows):
            values = [column[row] for column in columns.values()]
            writer.writerow(
                ["" if value is None or value != value else value for value in values] + [risk[row]]
            )
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _file(tmp_path_factory.mktemp("own") / "people.csv")


@pytest.fixture(scope="module")
def report(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of a job whose data are nowhere but in the file."""
    folder = tmp_path_factory.mktemp("blobs")
    taken = take(file, "csv", CHOICES)
    part, content = taken.keep(folder)
    part.rename(folder / content)
    entry = uploaded("people", taken.table, FILE, content, CHOICES)
    asked = {
        "workload": {"dataset": {"name": "people"}, "model": {"name": "linear"}},
        "optimizers": ["adamw", "sgd"],
        "budget": {"trials": 4, "replicates": 2, "epochs": 2, "confirm_seeds": 3},
        "batch_size": 16,
    }
    spec = resolve(JobSpec.model_validate(asked), replace(built_in(), datasets=(entry,)))
    torch.set_num_threads(1)
    built = workload.build(spec.cataloged, blobs=folder)
    return concluded_report(spec, lambda plans: EXECUTORS["stacked"]().run(built, plans, Unwatched()))


@pytest.fixture(autouse=True)
def _no_blobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICHOPT_BLOBS", str(tmp_path / "blobs"))
    forget_data()


def test_a_report_is_trained_again_from_the_file_that_was_sent(report: Report, file: Path) -> None:
    found = rerun(report, new_seeds=0, data=file)
    assert {one.outcome for one in found.repeated} <= {"same bits", "within tolerance"}
    assert found.holds


def test_without_the_file_the_answer_says_which_one_is_needed(report: Report) -> None:
    with pytest.raises(InvalidReport, match="--data") as error:
        rerun(report, new_seeds=0)
    for part in ("'people'", FILE.name, FILE.sha256, report.spec.workload.content):
        assert str(part) in error.value.detail


def test_another_file_is_refused(report: Report, tmp_path: Path) -> None:
    other = _file(tmp_path / "other.csv", rows=119)
    with (
        pytest.raises(UnreadableDataset, match="is another file"),
        blobs_of(report.spec.cataloged, other, Settings()),
    ):
        pass


@pytest.mark.parametrize(("name", "text"), [("a.csv", "a,b\n1\n"), ("a.doc", "x"), ("none.csv", None)])
def test_a_file_that_cannot_be_read_is_told_with_its_name(
    name: str, text: str | None, report: Report, tmp_path: Path
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(UnreadableDataset, match=name), blobs_of(report.spec.cataloged, path, Settings()):
        pass

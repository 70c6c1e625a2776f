"""What the reader of a file remarks becomes a finding on each job that names the data, one for each code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.builders.tables import taken, written
from whichopt.service.catalog.built_in import built_in
from whichopt.service.catalog.datasets import uploaded
from whichopt.service.lint import lint
from whichopt.service.lint.data import SEVERITIES
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.service.uploads import File, Remark
from whichopt.service.views import LintFinding
from whichopt.workers.intake import plain as of_texts
from whichopt.workers.intake import remarks as reader
from whichopt.workers.intake.images import remarks as of_images

N = 600
COLUMNS: dict[str, list[Any]] = {
    "x": [(7 * i % 601) / 10 for i in range(N)],
    "told": ["yes" if i % 40 == 0 else "no" for i in range(N)],
    "id": [f"id-{i}" for i in range(N)],
    "y": ["b" if i % 40 == 0 else "a" for i in range(N)],
}


def spec_of(folder: Path, **asked: Any) -> ResolvedSpec:
    """Return a job on the table as the reader takes it in."""
    table = taken(folder, written(COLUMNS)).remarked()
    entry = uploaded("mine", table, File(name="mine.csv", bytes=1, sha256="0" * 64), "f" * 64)
    known = built_in()
    catalog = type(known)(**{**vars(known), "datasets": (*known.datasets, entry)})
    workload = {"dataset": "mine", "model": "linear", **asked}
    return resolve(JobSpec.model_validate({"workload": workload, "batch_size": 16}), catalog)


def on_data(spec: ResolvedSpec) -> dict[str, LintFinding]:
    return {one.code: one for one in lint(spec) if one.code in SEVERITIES}


def test_remarks_are_recorded_with_the_job_and_found_without_the_data(tmp_path: Path) -> None:
    spec = spec_of(tmp_path)
    found = on_data(ResolvedSpec.model_validate_json(spec.model_dump_json()))
    assert set(found) == {"target_in_disguise", "few_rows_of_class", "nearly_one_class", "left_out"}
    assert {code: one.severity for code, one in found.items()} == {
        "target_in_disguise": "warning",
        "few_rows_of_class": "warning",
        "nearly_one_class": "note",
        "left_out": "note",
    }
    assert found["target_in_disguise"].field == "workload.dataset"
    assert "told is y in disguise" in found["target_in_disguise"].what
    assert spec.workload.upload is not None
    told = {column.name: column.becomes for column in spec.workload.upload.told}
    assert list(told) == list(COLUMNS)
    assert told["id"].startswith("left out: ")


@pytest.mark.parametrize(
    ("metric", "weight", "severity", "words"),
    [
        ("accuracy", None, "warning", r"accuracy of 97\.5%, so accuracy says little"),
        ("nll", None, "note", "the rare classes hardly count in nll, and the accuracy that stands beside it"),
        ("balanced_accuracy", None, "note", "balanced_accuracy counts each class alike, but training"),
        ("balanced_accuracy", "balanced", None, None),
    ],
)
def test_nearly_one_class_blames_accuracy_if_the_job_is_judged_by_it(
    tmp_path: Path, metric: str, weight: str | None, severity: str | None, words: str | None
) -> None:
    task = {"name": "classification", "class_weight": weight}
    found = on_data(spec_of(tmp_path, metric=metric, task=task)).get("nearly_one_class")
    assert (found and found.severity) == severity
    if found is not None and words is not None:
        assert re.search(words, found.why)
        assert found.field == ("workload.metric" if metric == "accuracy" else "workload.dataset")
        assert "97.5% of the rows are of class a" in found.what


def test_many_remarks_of_one_code_are_one_finding(tmp_path: Path) -> None:
    spec = spec_of(tmp_path)
    upload = spec.workload.upload
    assert upload is not None
    many = tuple(
        Remark(code="left_out", column=f"c{i}", what=f"c{i} is left out", why="w", instead="i")
        for i in range(9)
    )
    crowded = upload.model_copy(update={"remarks": many})
    job = spec.model_copy(update={"workload": spec.workload.model_copy(update={"upload": crowded})})
    assert on_data(job)["left_out"].what == ("c0 is left out; c1 is left out; c2 is left out; and 6 more")


def test_every_remark_of_the_reader_has_its_severity() -> None:
    files = (reader.__file__, of_images.__file__, of_texts.__file__)
    source = "".join(Path(one).read_text() for one in files)
    assert set(re.findall(r'code="(\w+)"', source)) == set(SEVERITIES)

"""Reports that somebody wrote by hand: each is refused or found to differ, and none stops the program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders.reports import trained_report, with_trials
from whichopt.service.errors import InvalidReport
from whichopt.service.evidence.report.document import Report, raw_sha256
from whichopt.service.evidence.report.files import parse_report
from whichopt.service.evidence.report.verify import verify
from whichopt.service.versions import RULES

EARLIER = Path(__file__).parents[3] / "earlier/0.1/reports/finished.json"
HUGE = 10**400
"""A whole number that no float can hold."""


@pytest.fixture
def raw() -> Any:
    """The JSON of a report, to be changed."""
    return json.loads(trained_report().model_dump_json())


def read(raw: Any) -> Report:
    """Read the report with a checksum that matches, as whoever changes one can write it."""
    raw["raw_sha256"] = raw_sha256(raw["spec"], raw["trials"])
    return parse_report(json.dumps(raw).encode(), name="report.json")


# -- that cannot be read -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"workload": {}}, "'dataset'"),
        ({"optimizers": [{"name": "adamm"}]}, "no optimizer 'adamm'; did you mean 'adam'"),
        ({"optimizers": [{"name": 1e-320}]}, "not as any version has written them"),
    ],
)
def test_a_spec_of_0_1_that_0_1_never_wrote_is_an_invalid_report(changed: dict[str, Any], said: str) -> None:
    raw = json.loads(EARLIER.read_text())
    raw["spec"] |= changed
    with pytest.raises(InvalidReport, match=said) as refused:
        read(raw)
    assert refused.value.field == "spec"


# -- that differ ---------------------------------------------------------------------------------------


def test_a_number_beyond_every_float_differs(raw: Any) -> None:
    raw["analysis"]["ledger"][0]["trials"] = HUGE
    (found,) = verify(read(raw)).differences
    assert found.conclusion == "the analysis, ledger"


def test_trials_that_no_job_could_have_had_differ() -> None:
    report = trained_report()
    first, *others = report.trials
    plan = first.plan.model_copy(update={"config": {**first.plan.config, "lr": "fast"}})
    found = verify(with_trials(report, [first.model_copy(update={"plan": plan}), *others]))
    assert found.outcome == "differs"
    assert found.inconsistencies


def test_rules_that_this_version_does_not_know_are_not_judged_by(raw: Any) -> None:
    raw["spec"]["rules"] = RULES + 1
    found = verify(read(raw))
    assert found.outcome == "differs"
    assert f"judged by rules {RULES + 1}, and this version" in found.statement


def test_two_optimizers_do_not_share_a_place(raw: Any) -> None:
    first, second, _ = raw["spec"]["optimizers"]
    first["place"] = second["place"]
    found = verify(read(raw))
    assert found.outcome == "differs"
    assert f"2 optimizers have the place {second['place']} in the catalog" in found.inconsistencies


@pytest.mark.parametrize("executor", ["solo", "mixed", "garbage", ""])
def test_the_jobs_executor_is_that_of_its_spec(raw: Any, executor: str) -> None:
    assert raw["job"]["executor"] == "stacked"
    raw["job"]["executor"] = executor
    found = verify(read(raw))
    assert found.outcome == "differs"
    said = f"the job's executor is {executor!r}, but by the spec's executors it is 'stacked'"
    assert found.inconsistencies == [said]


def test_a_config_has_nothing_that_its_space_lacks(raw: Any) -> None:
    searched = next(trial for trial in raw["trials"] if trial["plan"]["number"] == 1)
    searched["plan"]["config"]["x=1); print('foreign'); f(y"] = 1
    found = verify(read(raw))
    assert any("which the spec's space lacks" in said for said in found.inconsistencies)

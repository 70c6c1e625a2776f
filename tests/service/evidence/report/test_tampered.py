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
from whichopt.service.evidence.verdict.recommend import recommend
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


def test_a_config_that_no_training_follows_from_is_told_in_one_line() -> None:
    report = trained_report()
    first, *others = report.trials
    config = {**first.plan.config, "batch_eta": 0.5, "batch_start": 32, "batch_max": 8, "batch_growth": 2.0}
    plan = first.plan.model_copy(update={"config": {**config, "batch_micro": 8}})
    (said,) = verify(with_trials(report, [first.model_copy(update={"plan": plan}), *others])).inconsistencies
    assert said == ("no job could have had these trials: most is 8, but the batch starts with 32 examples")


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


# -- code ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("build", {"target": "os; import shutil; from torch.optim.Adam", "fixed": {}}),
        ("build", {"target": "torch.optim.Adam\n", "fixed": {}}),
        ("build", {"target": "Adam", "fixed": {}}),
        ("build", {"target": "torch.optim.Adam", "fixed": {"x=1); f(y": 1}}),
        ("packed", {"x=1); f(y": ["beta1"]}),
        ("packed", {"betas": ["beta1", "x)"]}),
        ("default", {"lr": 0.1, "x=1); f(y": 1}),
        ("space", {"x=1); f(y": {"type": "float", "low": 0.1, "high": 1.0}}),
    ],
)
def test_facts_that_would_be_code_are_an_invalid_report(raw: Any, where: str, value: Any) -> None:
    raw["spec"]["optimizers"][0]["facts"][where] = value
    with pytest.raises(InvalidReport, match=r"names|target is") as refused:
        read(raw)
    assert str(refused.value.field).startswith("spec.optimizers.0.facts")


@pytest.mark.parametrize("where", ["default", "space"])
def test_hyperparameters_that_would_be_code_are_an_invalid_report(raw: Any, where: str) -> None:
    chosen = raw["spec"]["optimizers"][0]
    chosen[where]["x=1); f(y"] = chosen[where]["lr"]
    with pytest.raises(InvalidReport, match="only letters, digits and underscores"):
        read(raw)


def test_a_foreign_import_is_said_in_the_statement(raw: Any) -> None:
    """The class may be somebody's own, so the report can be confirmed; but a reader must not overlook it."""
    label = raw["recommendation"]["optimizer"]
    name = next(one["name"] for one in raw["spec"]["optimizers"] if one["label"] == label)
    for one in raw["spec"]["optimizers"]:
        if one["label"] == label:
            one["facts"]["build"]["target"] = "foreign.Optimizer"
    made = read(raw)
    told = recommend(made.job.id, made.spec, made.trials)
    assert "from foreign import Optimizer" in str(told.snippet)
    found = verify(made.model_copy(update={"recommendation": told}))
    assert found.outcome == "confirmed", found
    assert f"The facts about {name} are the report's" in found.statement
    assert "What the snippet imports was not checked against the catalog" in found.statement
    assert "The facts" not in verify(trained_report()).statement
    assert "snippet" not in verify(trained_report()).statement


def test_facts_that_build_the_same_class_leave_the_import_checked(raw: Any) -> None:
    for one in raw["spec"]["optimizers"]:
        one["facts"]["source"] = "elsewhere"
    found = verify(read(raw))
    assert found.outcome == "confirmed", found
    assert "The facts about adam, sgd, adabelief are the report's" in found.statement
    assert "snippet" not in found.statement


# -- the lead that a job could have seen ---------------------------------------------------------------


def test_a_report_of_before_leads_were_told_is_confirmed_and_another_lead_differs(raw: Any) -> None:
    seen = raw["recommendation"]["could_have_seen"]
    assert seen["optimizer"]["lead"] > 0
    seen["optimizer"]["lead"] *= 0.9
    told = verify(read(raw))
    assert [one.conclusion for one in told.differences] == ["the lead that the job could have seen"]
    del raw["recommendation"]["could_have_seen"]
    assert verify(read(raw)).outcome == "confirmed"

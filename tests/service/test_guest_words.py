"""A job about a person's own function, at every door: it is named, and its lengths are epochs everywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import StringIO
from typing import Any

import optuna
import pytest
from fastapi.testclient import TestClient
from rich.console import Console
from typer.testing import CliRunner

from tests.builders.concluded_jobs import recorded, running_job
from tests.builders.guests import guest_spec, result_of
from tests.builders.jobs import add_job
from tests.builders.reports import concluded_report
from tests.builders.services import KEY
from whichopt.service.cli import app as commands
from whichopt.service.cli import tables, verdict_tables
from whichopt.service.db import Store
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.verify import verify
from whichopt.service.optuna_storage import StudyStorage
from whichopt.service.views import JobView, Recommendation

RUN = CliRunner()
UNIT = re.compile(r"\bexamples?\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def report() -> Report:
    spec = guest_spec()
    return concluded_report(spec, lambda plans: [result_of(spec, plan) for plan in plans])


@pytest.fixture
def uid(lite: Store, report: Report) -> str:
    return recorded(lite, report)


def words(value: Any) -> Iterator[str]:
    """Every text in a piece of JSON; its keys are no words."""
    if isinstance(value, dict):
        for part in value.values():
            yield from words(part)
    elif isinstance(value, list):
        for part in value:
            yield from words(part)
    elif isinstance(value, str):
        yield value


def test_no_view_and_no_text_counts_examples(http: TestClient, lite: Store, uid: str) -> None:
    texts: dict[str, str] = {}
    for path in ("", "/trials", "/recommendation", "/forecast", "/report?format=json"):
        answer = http.get(f"/v1/jobs/{uid}{path}")
        assert answer.status_code == 200, (path, answer.text)
        texts[path or "job"] = "\n".join(words(answer.json()))
    for path in ("/v1/jobs", "/v1/recommendations", "/v1/functions"):
        texts[path] = "\n".join(words(http.get(path).json()))
    page = http.get("/").text
    texts["page"] = re.sub(r"<[^>]*>", " ", page)
    html = http.get(f"/v1/jobs/{uid}/report?format=html").text
    texts["report"] = re.sub(
        r"<[^>]*>", " ", re.sub(r"href=\"data:[^\"]*\"|<style.*?</style>", "", html, flags=re.S)
    )
    kept = Report.model_validate(http.get(f"/v1/jobs/{uid}/report?format=json").json())
    assert verify(kept).outcome == "confirmed"
    job = JobView.model_validate(http.get(f"/v1/jobs/{uid}").json())
    recommendation = Recommendation.model_validate(http.get(f"/v1/jobs/{uid}/recommendation").json())
    for name, table in {
        "job table": tables.job_table([job]),
        "job summary": tables.job_summary(job),
        "panel": verdict_tables.recommendation_panel(recommendation),
        "recommendations": verdict_tables.recommendation_table([recommendation]),
    }.items():
        console = Console(width=250, record=True, file=StringIO())
        console.print(table)
        texts[name] = console.export_text()
    studies = optuna.get_all_study_summaries(StudyStorage(lite))
    texts["studies"] = json.dumps([[study.study_name, study.user_attrs] for study in studies])
    for name, text in texts.items():
        assert not UNIT.search(text.replace("for example", "")), (name, UNIT.search(text))
    for name in ("job table", "job summary", "panel", "recommendations", "page", "report", "studies"):
        assert "ourlab.train:fit" in texts[name], name
    assert "epochs" in texts["panel"]
    assert "epochs" in texts["job summary"]


def test_a_running_job_and_a_lost_worker_are_told_in_epochs(lite: Store) -> None:
    job_id, uid = running_job(lite, guest_spec().with_executor("solo"))
    assert job_id
    with lite.read() as tx:
        view = tx.views.job(uid, alive_s=10)
    assert view is not None
    console = Console(width=250, record=True, file=StringIO())
    console.print(tables.job_summary(view))
    text = console.export_text()
    assert "epochs" in text
    assert not UNIT.search(text)


def test_recommendations_are_found_by_function_and_metric(http: TestClient, lite: Store, uid: str) -> None:
    add_job(lite)
    for query, found in (
        ("function=ourlab.train:fit", [uid]),
        ("metric=val_loss", [uid]),
        ("metric=nll", []),
        ("function=other:fit", []),
        ("function=ourlab.train:fit&metric=val_loss&optimizer=adamw", [uid]),
        ("dataset=wine", []),
    ):
        items = http.get(f"/v1/recommendations?{query}").json()["items"]
        assert [item["job_id"] for item in items] == found, query


def test_the_commands_print_the_config_in_other_forms(url: str, uid: str) -> None:
    service = ["--url", url, "--key", KEY]
    printed = RUN.invoke(commands, ["recommend", uid, "--as", "json", *service])
    assert (printed.exit_code, json.loads(printed.stdout)["class"]) == (0, "torch.optim.AdamW")
    assert (
        "class_path: torch.optim.AdamW"
        in RUN.invoke(commands, ["recommend", uid, "--as", "lightning", *service]).stdout
    )
    assert "TrainingArguments(" in RUN.invoke(commands, ["recommend", uid, "--as", "hf", *service]).stdout
    assert (
        "in place of run.optimizer"
        in RUN.invoke(commands, ["recommend", uid, "--as", "torch", *service]).stdout
    )
    without = RUN.invoke(commands, ["recommend", "--as", "json", *service])
    assert (without.exit_code, "whichopt recommend JOB --as" in without.output) == (2, True)
    listed = RUN.invoke(commands, ["recommend", "--function", "ourlab.train:fit", *service, "--json"])
    assert [item["job_id"] for item in json.loads(listed.stdout)] == [uid]
    refused = RUN.invoke(commands, ["resume", uid, *service])
    assert refused.exit_code != 0
    assert "not_resumable" in refused.output

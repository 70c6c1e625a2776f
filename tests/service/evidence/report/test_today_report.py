"""A report of a job with a config of today: it verifies, shows the answer, and notices what is changed."""

from __future__ import annotations

from functools import cache

import torch

from tests.builders.present import present
from tests.builders.reports import SPEC, concluded_report, with_trials
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.html import render_html
from whichopt.service.evidence.report.verify import verify
from whichopt.service.spec import JobSpec, resolve
from whichopt.workers import workload
from whichopt.workers.engine import Unwatched
from whichopt.workers.engine.executors import EXECUTORS

BODY = {
    **SPEC,
    "optimizers": ["adam", "sgd"],
    "budget": {"trials": 4, "replicates": 2, "epochs": 2, "confirm_seeds": 6},
    "today": {"name": "rmsprop", "config": {"lr": 1e-4}},
}


@cache
def report() -> Report:
    spec = resolve(JobSpec.model_validate(BODY))
    torch.set_num_threads(1)
    built = workload.build(spec.cataloged)
    return concluded_report(spec, lambda plans: EXECUTORS["stacked"]().run(built, plans, Unwatched()))


def test_it_verifies_as_it_was_written_and_read_again() -> None:
    again = Report.model_validate_json(report().model_dump_json())
    assert again == report()
    found = verify(again)
    assert (found.outcome, found.inconsistencies, found.differences) == ("confirmed", [], [])


def test_another_answer_does_not_follow() -> None:
    recommendation = report().recommendation
    today = present(recommendation.today).model_copy(update={"answer": "keep"})
    claim = recommendation.model_copy(update={"today": today})
    found = verify(report().model_copy(update={"recommendation": claim}))
    assert [one.conclusion for one in found.differences] == ["the answer about today's config"]


def test_a_run_of_todays_that_was_left_out_shows() -> None:
    trials = [t for t in report().trials if (t.plan.label, t.plan.number) != ("today", 1)]
    found = verify(with_trials(report(), trials))
    assert found.outcome == "differs"
    assert any("today's config: its runs on fresh seeds 1 is missing" in one for one in found.inconsistencies)


def test_the_page_begins_with_the_answer() -> None:
    page = render_html(report())
    today = present(report().recommendation.today)
    assert "Switch from today&#39;s rmsprop to " in page
    assert "What you run today" in page
    assert f"{today.runs} runs" in page
    ledger = {row.optimizer: row.trials for row in report().analysis.ledger}
    assert ledger["today"] == today.runs


def test_the_page_says_which_seeds_the_gain_rests_on() -> None:
    """The seeds of the first stage have chosen the challenger, and a job concluded there has no champions."""
    recommendation = report().recommendation
    today, stage = present(recommendation.today), present(recommendation.stage)
    first = present(stage.first)
    assert today.seeds == stage.seeds - first
    told = f"The first {first} of these seeds chose the challenger", "its <em>champion</em>, went on"
    page = render_html(report())
    assert all(words in page for words in told)
    early = stage.model_copy(update={"seeds": first})
    concluded = recommendation.model_copy(update={"stage": early})
    page = render_html(report().model_copy(update={"recommendation": concluded}))
    assert not any(words in page for words in told)

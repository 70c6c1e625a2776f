"""The evidence about a person's own function: what stands in, who held the test part, pairing."""

from __future__ import annotations

import ast
import re
from functools import partial

import pytest

from tests.builders.guests import guest_spec, rehearsed, result_of, usual, whole_job
from tests.builders.reports import concluded_report, with_trials
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.html import render_html
from whichopt.service.evidence.report.verify import verify
from whichopt.service.evidence.verdict.confirm_table import read_confirm_table
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.guests import Finding
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import TrialPlan, TrialResult


def reported(spec: ResolvedSpec) -> Report:
    return concluded_report(spec, lambda plans: [result_of(spec, plan) for plan in plans])


@pytest.fixture(scope="module")
def report() -> Report:
    return reported(guest_spec())


def text_of(html: str) -> str:
    """What a reader of the page sees, and its figures' words."""
    page = re.sub(r"<style.*?</style>|href=\"data:[^\"]*\"", "", html, flags=re.DOTALL)
    return re.sub(r"<[^>]*>", " ", page)


def test_its_report_is_confirmed_and_speaks_of_epochs(report: Report) -> None:
    assert verify(Report.model_validate_json(report.model_dump_json())).outcome == "confirmed"
    recommendation = report.recommendation
    assert (recommendation.title, recommendation.unit) == ("ourlab.train:fit", "epochs")
    assert recommendation.task is recommendation.dataset is recommendation.model is None
    assert "`run.split` held the test part: 200 rows back." in recommendation.statement
    words = text_of(render_html(report))
    assert "example" not in words.lower()
    for part in ("Your function", "Were trials paired?", "600 rows to train on"):
        assert part in words


def test_trials_of_a_seed_are_told_to_be_paired(report: Report) -> None:
    pairing = report.analysis.pairing
    assert pairing is not None
    assert pairing.paired
    first = pairing.seeds[0]
    assert (first.params, first.gradients, first.generators) == (1, 1, 1)
    assert (
        f"The {first.trials} trials of study 0 started from the same params and the same first gradient"
        in (pairing.statement)
    )
    assert not {"unpaired", "no_test_split"} & {w.code for w in report.recommendation.warnings}


def test_a_start_that_differs_is_warned_of_and_changes_what_is_verified(report: Report) -> None:
    trials = list(report.trials)
    first = trials[0].result
    assert first is not None
    assert first.start is not None
    other = first.start.model_copy(update={"gradient": "0" * 16})
    trials[0] = trials[0].model_copy(update={"result": first.model_copy(update={"start": other})})
    changed = verify(with_trials(report, trials))
    assert changed.outcome == "differs"
    assert any("pairing" in difference.conclusion for difference in changed.differences)
    warned = recommend("job", report.spec, trials).warnings
    assert "unpaired" in {warning.code for warning in warned}


def test_params_that_the_rehearsal_did_not_count_are_a_contradiction(report: Report) -> None:
    trials = list(report.trials)
    first = trials[0].result
    assert first is not None
    assert first.start is not None
    start = first.start.model_copy(update={"count": 7})
    trials[0] = trials[0].model_copy(update={"result": first.model_copy(update={"start": start})})
    found = verify(with_trials(report, trials)).inconsistencies
    assert any("trained 7 params, but the rehearsal says 1234" in each for each in found)


@pytest.mark.parametrize(
    ("judged_on", "says"),
    [
        ("test", "The function itself held its test part back."),
        ("validation", "This rests on the validation split"),
    ],
)
def test_the_statement_says_who_held_the_test_part(judged_on: str, says: str) -> None:
    report = reported(guest_spec(judged_on=judged_on))  # type: ignore[arg-type]
    recommendation = report.recommendation
    assert says in recommendation.statement
    assert verify(report).outcome == "confirmed"
    validation = judged_on == "validation"
    assert ("on the validation split, over" in recommendation.statement) is validation
    assert ("no_test_split" in {w.code for w in recommendation.warnings}) is validation
    words = text_of(render_html(report))
    assert ("test val_loss" in words) is not validation
    assert "validation val_loss" in words


def test_a_function_may_stop_early(report: Report) -> None:
    spec = report.spec
    early = concluded_report(
        spec, lambda plans: [result_of(spec, plan, reports=3 - plan.number % 2) for plan in plans]
    )
    assert verify(early).outcome == "confirmed"
    assert "How the finalists learn" in render_html(early)


def diverges(plan: TrialPlan, epoch: int, *, label: str) -> float | None:
    on_one_seed = plan.phase is Phase.CONFIRM and plan.label == label and plan.number == 1
    return None if on_one_seed and epoch > 1 else usual(plan, epoch)


@pytest.mark.parametrize(
    ("baseline", "scores"), [(None, "worst that any confirm run scored"), (9.5, "baseline")]
)
def test_a_diverged_run_scores_the_baseline_or_the_worst(baseline: float | None, scores: str) -> None:
    spec = guest_spec(workload={"baseline": baseline})
    trials = whole_job(spec, partial(diverges, label="sgd"))
    table = read_confirm_table(spec, trials).finalists
    values = [
        trial.result.value
        for trial in trials
        if trial.plan.phase is Phase.CONFIRM and trial.result is not None and trial.result.value is not None
    ]
    expected = max(values) if baseline is None else baseline
    shown = {table.values[arm][1] for arm in table.of("sgd")}
    assert shown == {expected}
    recommendation = recommend("job", spec, trials)
    assert recommendation.optimizer == "adamw"
    warned = next(w for w in recommendation.warnings if w.code == "finalist_diverged")
    assert scores in warned.detail


def test_if_all_diverged_there_is_nothing_to_deploy() -> None:
    spec = guest_spec()

    def broken(plan: TrialPlan, epoch: int) -> float | None:
        return None if plan.phase is Phase.CONFIRM else usual(plan, epoch)

    def train(plans: list[TrialPlan]) -> list[TrialResult]:
        return [result_of(spec, plan, broken) for plan in plans]

    report = concluded_report(spec, train)  # type: ignore[arg-type]
    assert report.recommendation.verdict == "nothing"
    assert "clip gradients in the function" in report.recommendation.statement
    assert "diverged before their first report" in report.recommendation.statement
    assert verify(report).outcome == "confirmed"
    assert "example" not in text_of(render_html(report)).lower().replace("for example", "")


def test_what_the_rehearsal_found_is_warned_of() -> None:
    finding = Finding(code="setting_overridden", detail="lr was 0.01 where 0.1 was asked for", label="sgd")
    report = reported(guest_spec(findings=[finding]))
    warning = next(w for w in report.recommendation.warnings if w.code == "setting_overridden")
    assert (warning.optimizer, warning.detail) == ("sgd", finding.detail)
    assert finding.detail in text_of(render_html(report))
    assert verify(report).outcome == "confirmed"


def test_the_snippet_stands_in_place_of_run_optimizer(report: Report) -> None:
    text = report.recommendation.snippet
    assert text is not None
    ast.parse(text)
    assert "# In ourlab.train:fit, in place of run.optimizer(...)" in text
    assert "2 groups of params" in text
    assert "LambdaLR" not in text
    spec = report.spec
    assert spec.guest is not None
    scheduled = rehearsed(spec, scheduled=True)
    other = spec.model_copy(update={"workload": spec.guest.with_rehearsal(scheduled)})
    assert "scheduler = torch.optim.lr_scheduler.LambdaLR(" in (
        recommend("j", other, report.trials).snippet or ""
    )


def test_a_pruned_trial_is_pruned_by_its_reports(report: Report) -> None:
    spec = guest_spec(budget={"trials": 24, "replicates": 1, "epochs": 4, "confirm_seeds": 3})
    pruning = reported(spec)
    assert any(trial.state is TrialState.PRUNED for trial in pruning.trials)
    assert verify(pruning).outcome == "confirmed"
    assert report.spec != spec

"""The report of a job that was really trained: its JSON, what its page carries, what verify says of it."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders.present import present
from tests.builders.reports import trained_report, with_trials
from whichopt.service.errors import InvalidReport
from whichopt.service.evidence.report.conclusions import by_conclusion
from whichopt.service.evidence.report.differences import Difference
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.files import parse_report, read_report
from whichopt.service.evidence.report.html import render_html
from whichopt.service.evidence.report.verify import Verification, verify
from whichopt.service.records import RecordedTrial
from whichopt.service.states import Phase, TrialState


@pytest.fixture(scope="module")
def report() -> Report:
    return trained_report()


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    return render_html(report)


# -- the file ------------------------------------------------------------------------------------------


def test_a_report_comes_back_from_its_json_and_from_its_page(
    report: Report, html: str, tmp_path: Path
) -> None:
    text = report.model_dump_json()
    for name, content in (
        ("plain.json", text.encode()),
        ("packed.json.gz", gzip.compress(text.encode())),
        ("page.html", html.encode()),
    ):
        (tmp_path / name).write_bytes(content)
        assert read_report(tmp_path / name) == report, name


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not JSON"),
        (b"[]", "its format is None"),
        (b'{"format": "whichopt-report/9"}', "whichopt-report/9"),
        (b'{"format": "whichopt-report/1"}', "Field required"),
        (b"<html></html>", "a page without a report"),
        (b"\x1f\x8bnothing", "broken"),
    ],
)
def test_what_is_no_report_is_said_so(content: bytes, said: str) -> None:
    with pytest.raises(InvalidReport, match=re.escape(said)):
        parse_report(content, name="file")


# -- verify --------------------------------------------------------------------------------------------


def test_an_untouched_report_is_confirmed(report: Report) -> None:
    again = parse_report(report.model_dump_json().encode(), name="file")
    found = verify(again)
    assert found.outcome == "confirmed", found
    assert found.checksum_matches
    assert (found.inconsistencies, found.differences) == ([], [])


Change = Callable[[RecordedTrial], RecordedTrial]


def changed(report: Report, where: Callable[[RecordedTrial], bool], change: Change) -> Verification:
    """What verify says once the first trial that is meant has been changed."""
    at = next(i for i, trial in enumerate(report.trials) if where(trial))
    trials = list(report.trials)
    trials[at] = change(trials[at])
    return verify(with_trials(report, trials))


def is_pick(report: Report) -> Callable[[RecordedTrial], bool]:
    """A confirm run of the recommended config that its value rests on."""
    label, stage = report.recommendation.optimizer, report.recommendation.stage
    first = 0 if stage is None or stage.first is None else stage.first
    row = next(row for row in report.recommendation.ranking if row.optimizer == label)
    return lambda trial: (
        trial.plan.phase is Phase.CONFIRM
        and trial.plan.label == label
        and trial.plan.replicate == row.replicate
        and trial.plan.number >= first
    )


def with_value(trial: RecordedTrial, split: str, value: float) -> RecordedTrial:
    """The trial as if it had scored `value`, told alike wherever it is told."""
    assert trial.result is not None
    metrics = {**trial.result.metrics, split: {**trial.result.metrics[split], "nll": value}}
    curves = dict(trial.result.curves)
    if split == "validation":
        curve = curves["validation.nll"]
        curves["validation.nll"] = [*curve[:-1], curve[-1]._replace(value=value)]
    update = {"value": value, "metrics": metrics, "curves": curves}
    return trial.model_copy(update={"result": trial.result.model_copy(update=update)})


def test_one_changed_test_value_is_a_conclusion_that_no_longer_follows(report: Report) -> None:
    """Changed by two parts in a million, and alike in value and metrics, but not in its values by example."""

    def worse(trial: RecordedTrial) -> RecordedTrial:
        assert trial.result is not None
        assert trial.result.value is not None
        return with_value(trial, "test", trial.result.value * (1 + 2e-6))

    found = changed(report, is_pick(report), worse)
    assert found.outcome == "differs"
    assert not found.checksum_matches
    (contradiction,) = found.inconsistencies
    assert "but the mean of its 36 values by example is" in contradiction
    said = [difference.conclusion for difference in found.differences]
    assert "the interval of the recommended config's value" in said
    assert "the verdict on configs" not in said
    assert any(present(report.recommendation.optimizer) in conclusion for conclusion in said)


def test_ruined_runs_overturn_the_pick(report: Report) -> None:
    """Every confirm run of the pick's label made bad: the recommended optimizer itself no longer follows."""
    label = report.recommendation.optimizer
    trials = [
        with_value(trial, "test", 9.0)
        if trial.plan.phase is Phase.CONFIRM and trial.plan.label == label
        else trial
        for trial in report.trials
    ]
    said = {found.conclusion: found for found in verify(with_trials(report, trials)).differences}
    assert {"the recommended optimizer", "the recommended config", "the ranking"} <= set(said)
    assert str(said["the recommended optimizer"]).startswith(
        f"the recommended optimizer no longer follows: recommendation.optimizer is {label} in the report, and"
    )


def test_a_search_value_that_makes_another_config_the_finalist_is_found(report: Report) -> None:
    best = {(trial.plan.label, trial.plan.replicate): trial for trial in report.trials}

    def another(trial: RecordedTrial) -> bool:
        return (
            trial.plan.phase is Phase.SEARCH
            and trial.state is TrialState.COMPLETE
            and trial.plan.number == 1
            and (trial.plan.label, trial.plan.replicate) in best
        )

    found = changed(report, another, lambda trial: with_value(trial, "validation", 1e-9))
    assert found.outcome == "differs"
    assert any("another config is a finalist" in said for said in found.inconsistencies)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda result: {"value": result.value * 2}, "its value is"),
        (lambda result: {"steps": result.steps + 1}, "ends at step"),
        (lambda result: {"examples": result.examples - 1}, "complete after"),
        (
            lambda result: {"metrics": {**result.metrics, "validation": {"nll": 9.0, "accuracy": 0.5}}},
            "its curve validation.nll ends at",
        ),
        (lambda _: {"value": None}, "is complete, but has no test nll"),
    ],
)
def test_a_result_that_contradicts_itself_is_found(
    report: Report, change: Callable[..., dict[str, object]], said: str
) -> None:
    def edited(trial: RecordedTrial) -> RecordedTrial:
        assert trial.result is not None
        return trial.model_copy(update={"result": trial.result.model_copy(update=change(trial.result))})

    found = changed(report, is_pick(report), edited)
    assert found.outcome == "differs"
    assert any(said in each for each in found.inconsistencies), found.inconsistencies


def test_a_plan_that_does_not_follow_from_the_spec_is_found(report: Report) -> None:
    def reseeded(trial: RecordedTrial) -> RecordedTrial:
        seeds = trial.plan.seeds.model_copy(update={"init": trial.plan.seeds.init + 1})
        return trial.model_copy(update={"plan": trial.plan.model_copy(update={"seeds": seeds})})

    found = changed(report, is_pick(report), reseeded)
    assert found.outcome == "differs"
    assert found.differences == []  # the values still give the same conclusions, and it says that too
    assert any("its seeds do not follow from the spec's seed 0" in said for said in found.inconsistencies)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"workload": {"dataset": {"name": "moon"}}}, "no dataset 'moon'"),
        ({"budget": {"epochs": 4}}, "the spec's budget is"),
        ({"seed": 1}, "do not follow from the spec's seed 1"),
    ],
)
def test_another_spec_is_found(report: Report, changed: dict[str, object], said: str) -> None:
    def merged(old: dict[str, object], new: dict[str, object]) -> dict[str, object]:
        parts = {key: merged(dict(old[key]), value) for key, value in new.items() if isinstance(value, dict)}  # type: ignore[call-overload]
        return {**old, **new, **parts}

    spec = type(report.spec).model_validate(merged(report.spec.model_dump(mode="json"), changed))
    found = verify(report.model_copy(update={"spec": spec}))
    assert found.outcome == "differs"
    assert any(said in each for each in found.inconsistencies), found.inconsistencies[:3]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("ranking x.adam value mean", "the confirmed value and its interval of x.adam"),
        ("ranking x.adam trials", "the trials of x.adam"),
        ("ranking", "the ranking"),
        ("optimizer_verdict differences adam low", "an interval between tuned optimizers of adam"),
        ("optimizer_verdict differences", "the order of the tuned optimizers"),
        ("optimizer_verdict statement", "the statement on optimizers"),
        ("stage seeds", "the recommendation"),
    ],
)
def test_what_differs_is_named_with_its_optimizer(path: str, name: str) -> None:
    """A label may have dots, and end as another one does."""
    place = Difference(("recommendation", *path.split()), 1.0, 2.0)
    (found,) = by_conclusion(["adam", "x.adam"], [place])
    assert (found.conclusion, found.path) == (name, f"recommendation.{path.replace(' ', '.')}")


def test_the_analysis_that_differs_is_named_by_its_part() -> None:
    places = [
        Difference(("analysis", *path.split()), 1, 2)
        for path in ("time_to_target rows x.adam runs", "ledger 0 trials", "ledger 1 trials", "metric")
    ]
    found = by_conclusion(["adam", "x.adam"], places)
    assert [(one.conclusion, one.places) for one in found] == [
        ("the analysis, time to target of x.adam", 1),
        ("the analysis, ledger", 2),
        ("the analysis, metric", 1),
    ]


def test_missing_trials_are_named(report: Report) -> None:
    mine = is_pick(report)
    first = next(i for i, trial in enumerate(report.trials) if mine(trial))
    left = [trial for i, trial in enumerate(report.trials) if i != first]
    seed = report.trials[first].plan.number
    found = verify(with_trials(report, left))
    assert any(f"confirm runs on fresh seeds {seed} is missing" in said for said in found.inconsistencies)
    searched = [trial for trial in report.trials if trial.plan.number != 2 or trial.plan.phase != "search"]
    found = verify(with_trials(report, searched))
    assert any("of 4 search trials 2 is missing" in said for said in found.inconsistencies)
    assert verify(with_trials(report, [])).outcome == "differs"


def test_a_change_that_nothing_rests_on_is_told_as_that(report: Report) -> None:
    """The training split's accuracy is in no conclusion: the checksum alone knows."""

    def edited(trial: RecordedTrial) -> RecordedTrial:
        assert trial.result is not None
        train = {**trial.result.metrics["train"], "accuracy": 0.123}
        metrics = {**trial.result.metrics, "train": train}
        return trial.model_copy(update={"result": trial.result.model_copy(update={"metrics": metrics})})

    found = changed(report, is_pick(report), edited)
    assert found.outcome == "differs"
    assert (found.inconsistencies, found.differences, found.checksum_matches) == ([], [], False)
    assert "in a place that no conclusion depends on" in found.statement


@pytest.mark.parametrize(
    ("update", "conclusion"),
    [
        ({"verdict": "nobody"}, "the verdict on configs"),
        ({"optimizer": "adam"}, "the recommended optimizer"),
        ({"config": {"lr": 1.0}}, "the recommended config"),
        ({"equivalent": []}, "the set that cannot be distinguished from the best config"),
        ({"probability_best": 0.5}, "the probability of being best"),
    ],
)
def test_a_changed_conclusion_is_found(report: Report, update: dict[str, object], conclusion: str) -> None:
    stored = report.recommendation
    assert any(getattr(stored, name) != value for name, value in update.items())
    found = verify(report.model_copy(update={"recommendation": stored.model_copy(update=update)}))
    assert [difference.conclusion for difference in found.differences] == [conclusion]
    assert found.checksum_matches


@pytest.mark.parametrize(("apart", "outcome"), [(1e-8, "confirmed"), (0.1, "differs")])
def test_probabilities_of_labels_are_compared_as_probabilities(
    report: Report, apart: float, outcome: str
) -> None:
    stored = report.recommendation.optimizer_verdict
    assert stored.probability_best is not None
    moved = {label: value + apart for label, value in stored.probability_best.items()}
    verdict = stored.model_copy(update={"probability_best": moved})
    recommendation = report.recommendation.model_copy(update={"optimizer_verdict": verdict})
    assert verify(report.model_copy(update={"recommendation": recommendation})).outcome == outcome


def test_a_changed_figure_of_the_analysis_is_found(report: Report) -> None:
    first = report.analysis.step_cost[0]
    costs = [first.model_copy(update={"ms_per_step": 1e9}), *report.analysis.step_cost[1:]]
    analysis = report.analysis.model_copy(update={"step_cost": costs})
    (found,) = verify(report.model_copy(update={"analysis": analysis})).differences
    assert found.conclusion == f"the analysis, step cost of {first.optimizer}"
    assert found.stored == 1e9

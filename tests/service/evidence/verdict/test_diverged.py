"""Jobs whose runs diverged: nothing is recommended that did not train, and nothing shown that no run had."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.builders.trials import CONSTANT, Outcome, confirm, flat, mirrored, search, spec_of
from whichopt.service.cli.listings import Listing
from whichopt.service.cli.verdict_tables import forecast_tables, recommendation_panel, recommendation_table
from whichopt.service.evidence.forecast.round import forecast
from whichopt.service.evidence.report.document import Report, evidence
from whichopt.service.evidence.report.files import parse_report
from whichopt.service.evidence.report.html import render_html
from whichopt.service.evidence.report.verify import verify
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.evidence.verdict.stopping import reason_to_stop
from whichopt.service.planning.finalists import Finalist
from whichopt.service.records import JobFacts, RecordedTrial
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import JobState, Phase
from whichopt.service.trials import Trial
from whichopt.service.views import JobForecast, Recommendation

STAND_IN = (CONSTANT, -CONSTANT)


def numbers(found: Any) -> Iterator[float]:
    if isinstance(found, dict):
        for name, value in found.items():
            if name not in ("seconds", "level", "alpha", "cost"):
                yield from numbers(value)
    elif isinstance(found, list):
        for value in found:
            yield from numbers(value)
    elif isinstance(found, float):
        yield found


def report_of(spec: ResolvedSpec, trials: list[Trial], found: Recommendation) -> Report:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    facts = JobFacts(
        id="job",
        name=None,
        queue="cpu",
        executor="solo",
        probe=None,
        cut_short=False,
        created_at=moment,
        started_at=moment,
        finished_at=moment,
    )
    recorded = [RecordedTrial(plan=t.plan, state=t.state, result=t.result) for t in trials]
    return evidence(facts, spec, recorded, found, [])


def everything(dataset: str = "digits", *labels: str, **options: Any) -> tuple[ResolvedSpec, list[Trial]]:
    spec = spec_of(*(labels or ("sgd", "adam")), dataset=dataset, **options)
    nothing = search(spec, {label: [[None] * 2] * 3 for label in spec.labels})
    return spec, confirm(spec, nothing, lambda *_: None)


@pytest.mark.parametrize("dataset", ["digits", "diabetes"])
@pytest.mark.parametrize("labels", [("sgd",), ("sgd", "adam", "adabelief")])
def test_a_job_of_which_nothing_trained_recommends_nothing(dataset: str, labels: tuple[str, ...]) -> None:
    spec, trials = everything(dataset, *labels, margin={"percent": 5})
    found = recommend("job", spec, trials)
    assert found.verdict == "nothing"
    assert (found.optimizer, found.config, found.value, found.probability_best, found.snippet) == (None,) * 5
    assert (found.equivalent, found.practically_equivalent) == ([], [])
    assert {row.optimizer for row in found.ranking} == set(labels)
    for row in found.ranking:
        assert (row.value, row.default_value, row.difference, row.probability_best) == (None,) * 4
        assert (row.diverged_seeds, row.default_diverged_seeds) == (5, 5)
    assert found.optimizer_verdict.verdict == ("nothing" if len(labels) > 1 else None)
    assert (found.optimizer_verdict.equivalent, found.optimizer_verdict.differences) == ([], [])
    assert not set(numbers(found.model_dump(mode="json"))) & set(STAND_IN)
    assert found.cost.trials == len(trials), "what it took is told all the same"
    assert {"untrained", "finalist_diverged", "search_diverged"} <= {one.code for one in found.warnings}
    assert Recommendation.model_validate_json(found.model_dump_json()) == found


def test_the_statement_says_what_was_seen_and_what_to_change() -> None:
    spec, trials = everything()
    said = recommend("job", spec, trials).statement
    assert "None: every run of every finalist diverged (5 fresh seeds)" in said
    assert "In the search, 12 of 12 trials diverged, including 6 of the 6 defaults." in said
    assert "before their first evaluation" in said
    assert "sgd diverged at lr 0.002" in said
    change = said.partition("What to change: ")[2]
    assert change.startswith("look for huge or non-finite inputs and targets"), "nothing was seen of it"
    assert "extend the lr range of sgd downwards (it starts at 0.0001)" in change
    assert "clip gradients" in change
    fixed = {"name": "sgd", "label": "one", "space": {"lr": 9999.0}}
    spec = spec_of(fixed, clip_norm=1.0)
    trained = confirm(spec, flat(spec), lambda *_: None)
    said = recommend("job", spec, trained).statement
    assert "No trial diverged in the search." in said
    assert "lower the lr of one, which is fixed at 9999, or search it (0.0001 to" in said
    assert "clip gradients" not in said


def said_of(*spaces: dict[str, Any], **rest: Any) -> str:
    """The statement on a job in which every fresh run diverged, of SGD with each of these spaces."""
    asked = [{"name": "sgd", "label": f"sgd{at}", "space": space} for at, space in enumerate(spaces)]
    spec = spec_of(*asked, **rest)
    return recommend("job", spec, confirm(spec, flat(spec), lambda *_: None)).statement


def test_where_it_diverged_is_told_in_what_all_have_in_common() -> None:
    length = spec_of("sgd").length
    assert f"at step 10 of {-(-length // 64)} at the latest" in said_of({})
    assert f"at step 10 of {-(-length // 32)} at the latest" in said_of({"batch_size": 32})
    unlike = {"batch_size": 32}, {"batch_size": 64}
    assert f"at example 100 of {length} at the latest" in said_of(*unlike)
    growing = {"batch_size": {"adaptive": "norm"}}
    assert f"at example 100 of {length} at the latest" in said_of(growing)


def test_a_warm_up_is_advised_where_there_is_none() -> None:
    cosine, searched = {"name": "cosine"}, {"warmup": {"type": "float", "low": 0.0, "high": 0.2}}
    assert "(schedule.warmup)" in said_of({}, schedule=cosine)
    assert "warm up" not in said_of(searched, schedule=cosine)
    assert "warm up" not in said_of({}, schedule={"name": "cosine", "warmup": 0.1})
    assert "(warmup in its space)" in said_of({"warmup": 0.0}, schedule={"name": "cosine", "warmup": 0.1})


def test_a_config_that_diverges_now_and_then_is_not_recommended_either() -> None:
    """Each finalist on some seeds; the steadiest is named with how often."""

    def value(arm: Finalist, seed: int) -> Outcome:
        broke = seed in ((1, 2) if arm.label == "sgd" else (3,))
        return None if broke else 0.5

    spec = spec_of("sgd", "adam")
    found = recommend("job", spec, confirm(spec, flat(spec), value))
    assert found.verdict == "nothing"
    assert [(row.optimizer, row.diverged_seeds, row.value) for row in found.ranking] == [
        ("adam", 1, None),
        ("sgd", 2, None),
    ]
    assert "the steadiest, adam with a config that its search found, diverged on 1 of 5" in found.statement


def test_one_optimizer_of_several_that_never_trained_is_last_and_has_no_value() -> None:
    spec = spec_of("sgd", "adam", "adabelief")
    good = [0.5, 0.4]
    searched = search(spec, {"sgd": [[None, None]] * 3, "adam": [good] * 3, "adabelief": [good] * 3})
    found = recommend(
        "job",
        spec,
        confirm(
            spec,
            searched,
            lambda arm, seed: None if arm.label == "sgd" else 3.0 + 0.01 * seed + (arm.label == "adam"),
        ),
    )
    # The others are worse than a constant predictor, which is what the verdict counts for sgd's runs.
    assert found.optimizer in ("adam", "adabelief")
    assert [row.optimizer for row in found.ranking][-1] == "sgd"
    last = found.ranking[-1]
    assert (last.value, last.default_value, last.difference, last.probability_best) == (None, None, None, 0.0)
    assert (last.diverged_seeds, last.searched_value) == (5, None)
    assert "sgd" not in found.equivalent
    assert "sgd" not in found.optimizer_verdict.equivalent
    (row,) = [row for row in found.optimizer_verdict.differences if row.optimizer == "sgd"]
    assert (row.mean, row.low, row.high, row.percent) == (None,) * 4
    assert found.optimizer_verdict.probability_best is not None
    assert found.optimizer_verdict.probability_best["sgd"] == 0.0
    assert [one.optimizer for one in found.warnings if one.code == "untrained"] == ["sgd"]
    assert not set(numbers(found.model_dump(mode="json"))) & set(STAND_IN)


def test_defaults_that_all_diverged_are_no_values_and_bar_no_searched_config() -> None:
    spec = spec_of("sgd", "adam")
    searched = search(spec, {label: [[None, 0.4 + 0.1 * (label == "sgd")]] * 3 for label in spec.labels})
    trials = confirm(spec, searched, lambda arm, seed: None if arm.is_default else 0.5 + 0.01 * seed)
    found = recommend("job", spec, trials)
    assert found.verdict == "tie"
    assert found.config is not None
    for row in found.ranking:
        assert row.value is not None
        assert (row.default_value, row.default_diverged_seeds, row.diverged_seeds) == (None, 5, 0)
    assert "default_best" not in {one.code for one in found.warnings}
    (tuned, _) = report_of(spec, trials, found).analysis.tunability
    assert (tuned.default_value, tuned.gain) == (None, None)
    assert tuned.tuned_value is not None


def test_a_metric_to_maximize() -> None:
    spec, trials = everything("diabetes")
    assert recommend("job", mirrored(spec), trials).verdict == "nothing"


def test_confirm_stops_once_no_finalist_can_be_deployed_any_more() -> None:
    spec, trials = everything(seeds=10)
    first = [trial for trial in trials if trial.plan.phase is Phase.SEARCH or trial.plan.number < 4]
    assert reason_to_stop(spec, first) == "every finalist has diverged on a fresh seed"
    found = recommend("job", spec, first)
    assert found.stage is not None
    assert (found.stage.seeds, found.stage.stopped) == (4, "every finalist has diverged on a fresh seed")
    coming = forecast(spec, first)
    assert coming.confirm is not None
    assert (coming.confirm.pick, coming.confirm.verdict, coming.confirm.winner_next) == (
        None,
        "nothing",
        None,
    )
    assert "nothing to recommend" in coming.statement
    shown = JobForecast(
        job_id="job", state=JobState.RUNNING, seconds_per_seed=None, seconds_left=None, **coming.model_dump()
    )
    assert forecast_tables(shown)


@pytest.mark.parametrize("partly", [False, True])
def test_its_report_is_drawn_read_and_verified(partly: bool) -> None:
    spec, trials = everything()
    if partly:
        trials = confirm(spec, flat(spec), lambda arm, seed: None if arm.label == "sgd" else 0.5 + 0.1 * seed)
    found = recommend("job", spec, trials)
    report = report_of(spec, trials, found)
    again = parse_report(report.model_dump_json().encode(), name="report")
    checked = verify(again)
    assert checked.differences == []
    html = render_html(report)
    assert ("Nothing to deploy" in html) is not partly
    assert ("Paste and run" in html) is partly
    assert ("whichopt rerun" in html) is partly
    assert "diverged on 5 of 5 seeds" in html
    assert "2.3" not in json.dumps([row.model_dump() for row in report.analysis.tunability])


def test_a_report_that_shows_stand_ins_is_verified_by_them_and_not_as_a_new_one() -> None:
    spec = spec_of("sgd", "adam")
    trials = confirm(
        spec, flat(spec), lambda arm, seed: None if arm.label == "sgd" and seed == 1 else 0.5 + 0.1 * seed
    )
    old = recommend("job", spec, trials, shows_stand_ins=True)
    assert old.ranking[-1].value is not None
    assert verify(report_of(spec, trials, old)).differences == []
    new = recommend("job", spec, trials)
    mixed = new.model_copy(update={"ranking": [new.ranking[0], old.ranking[1]]})
    assert any("ranking" in one.path for one in verify(report_of(spec, trials, mixed)).differences)


def test_a_terminal_says_what_diverged_and_shows_no_mean_of_it() -> None:
    from rich.console import Console

    spec, trials = everything()
    console = Console(width=200, force_terminal=False, record=True)
    found = recommend("job", spec, trials)
    console.print(recommendation_panel(found))
    table = recommendation_table([found])
    assert isinstance(table, Listing)
    console.print(table)
    text = console.export_text()
    assert "diverged on 5 of 5 seeds" in text
    assert "nothing" in text
    assert "2.3" not in text

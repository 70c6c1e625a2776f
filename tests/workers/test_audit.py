"""Trials of a report, drawn at random and trained again: which are drawn, what agrees, what it finds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.builders.present import present
from tests.builders.reports import motley_report, with_trials
from whichopt.service.errors import InvalidQuery, InvalidReport
from whichopt.service.evidence.report.document import Report, evidence
from whichopt.service.evidence.report.draw import chance_of_a_hit, chances, draw, drawable
from whichopt.service.evidence.report.files import read_report
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.records import RecordedTrial
from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import TrialResult
from whichopt.service.versions import RULES
from whichopt.workers.audit import audit, audited, main
from whichopt.workers.retrained import Retrained, trained_by
from whichopt.workers.tolerances import Tolerances, trial_agreement

EARLIER = Path(__file__).parents[1] / "earlier"


@pytest.fixture(scope="module")
def report() -> Report:
    return motley_report()


def concluded(report: Report, trials: list[RecordedTrial]) -> Report:
    """The report with other trials, and with what follows from them."""
    told = recommend(report.job.id, report.spec, trials)
    return evidence(report.job, report.spec, trials, told, report.environments)


def with_result(report: Report, place: int, **update: object) -> list[RecordedTrial]:
    trials = list(report.trials)
    result = present(trials[place].result).model_copy(update=update)
    trials[place] = trials[place].model_copy(update={"state": result.state, "result": result})
    return trials


# -- the draw ------------------------------------------------------------------------------------------


def test_each_trial_is_drawn_as_often_as_any_other() -> None:
    """4 of 20, by 2,000 seeds: each is drawn 400 times, give or take 5 of its standard deviations of 18."""
    counts = dict.fromkeys(range(20), 0)
    for seed in range(2000):
        places = draw(range(20), 4, seed)
        assert len(set(places)) == 4
        for place in places:
            counts[place] += 1
    assert all(abs(count - 400) < 5 * 18 for count in counts.values()), counts
    assert draw(range(20), 30, 1) == list(range(20))


def test_the_chance_of_a_hit_is_what_draws_give() -> None:
    assert chance_of_a_hit(trials=10, forged=1, drawn=3) == pytest.approx(0.3)
    assert chance_of_a_hit(trials=10, forged=8, drawn=3) == 1.0
    assert chance_of_a_hit(trials=5, forged=1, drawn=9) == 1.0
    told = chances(80, 8)
    assert [(one.share, one.forged) for one in told] == [(0.25, 20), (0.1, 8), (None, 1)]
    forged = set(range(0, 80, 4))
    hits = sum(bool(forged & set(draw(range(80), 8, seed))) for seed in range(1000))
    assert abs(hits / 1000 - told[0].chance) < 4 * (0.912 * 0.088 / 1000) ** 0.5


def test_a_trial_that_time_has_stopped_is_not_drawn(report: Report) -> None:
    stopped = with_result(report, 3, state=TrialState.CANCELLED, value=None)
    assert 3 not in drawable(stopped)
    assert len(drawable(stopped)) == len(report.trials) - 1


# -- trained again -------------------------------------------------------------------------------------


@pytest.mark.bits
def test_every_trial_gives_the_same_bits(report: Report) -> None:
    """Those of the search, each with its rungs, and those of confirm."""
    found = audit(report, trials=10_000, seed=0)
    assert found.holds, found
    assert {one.outcome for one in found.drawn} == {"same bits"}
    assert all(one.bits for one in found.drawn)
    assert [one.place for one in found.drawn] == list(range(len(report.trials)))
    states = {one.reported_state for one in found.drawn}
    assert states == {TrialState.COMPLETE, TrialState.PRUNED, TrialState.DIVERGED}
    assert (found.unlike, found.other_facts, found.stopped) == ([], {}, 0)
    assert found.chances[-1].chance == 1.0


@pytest.mark.bits
@pytest.mark.parametrize("phase", list(Phase))
def test_a_value_that_training_does_not_give_is_found(report: Report, phase: Phase) -> None:
    """In the last digit, of a report that follows from it in all: `verify` finds nothing."""
    place = next(i for i, one in enumerate(report.trials) if one.plan.phase is phase and one.plan.number == 1)
    result = present(report.trials[place].result)
    split = "test" if phase is Phase.CONFIRM else "validation"
    value = present(result.value) * (1 + 1e-9)
    metrics = {**result.metrics, split: {**result.metrics[split], "nll": value}}
    curves = dict(result.curves)
    if phase is Phase.SEARCH:
        *points, last = curves["validation.nll"]
        curves["validation.nll"] = [*points, last._replace(value=value)]
    forged = concluded(report, with_result(report, place, value=value, metrics=metrics, curves=curves))
    found = audit(forged, trials=10_000, seed=1)
    assert found.consistent
    assert not found.holds
    assert [one.place for one in found.drawn if not one.agrees] == [place]
    assert "1 of them does not give what the report says" in found.statement


def test_the_same_seed_draws_the_same_trials_and_none_draws_others(report: Report) -> None:
    def recorded(report: Report, plans: object) -> Retrained:
        by_plan = {one.plan.model_dump_json(): one.result for one in report.trials}
        results = [present(by_plan[plan.model_dump_json()]) for plan in plans]  # type: ignore[attr-defined]
        return Retrained(results, report.environments[0])

    one, again, other = (audited(report, trials=8, seed=seed, train=recorded) for seed in (5, 5, 6))
    assert one == again
    assert [row.place for row in one.drawn] != [row.place for row in other.drawn]
    assert f"8 of the {len(report.trials)} trials were trained again" in one.statement


def test_where_bits_are_not_promised_a_tolerance_decides() -> None:
    """A report of version 0.1, whose products were those of MKL without its reproducible mode."""
    earlier = read_report(EARLIER / "0.1" / "reports" / "finished.json")
    found = audit(earlier, trials=12, seed=3)
    assert found.holds, found
    assert not any(one.bits for one in found.drawn)
    place = found.drawn[0].place
    moved = present(earlier.trials[place].result)
    train = trained_by(None, None)
    values = {one.place: one.again for one in found.drawn}
    assert values[place] is not None or moved.value is None
    tolerance = present(Tolerances.of(earlier).of_trial(earlier.trials[place]))
    assert tolerance > 0
    again = train(earlier, [earlier.trials[place].plan]).results[0]
    for times, outcome in ((0.5, "within tolerance"), (1.5, "differs")):
        if again.value is None:
            continue
        there = again.model_copy(update={"value": again.value + times * tolerance})
        assert trial_agreement(there, again, tolerance, tolerance, curve="validation.nll") == outcome


def test_what_ended_otherwise_differs(report: Report) -> None:
    complete = next(present(one.result) for one in report.trials if one.state is TrialState.COMPLETE)
    pruned = next(present(one.result) for one in report.trials if one.state is TrialState.PRUNED)
    diverged = TrialResult.model_validate(
        {**complete.model_dump(), "state": "diverged", "value": None, "metrics": {}, "curves": {}}
    )

    def agrees(one: TrialResult, other: TrialResult) -> str:
        return trial_agreement(one, other, 0.1, 0.1, curve="validation.nll")

    assert agrees(complete, diverged) == agrees(diverged, complete) == "differs"
    assert agrees(diverged, diverged.model_copy(update={"steps": 1})) == "within tolerance"
    short = complete.model_copy(
        update={
            "state": TrialState.PRUNED,
            "value": None,
            "curves": {name: points[:1] for name, points in complete.curves.items()},
        }
    )
    assert agrees(short, complete) == "within tolerance", "the threshold lies between two values that agree"
    points = pruned.curves["validation.nll"]
    far = {"validation.nll": [one._replace(value=one.value + 1) for one in points]}
    assert agrees(pruned, pruned.model_copy(update={"curves": far})) == "differs"


# -- what cannot be audited ----------------------------------------------------------------------------


def test_what_is_not_consistent_is_not_trained(report: Report) -> None:
    found = audit(with_trials(report, report.trials[1:]), seed=0)
    assert not found.holds
    assert not found.consistent
    assert found.drawn == []
    assert "`whichopt verify` says where" in found.statement


def test_what_cannot_be_audited_is_said(report: Report) -> None:
    with pytest.raises(InvalidQuery, match="--trials is 0; allowed: a whole number, 1 or more"):
        audit(report, trials=0)
    with pytest.raises(InvalidQuery, match="--seed is -1"):
        audit(report, seed=-1)
    with pytest.raises(InvalidReport, match="not about a function"):
        audit(report, seed=0, function="train.py:fit")
    newer = report.model_copy(update={"spec": report.spec.model_copy(update={"rules": RULES + 1})})
    with pytest.raises(InvalidReport, match=f"planned by rules {RULES + 1}"):
        audit(newer)


@pytest.mark.bits
def test_the_command_prints_the_seed_the_trials_and_the_chances(
    report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    path.write_text(report.model_dump_json())
    assert main([str(path), "--trials", "3"]) == 0
    out = capsys.readouterr().out
    assert out.count("same bits") == 3 + 1  # a row each, and the statement
    assert "had been forged" in out
    assert main([str(path), "--trials=3", "--seed=11", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["seed"], told["holds"], len(told["drawn"])) == (11, True, 3)
    assert main([str(path), "--trials=0"]) == 2
    assert "--trials is 0" in capsys.readouterr().err
    path.write_text(with_trials(report, report.trials[1:]).model_dump_json())
    assert main([str(path)]) == 1
    assert main([str(tmp_path / "none.json")]) == 2

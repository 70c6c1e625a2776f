"""Whether a lead would hold on new test examples, and what the verdict says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.builders.datasets import CONTENT, FILE, make_table
from tests.builders.trials import confirm, flat, spec_of
from whichopt.service.by_example import written
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.planning.finalists import Finalist
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase
from whichopt.service.trials import Trial
from whichopt.service.views import Recommendation

MEANS = {"adam": 0.1, "sgd": 0.5, "adamw": 0.9}
EXAMPLES = 36

Values = Callable[[Trial], np.ndarray]
"""The values by example of a run, whatever their mean: it is moved to the run's value."""


def job(*labels: str, upload: bool = False, **rest: Any) -> ResolvedSpec:
    spec = spec_of(*(labels or MEANS), dataset="wine", rules=2, seeds=8, **rest)
    assert spec.sizes.test == EXAMPLES
    if not upload:
        return spec
    changes = {"content": CONTENT, "upload": make_table().upload(FILE)}
    return spec.model_copy(update={"workload": spec.workload.model_copy(update=changes)})


def value(arm: Finalist, seed: int) -> float:
    return MEANS[arm.label] + 0.2 * arm.is_default + 0.001 * ((seed * 7 + len(arm.label)) % 5)


def with_values(trials: list[Trial], values: Values) -> list[Trial]:
    """The confirm runs with values by example, whose means are the runs' values."""
    given = []
    for trial in trials:
        if trial.plan.phase is Phase.CONFIRM and trial.result is not None and trial.result.value is not None:
            found = values(trial)
            found = found - found.mean() + trial.result.value
            trial = trial.model_copy(update={"result": trial.result.with_examples(written(found))})
        given.append(trial)
    return given


def concluded(spec: ResolvedSpec, values: Values | None) -> Recommendation:
    trials = confirm(spec, flat(spec), value)
    return recommend("job", spec, trials if values is None else with_values(trials, values))


def alike(trial: Trial) -> np.ndarray:
    """Examples are hard or easy for all configs alike, but for little."""
    random = np.random.default_rng([trial.plan.number, len(trial.plan.label)])
    return 5.0 * np.arange(EXAMPLES) + 0.01 * random.standard_normal(EXAMPLES)


def few(trial: Trial) -> np.ndarray:
    """The lead of adam is that of two examples."""
    return np.where(np.arange(EXAMPLES) < 2, MEANS[trial.plan.label] * EXAMPLES / 2, 0.0)


def test_a_lead_on_every_example_holds() -> None:
    found = concluded(job(), alike)
    over = found.over_examples
    assert found.verdict == "winner"
    assert over is not None
    assert (over.rival, over.examples, over.kept, over.level, over.holds) == ("sgd", 36, 36, 0.95, True)
    assert over.seeds == found.seeds
    assert over.mean == pytest.approx(0.4, abs=0.01)
    assert 0.3 < over.low < over.mean < over.high < 0.5
    assert ": on this test split, over" in found.statement
    assert "The lead would hold on new examples like these" in found.statement


def test_a_lead_on_two_examples_is_about_these_examples() -> None:
    found = concluded(job(), few)
    assert found.verdict == "winner"
    assert found.over_examples is not None
    assert found.over_examples.holds is False
    assert found.over_examples.low < 0
    assert ": on these 36 test examples, over" in found.statement
    assert "It is not shown that the lead would hold on new examples like these" in found.statement


def test_evidence_decides_for_a_small_upload_and_its_size_if_there_is_none() -> None:
    assert ": on this test split, over" in concluded(job(upload=True), alike).statement
    assert ": on these 36 test examples, over" in concluded(job(upload=True), few).statement
    assert ": on these 36 test examples, over" in concluded(job(upload=True), None).statement


def test_without_values_there_is_nothing_and_the_json_is_as_ever() -> None:
    found = concluded(job(), None)
    assert found.over_examples is None
    assert "over_examples" not in found.model_dump(mode="json")
    assert "new examples" not in found.statement


def test_a_run_that_lacks_them_leaves_none() -> None:
    trials = with_values(confirm(job(), flat(job()), value), alike)
    last = trials[-1]
    assert last.result is not None
    trials[-1] = last.model_copy(update={"result": last.result.with_examples(None)})
    found = recommend("job", job(), trials)
    assert found.over_examples is None
    assert found.verdict == "winner"


def test_more_than_the_margin_is_claimed_and_has_to_hold() -> None:
    """adam leads sgd by 0.4: shown beyond 0.1 on new examples, but not beyond 0.35 where examples differ."""

    def uneven(trial: Trial) -> np.ndarray:
        return alike(trial) + (trial.plan.label == "sgd") * 0.2 * np.sin(np.arange(EXAMPLES))

    for margin, holds in ((0.1, True), (0.35, False)):
        found = concluded(job(margin={"absolute": margin}), uneven)
        assert found.verdict == "winner"
        assert found.over_examples is not None
        assert found.over_examples.low > 0
        assert found.over_examples.holds is holds


def test_an_only_optimizer_is_held_against_its_default() -> None:
    found = concluded(job("adam"), alike)
    over = found.over_examples
    assert over is not None
    assert (over.rival, over.holds) == ("adam", True)
    assert over.mean == pytest.approx(0.2, abs=0.01)
    found = concluded(job("adam"), lambda trial: few(trial) * (5.0 if trial.plan.replicate is None else 1.0))
    assert found.over_examples is not None
    assert found.over_examples.holds is False
    assert "on these 36 test examples" in found.statement


def test_a_tie_claims_no_lead() -> None:
    spec = job("adam", "sgd")
    trials = confirm(spec, flat(spec), lambda arm, seed: 0.5 + 0.1 * ((seed + len(arm.label)) % 2))
    found = recommend("job", spec, with_values(trials, alike))
    assert found.verdict == "tie"
    assert found.over_examples is not None
    assert found.over_examples.holds is None
    assert ": on this test split, over" in found.statement


def test_a_larger_metric_is_better_if_it_is_to_be_maximized() -> None:
    by_accuracy = {"dataset": {"name": "wine"}, "model": {"name": "mlp"}, "metric": "accuracy"}
    spec = job(workload=by_accuracy)
    trials = confirm(spec, flat(spec), lambda arm, seed: 1 - value(arm, seed))
    found = recommend("job", spec, with_values(trials, alike))
    assert found.optimizer == "adam"
    assert found.over_examples is not None
    assert found.over_examples.mean == pytest.approx(0.4, abs=0.01)
    assert found.over_examples.holds


def test_of_a_large_split_the_lead_is_that_of_all_examples() -> None:
    spec = job()
    sizes = replace(spec.sizes, test=40_000)
    spec = spec.model_copy(update={"workload": spec.workload.model_copy(update={"sizes": sizes})})

    def part(trial: Trial) -> np.ndarray:
        random = np.random.default_rng([trial.plan.number, len(trial.plan.label)])
        return random.standard_normal(10_000)

    trials = with_values(confirm(spec, flat(spec), value), part)
    found = recommend("job", spec, trials)
    assert found.over_examples is not None
    assert (found.over_examples.examples, found.over_examples.kept) == (40_000, 10_000)
    assert found.over_examples.mean == pytest.approx(0.4, abs=0.01)

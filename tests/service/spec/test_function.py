"""The spec of a job about a person's own function: what is asked, what it resolves to, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.builders.guests import GUEST, guest_spec, rehearsed
from whichopt.service.catalog.shapes import Sizes
from whichopt.service.errors import BudgetNeeded, InvalidSpec
from whichopt.service.planning.rounds import evaluations, next_round
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.service.spec.digest import digest
from whichopt.service.spec.recorded import resolved_again
from whichopt.service.spec.upgrade import goal_of
from whichopt.service.states import Direction
from whichopt.service.trials import TrialResult
from whichopt.workers.sampler import suggest


def asked(**rest: Any) -> JobSpec:
    return JobSpec.model_validate({**GUEST, **rest})


def test_it_resolves_to_lengths_in_epochs_and_a_goal_of_its_own() -> None:
    spec = resolve(asked())
    assert spec.guest is not None
    assert (spec.workload.title, spec.workload.function_name) == ("ourlab.train:fit", "ourlab.train:fit")
    assert (spec.goal.metric, spec.goal.direction, spec.unit) == ("val_loss", Direction.MINIMIZE, "epochs")
    assert (spec.sizes, spec.batch_size, spec.length) == (Sizes(1, 1, 1), 1, spec.budget.epochs)
    assert evaluations(spec) == tuple(range(1, spec.budget.epochs + 1))
    assert spec.executors == dict.fromkeys(spec.labels, "guest")
    assert spec.trained_by == "guest"
    first = next_round(spec, [], suggest)
    assert first is not None
    assert all(len(cohort) <= 4 for cohort in first.cohorts)
    assert {plan.length for cohort in first.cohorts for plan in cohort} == {spec.budget.epochs}


def test_a_metric_can_be_maximized_and_options_stand_beside_the_name() -> None:
    function = {"name": "ourlab.train:fit", "options": {"depth": 18, "root": None}}
    spec = resolve(asked(workload={"function": function, "maximize": "auc", "baseline": 0.5, "version": "2"}))
    assert spec.guest is not None
    assert (spec.goal.metric, spec.goal.sign) == ("auc", -1)
    assert spec.guest.function.options == {"depth": 18, "root": None}
    assert (spec.workload.baseline, spec.guest.version) == (0.5, "2")


def test_a_resolved_spec_resolves_to_itself_without_what_was_found_out() -> None:
    spec = guest_spec(judged_on="test")
    again = resolve(JobSpec.model_validate(spec.model_dump(mode="json")))
    assert again.guest is not None
    assert again.guest.rehearsed is None
    assert resolve(JobSpec.model_validate(again.model_dump(mode="json"))) == again
    assert digest(again) == digest(spec)
    assert resolved_again(spec) == spec
    assert ResolvedSpec.model_validate_json(spec.model_dump_json()) == spec
    assert goal_of(spec.model_dump(mode="json")) == spec.goal


def test_what_differs_in_the_request_differs_in_the_digest() -> None:
    workloads: list[dict[str, Any]] = [
        {"function": "ourlab.train:fit", "minimize": "val_loss"},
        {"function": "ourlab.train:fit", "maximize": "val_loss"},
        {"function": "ourlab.train:fit", "minimize": "loss"},
        {"function": "ourlab.train:other", "minimize": "val_loss"},
        {"function": {"name": "ourlab.train:fit", "options": {"a": 1}}, "minimize": "val_loss"},
        {"function": "ourlab.train:fit", "minimize": "val_loss", "version": "2"},
        {"function": "ourlab.train:fit", "minimize": "val_loss", "baseline": 1.0},
    ]
    digests = {digest(resolve(asked(workload=workload))) for workload in workloads}
    assert len(digests) == len(workloads)


def test_a_rehearsal_names_the_metrics_and_is_of_the_same_one() -> None:
    spec = resolve(asked())
    assert spec.guest is not None
    known = spec.guest.with_rehearsal(rehearsed(spec))
    assert known.goal.metrics == ("val_loss", "accuracy")
    assert known.source == known.rehearsed.source if known.rehearsed else False
    with pytest.raises(ValueError, match="is not 'val_loss'"):
        spec.guest.with_rehearsal(rehearsed(spec).model_copy(update={"metrics": ("accuracy",)}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("batch_size", 64),
        ("clip_norm", 1.0),
        ("kernels", "compiled"),
        ("kernels", "torch"),
        ("executor", "stacked"),
        ("agreement", "bits"),
    ],
)
def test_keys_that_mean_nothing_to_a_function_are_refused_with_the_reason(key: str, value: Any) -> None:
    with pytest.raises(InvalidSpec, match=f"{key} means nothing to a person's own function: ") as caught:
        resolve(asked(**{key: value}))
    assert (caught.value.field, caught.value.value) == (key, value)


def test_executors_are_those_of_the_workloads_kind() -> None:
    labels = resolve(asked()).labels
    assert resolve(asked(executors=dict.fromkeys(labels, "guest"))).trained_by == "guest"
    with pytest.raises(
        InvalidSpec, match="cannot be trained by 'solo': the workload is the function"
    ) as caught:
        resolve(asked(executors=dict.fromkeys(labels, "solo")))
    assert caught.value.allowed == ["guest"]
    wine = {"workload": {"dataset": "wine", "model": "linear"}, "optimizers": ["sgd"]}
    with pytest.raises(InvalidSpec, match="cannot be trained by 'guest': the workload is linear on wine"):
        resolve(JobSpec.model_validate({**wine, "executors": {"sgd": "guest"}}))


@pytest.mark.parametrize("budget", [None, {}, {"epochs": 5}, {"trials": None}])
def test_a_budget_is_needed(budget: Any) -> None:
    with pytest.raises(BudgetNeeded, match=r"needs budget\.minutes or budget\.trials"):
        asked(budget=budget)


@pytest.mark.parametrize(
    ("workload", "says"),
    [
        ({"function": "a:b"}, "by `minimize` or by `maximize`"),
        ({"function": "a:b", "minimize": "x", "maximize": "y"}, "one of the two"),
        ({"function": "a:b", "minimize": "a metric"}, "pattern"),
        ({"function": "a:b", "minimize": "x", "dataset": "wine"}, "Extra inputs"),
        ({"function": "a:b", "minimize": "x", "baseline": "0.5"}, "valid number"),
        ({"function": {"name": "a:b", "model": 1}, "minimize": "x"}, "Extra inputs"),
        ({"dataset": "wine", "model": "linear", "minimize": "x"}, "Extra inputs"),
    ],
)
def test_a_workload_is_of_one_kind_and_has_one_goal(workload: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        asked(workload=workload)


def test_a_start_stands_in_the_json_only_if_there_is_one() -> None:
    result = TrialResult(state="complete", value=1.0, metrics={}, curves={}, steps=1, examples=1, seconds=0.1)
    assert "start" not in result.model_dump(mode="json")
    assert '"start"' not in result.model_dump_json()

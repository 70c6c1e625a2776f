"""Today's config: what is written out of it, what is refused, and what a job without one does not notice."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from whichopt.service.catalog.optimizer_entry import OptimizerEntry
from whichopt.service.catalog.optimizers import OPTIMIZERS
from whichopt.service.errors import InvalidSpec, UnknownName
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.service.spec.digest import digest
from whichopt.service.spec.recorded import resolved_again
from whichopt.service.spec.upgrade import packed_of
from whichopt.workers.candidates import candidate
from whichopt.workers.engine.optimizers import optimizer_class
from whichopt.workers.tune.asked import spec_of as asked_of


class Mine(torch.optim.SGD):
    """A person's own class."""

    def __init__(self, params: Any, lr: float, kick: float = 0.5) -> None:
        super().__init__(params, lr=lr)
        self.kick = kick


WORKLOAD = {"dataset": {"name": "digits"}, "model": {"name": "mlp"}}


def resolved(today: Any, **parts: Any) -> ResolvedSpec:
    body = {"workload": WORKLOAD, "optimizers": ["sgd", "adam"], **parts, "today": today}
    return resolve(JobSpec.model_validate(body))


def test_what_is_left_out_is_what_the_class_does_by_itself_and_not_our_first_trial() -> None:
    today = resolved({"name": "sgd", "config": {"lr": 0.3}}).today
    assert today is not None
    assert today.config == {"lr": 0.3, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0}


@pytest.mark.parametrize("entry", OPTIMIZERS, ids=lambda entry: entry.name)
def test_the_catalog_knows_what_each_class_does_by_itself(entry: OptimizerEntry) -> None:
    known = inspect.signature(optimizer_class(entry.build.target)).parameters
    by_itself: dict[str, Any] = {}
    for name, one in known.items():
        parts = entry.packed.get(name, (name,))
        if set(parts) <= entry.space.keys():
            values = one.default if name in entry.packed else (one.default,)
            by_itself |= dict(zip(parts, values, strict=True))
    today = resolved({"name": entry.name}, schedule="constant").today
    assert today is not None
    assert entry.facts.own(today.config) == by_itself


def test_it_may_lie_outside_of_what_is_searched_and_betas_are_as_torch_has_them() -> None:
    today = resolved({"name": "adamw", "config": {"lr": 3.0, "betas": [0.2, 0.99]}}).today
    assert today is not None
    assert (today.config["lr"], today.config["beta1"], today.config["beta2"]) == (3.0, 0.2, 0.99)


@pytest.mark.parametrize(
    ("today", "field", "says"),
    [
        ({"name": "adamww"}, "today.name", "did you mean 'adamw'"),
        ({"name": "adamw", "config": {"lrr": 1}}, "today.config", "lrr"),
        ({"name": "adamw", "config": {"lr": "fast"}}, "today.config.lr", "must be a number"),
        ({"name": "adamw", "config": {"lr": -1.0}}, "today.config.lr", "allowed"),
        ({"name": "adamw", "config": {"betas": 0.9}}, "today.config.betas", "a list of 2"),
        ({"name": "sgd", "config": {"nesterov": True}}, "today.config.momentum", "give momentum as well"),
        ({"name": "adamw", "config": {"betas": [0.9, 0.99], "beta1": 0.5}}, "today.config.beta1", "differ"),
        ({"name": "adamw", "config": {"beta2": 0.5, "betas": [0.9, 0.99]}}, "today.config.beta2", "differ"),
    ],
)
def test_a_mistake_is_refused_by_name_and_value(today: Any, field: str, says: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        resolved(today)
    assert refused.value.field == field
    assert says in refused.value.detail


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises((InvalidSpec, ValidationError)):
        resolved({"name": "adamw", "config": {"lr": float("nan")}})


def test_its_label_is_its_own() -> None:
    with pytest.raises(InvalidSpec) as refused:
        resolved({"name": "adamw"}, optimizers=["sgd", {"name": "adam", "label": "today"}])
    assert refused.value.field == "optimizers.1.label"
    alone = resolve(
        JobSpec.model_validate({"workload": WORKLOAD, "optimizers": [{"name": "adam", "label": "today"}]})
    )
    assert alone.labels == ("today",)


def test_a_resolved_spec_resolves_to_itself_and_says_nothing_of_what_is_not_there() -> None:
    spec = resolved({"name": "radam", "config": {"lr": 1e-2}})
    again = ResolvedSpec.model_validate_json(spec.model_dump_json())
    assert again == spec == resolved_again(spec)
    assert resolve(JobSpec.model_validate(spec.model_dump(mode="json"))) == spec
    without = resolved(None)
    assert "today" not in without.model_dump(mode="json")
    assert digest(without) != digest(spec)
    assert packed_of(spec.model_dump(mode="json"))["today"] == {"betas": ("beta1", "beta2")} or packed_of(
        spec.model_dump(mode="json")
    )["today"] == {"betas": ["beta1", "beta2"]}


def test_it_has_an_executor_as_every_label_does() -> None:
    executors = {"sgd": "solo", "adam": "solo", "today": "solo"}
    assert resolved({"name": "adamw"}, executors=executors).executor_of("today") == "solo"
    with pytest.raises(InvalidSpec, match="lacks 'today'"):
        resolved({"name": "adamw"}, executors={"sgd": "solo", "adam": "solo"})


def test_earlier_rules_know_nothing_of_it() -> None:
    raw = resolved({"name": "adamw"}).model_dump(mode="json")
    with pytest.raises(ValidationError, match="rules 1"):
        ResolvedSpec.model_validate({**raw, "rules": 1})


def test_of_a_persons_own_class_it_is_what_the_class_says() -> None:
    own = candidate(
        Mine,
        space={
            "lr": {"type": "float", "low": 1e-3, "high": 1.0, "log": True},
            "kick": {"type": "float", "low": 0.0, "high": 1.0},
        },
        default={"lr": 0.1, "kick": 0.1},
    )
    body = {"workload": {"function": {"name": "train.py:fit"}, "minimize": "loss"}, "budget": {"trials": 6}}
    spec = asked_of({**body, "today": {"name": "mine", "config": {"lr": 0.2}}}, [own, "sgd"])
    assert spec.today is not None
    assert spec.today.config == {"lr": 0.2, "kick": 0.5}
    beyond = asked_of({**body, "today": {"name": "mine", "config": {"lr": 0.2, "kick": 7}}}, [own])
    assert beyond.today is not None
    assert beyond.today.config["kick"] == 7.0
    with pytest.raises(InvalidSpec, match="no lr, for which"):
        asked_of({**body, "today": {"name": "mine"}}, [own])
    with pytest.raises(UnknownName):
        asked_of({**body, "today": {"name": "mine"}}, ["sgd"])


class Unbounded(torch.optim.SGD):
    """A class whose own default no JSON can hold."""

    def __init__(self, params: Any, lr: float = 0.1, most: float = float("inf")) -> None:
        super().__init__(params, lr=lr)
        self.most = most


def test_numbers_that_no_spec_can_hold_are_refused_in_words() -> None:
    ranges = {name: {"type": "float", "low": 1e-3, "high": 1.0} for name in ("lr", "most")}
    own = candidate(Unbounded, space=ranges, default={"lr": 0.1, "most": 1.0})
    body = {"workload": {"function": {"name": "train.py:fit"}, "minimize": "loss"}, "budget": {"trials": 6}}
    with pytest.raises(InvalidSpec, match="the default inf, which no spec can hold; give its value"):
        asked_of({**body, "today": {"name": "unbounded"}}, [own])
    with pytest.raises(InvalidSpec, match="most cannot be 1000"):
        asked_of({**body, "today": {"name": "unbounded", "config": {"most": 10**400}}}, [own])
    with pytest.raises(InvalidSpec, match=r"default\.lr is 1000"):
        candidate(Unbounded, space=ranges, default={"lr": 10**400, "most": 1.0})


@pytest.mark.parametrize("key", ["space", "default"])
def test_a_tuple_and_its_parts_may_not_contradict_each_other(key: str) -> None:
    def asked(beta1: float) -> dict[str, Any]:
        given = {"betas": [0.9, 0.99], "beta1": beta1}
        return {"workload": WORKLOAD, "optimizers": [{"name": "adam", key: given}]}

    with pytest.raises(InvalidSpec, match="betas and beta1 are both given, and differ") as refused:
        resolve(JobSpec.model_validate(asked(0.5)))
    assert refused.value.field == f"optimizers.0.{key}.beta1"
    assert resolve(JobSpec.model_validate(asked(0.9))).optimizers[0].default["beta1"] == 0.9

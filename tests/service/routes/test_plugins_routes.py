"""Plug-ins over HTTP: known by what live workers tell, and imported by nobody."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.builders.plugins import on_path, package
from whichopt.service import plugins
from whichopt.service.catalog.optimizer_entry import Build, OptimizerFacts
from whichopt.service.catalog.origins import Origin
from whichopt.service.catalog.plugins import (
    BrokenOffer,
    DatasetOffer,
    ModelOffer,
    Offer,
    OptimizerOffer,
    Option,
)
from whichopt.service.catalog.shapes import Shape
from whichopt.service.db import Store
from whichopt.service.db.tables import worker
from whichopt.service.errors import PluginChanged
from whichopt.service.settings import Settings
from whichopt.service.space import Float
from whichopt.service.spec import ResolvedSpec
from whichopt.service.spec.needs import needs_of

KINDS = (("models", "our-net", "net"), ("datasets", "our-rings", "rings"), ("optimizers", "our-sgd", "sgd"))
ONE, OTHER = "1a" * 32, "2b" * 32


def origin(what: str, *, source: str = ONE, version: str = "1.0") -> Origin:
    return Origin(target=f"ourlab:{what}", package="ourlab", version=version, source=source)


def net(**changes: Any) -> ModelOffer:
    options = {"width": Option(type="integer", default=8), "norm": Option(type="text", default="none")}
    about = {"title": "Our network", "about": "A network of ours.", "options": options}
    return ModelOffer(**{"name": "our-net", "origin": origin("net"), **about, **changes})


RINGS = DatasetOffer(name="our-rings", origin=origin("rings"), task="classification", shape=Shape(300, 2, 2))
FACTS = OptimizerFacts(
    build=Build(target="ourlab.OurSGD"),
    default={"lr": 0.1},
    space={"lr": Float(low=1e-3, high=1.0, scale="log")},
    state_bytes=0,
    source="package ourlab 1.0",
)
SGD = OptimizerOffer(name="our-sgd", origin=origin("sgd"), title="Our SGD", facts=FACTS)
RAISES = BrokenOffer(
    name="our-other", origin=origin("other"), of="model", problem="importing it raised ImportError"
)
JOB: dict[str, Any] = {
    "workload": {"dataset": "our-rings", "model": {"name": "our-net", "width": 4}},
    "optimizers": ["our-sgd", "adam"],
    "budget": {"trials": 4, "replicates": 2, "epochs": 2, "confirm_seeds": 3},
}


def tell(store: Store, *offers: Offer, by: str = "w1") -> None:
    with store.transaction() as tx:
        tx.workers.seen(by, queue="cpu", plugins=offers)


@pytest.fixture
def told(lite: Store) -> Store:
    """The database, once a worker has told what it has."""
    tell(lite, net(), RINGS, SGD, RAISES)
    return lite


@pytest.mark.usefixtures("told")
def test_a_job_about_plug_ins_is_remembered_with_where_they_are_from(http: TestClient) -> None:
    answer = http.post("/v1/jobs", json=JOB)
    assert answer.status_code == 202, answer.text
    spec = answer.json()["spec"]
    assert spec["workload"]["model"] == {"name": "our-net", "width": 4, "norm": "none"}
    assert spec["workload"]["shape"]["examples"] == 300
    found = (
        spec["workload"]["model_origin"],
        spec["workload"]["dataset_origin"],
        spec["optimizers"][0]["origin"],
    )
    assert [one["target"] for one in found] == ["ourlab:net", "ourlab:rings", "ourlab:sgd"]
    assert "origin" not in spec["optimizers"][1]
    assert spec["optimizers"][0]["facts"]["build"]["target"] == "ourlab.OurSGD"
    assert "ourlab" not in sys.modules
    again = http.post("/v1/jobs", json=spec)
    assert again.status_code == 202, "a resolved spec may be sent again"
    assert http.get("/v1/recommendations?model=our-net&optimizer=our-sgd").status_code == 200


@pytest.mark.usefixtures("told")
def test_the_catalog_lists_them_with_their_package(http: TestClient) -> None:
    place = {"package": "ourlab", "version": "1.0"}
    for kind, name, what in KINDS:
        listed = {
            one["name"]: one["details"].get("plugin") for one in http.get(f"/v1/{kind}").json()["items"]
        }
        assert listed[name] == {**place, "target": f"ourlab:{what}"}
        assert [of for of in listed.values() if of is not None] == [listed[name]]
        assert http.get(f"/v1/{kind}/{name}").json()["details"]["plugin"] == listed[name]
    items = {one["name"]: one for one in http.get("/v1/plugins").json()["items"]}
    assert set(items) == {"our-net", "our-rings", "our-sgd", "our-other"}
    assert items["our-other"]["workers"][0]["problem"] == RAISES.problem
    assert items["our-net"]["workers"][0]["worker"] == "w1"


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    "address",
    [
        "/catalog",
        "/catalog?show=models",
        "/catalog?show=datasets",
        "/catalog/models/our-net",
        "/catalog/datasets/our-rings",
        "/catalog/optimizers/our-sgd",
        "/plugins",
    ],
)
def test_pages_show_them(http: TestClient, address: str) -> None:
    page = http.get(address)
    assert page.status_code == 200
    assert "ourlab" in page.text


@pytest.mark.usefixtures("told")
def test_the_form_of_a_new_job_offers_them_with_their_options(http: TestClient) -> None:
    page = http.get("/new?model=our-net&dataset=our-rings&optimizer=our-sgd").text
    assert 'name="model.our-net.width"' in page
    assert "our-net: our network" in page
    assert "our-rings" in page
    assert "our-sgd" in page


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    ("changes", "status", "code", "said"),
    [
        (
            {"workload": {"dataset": "wine", "model": "our-nett"}},
            422,
            "unknown_name",
            "there is no model 'our-nett'; did you mean 'our-net'?",
        ),
        (
            {"workload": {"dataset": "wine", "model": {"name": "our-net", "widht": 2}}},
            422,
            "unknown_name",
            "there is no option 'widht'; did you mean 'width'?",
        ),
        (
            {"workload": {"dataset": "wine", "model": "our-other"}},
            422,
            "plugin_failed",
            "the model 'our-other' from ourlab 1.0 cannot be used: importing it raised ImportError",
        ),
        (
            {"workload": {"dataset": "wine", "model": "os:system"}},
            422,
            "unknown_function",
            "the operator allows no model 'os:system'; none is allowed",
        ),
        (
            {"workload": {"dataset": "wine", "model": "os:system; x"}},
            422,
            "unknown_function",
            "'os:system; x' is no name of a model",
        ),
    ],
)
def test_what_is_wrong_is_said_at_the_door(
    http: TestClient, changes: dict[str, Any], status: int, code: str, said: str
) -> None:
    answer = http.post("/v1/jobs", json={**JOB, **changes})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert said in answer.json()["detail"]


def test_one_that_differs_between_workers_is_refused(http: TestClient, told: Store) -> None:
    tell(told, net(origin=origin("net", source=OTHER, version="2.0")), by="w2")
    answer = http.post("/v1/jobs", json=JOB)
    assert (answer.status_code, answer.json()["code"]) == (422, "plugin_changed")
    holders = "ourlab 1.0, source 1a1a1a1a1a1a1a1a (w1); ourlab 2.0, source 2b2b2b2b2b2b2b2b (w2)"
    assert holders in answer.json()["detail"]
    items = {one["name"]: one["same"] for one in http.get("/v1/plugins").json()["items"]}
    assert items == {"our-net": False, "our-rings": True, "our-sgd": True, "our-other": True}


def test_a_job_is_not_planned_by_another_one_than_it_began_with(
    http: TestClient, told: Store, settings: Settings
) -> None:
    begun = ResolvedSpec.model_validate(http.post("/v1/jobs", json=JOB).json()["spec"])
    tell(told, net(origin=origin("net", source=OTHER)))
    with (
        told.read() as tx,
        pytest.raises(PluginChanged, match="the model 'our-net' is not the same everywhere"),
    ):
        plugins.check_unchanged(tx, begun, queue="cpu", within_s=settings.worker_alive_s)


def test_one_that_is_installed_but_on_no_live_worker_is_known_by_name_alone(
    http: TestClient, tmp_path: Path
) -> None:
    site = package(
        tmp_path / "site", "ourlab", "raise AssertionError('nobody imports it')", model={"our-net": "net"}
    )
    with on_path(site):
        answer = http.post("/v1/jobs", json={**JOB, "workload": {"dataset": "wine", "model": "our-net"}})
        listed = http.get("/v1/plugins").json()["items"]
    assert (answer.status_code, answer.json()["code"]) == (409, "plugin_missing")
    assert "is from the package ourlab, which no live worker offers" in answer.json()["detail"]
    assert [(one["name"], one["package"], one["workers"]) for one in listed] == [("our-net", "ourlab", [])]
    assert "ourlab" not in sys.modules


def test_a_network_by_an_allowed_name_gets_any_options(
    http: TestClient, lite: Store, settings: Settings
) -> None:
    allowing = settings.model_copy(update={"allow": "torchvision.models:resnet18"})
    http.app.state.settings = allowing  # type: ignore[attr-defined]
    with lite.transaction() as tx:
        tx.workers.seen("w1", queue="cpu", functions={"torchvision.models:resnet18": ONE})
    model = {"name": "torchvision.models:resnet18", "num_classes": 10}
    answer = http.post(
        "/v1/jobs", json={**JOB, "optimizers": ["adam"], "workload": {"dataset": "digits", "model": model}}
    )
    assert answer.status_code == 202, answer.text
    workload = answer.json()["spec"]["workload"]
    assert workload["model"] == model
    assert workload["model_origin"] == {
        "target": model["name"],
        "package": None,
        "version": None,
        "source": ONE,
    }
    near = {"name": "torchvision.models:resnet81"}
    refused = http.post("/v1/jobs", json={**JOB, "workload": {"dataset": "digits", "model": near}})
    assert "did you mean 'torchvision.models:resnet18'?" in refused.json()["detail"]


def test_a_worker_of_another_version_that_tells_it_otherwise_is_passed_over(
    http: TestClient, told: Store
) -> None:
    other = [{"kind": "tokenizer", "name": "x"}, 3]
    with told.transaction() as tx:
        tx.connection.execute(worker.update().values(plugins=other))
    assert http.get("/v1/plugins").json()["items"] == []
    assert http.get("/v1/models").status_code == 200


def test_a_persons_own_function_may_be_trained_with_an_optimizer_of_a_plug_in(
    http: TestClient, told: Store, settings: Settings
) -> None:
    http.app.state.settings = settings.model_copy(update={"allow": "ourlab.train:fit"})  # type: ignore[attr-defined]
    workload = {"function": "ourlab.train:fit", "minimize": "val_loss"}
    answer = http.post("/v1/jobs", json={**JOB, "workload": workload, "optimizers": ["our-sgd"]})
    assert answer.status_code == 202, answer.text
    with told.read() as tx:
        spec = tx.views.job(answer.json()["id"], alive_s=10)
    assert spec is not None
    raw = spec.spec.model_dump(mode="json")
    assert needs_of(raw) == ("ourlab.train:fit", "optimizer our-sgd")

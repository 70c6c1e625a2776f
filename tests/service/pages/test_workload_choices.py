"""What can be chosen to be trained: only models that fit the dataset and the task."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from tests.builders.catalogs import motley_catalog
from tests.builders.forms import fields
from whichopt.service.catalog.built_in import built_in
from whichopt.service.catalog.image_networks import IMAGE_NETWORKS
from whichopt.service.errors import InvalidSpec
from whichopt.service.pages.new.begin import blank
from whichopt.service.pages.new.fill import filled
from whichopt.service.pages.new.form import Form, asked
from whichopt.service.pages.new.view import options_of
from whichopt.service.pages.new.workload_choices import (
    begun,
    dataset_groups,
    model_choices,
    task_choices,
    with_fitting_model,
)
from whichopt.service.spec import JobSpec, resolve

CATALOG = motley_catalog()
NETWORKS = [one.name for one in IMAGE_NETWORKS]


def form(**texts: str) -> Form:
    return blank().with_values(**texts)


def models(chosen: Form) -> list[str]:
    return [name for name, _ in model_choices(chosen, CATALOG)]


def test_datasets_stand_with_those_of_their_task_and_say_what_they_are() -> None:
    found = {"task": "classification", "shape": {"examples": 344, "features": 7, "outputs": 3}}
    groups = {
        one.title: one.choices
        for one in dataset_groups(CATALOG, [("penguins", found), ("later", None)], "asked")
    }
    assert ("digits", "digits: 1,797 images, 10 classes") in groups["Classification"]
    assert ("diabetes", "diabetes: 442 rows, regression") in groups["Regression"]
    assert groups["Writing on"] == [("book", "book: 1,500 windows, writing")]
    assert groups["Your own"] == [
        ("penguins", "penguins: 344 rows, 3 classes"),
        ("later", "later: uploaded"),
        ("asked", "asked"),
    ]


def test_only_models_that_fit_are_offered() -> None:
    assert models(form(dataset="wine")) == ["linear", "mlp", "layers", "allround"]
    assert models(form(dataset="digits")) == ["linear", "mlp", "cnn", "layers", *NETWORKS, "allround"]
    assert models(form(dataset="digits", task="meeting", model="maker")) == ["maker"]
    assert models(form(dataset="book", model="writer")) == ["allround", "writer"]


def test_abbreviations_keep_their_capitals() -> None:
    said = dict(model_choices(form(dataset="unicode_names", model="lstm"), built_in()))
    said |= dict(model_choices(form(dataset="digits"), built_in()))
    assert said["lstm"] == "lstm: LSTM"
    assert said["resnet18"] == "resnet18: ResNet-18"
    assert said["mlp"] == "mlp: multilayer perceptron"


def test_a_model_that_is_asked_for_and_does_not_fit_stands_there_and_says_so() -> None:
    assert model_choices(form(dataset="book", model="mlp"), CATALOG) == [
        ("allround", "allround: allround"),
        ("writer", "writer: writer"),
        ("mlp", "mlp: does not fit"),
    ]


def test_another_task_of_a_dataset_can_be_chosen() -> None:
    assert task_choices(form(dataset="wine"), CATALOG) == []
    assert task_choices(form(dataset="digits"), CATALOG) == [
        ("", "Classification"),
        ("meeting", "Meeting the data"),
    ]
    chosen = form(dataset="digits", task="meeting", model="maker", metric="found")
    assert [name for name, _ in options_of(chosen, CATALOG).metrics] == ["", "found"]
    made = asked(chosen, CATALOG).spec["workload"]
    assert made == {"dataset": "digits", "task": "meeting", "model": "maker", "metric": "found"}
    assert resolve(JobSpec.model_validate({"workload": made}), CATALOG).workload.task == "meeting"


def test_a_task_that_was_chosen_with_another_dataset_does_not_count() -> None:
    made = asked(form(dataset="wine", task="meeting"), CATALOG).spec["workload"]
    assert made == {"dataset": "wine", "model": "mlp"}


def test_a_form_of_a_job_has_its_task() -> None:
    spec = resolve(
        JobSpec.model_validate(
            {"workload": {"dataset": "digits", "task": "meeting", "model": "maker", "metric": "found"}}
        ),
        CATALOG,
    )
    found = filled(spec, CATALOG, lambda sent: resolve(sent, CATALOG))
    assert found.lost == ()
    assert found.form.text("task") == "meeting"


@pytest.mark.parametrize(
    ("texts", "model"),
    [
        ({"dataset": "wine"}, "mlp"),
        ({"dataset": "book"}, "writer"),
        ({"dataset": "digits", "task": "meeting"}, "maker"),
        ({"dataset": "wine", "model": "cnn"}, "linear"),
        ({"dataset": "nobody's"}, "mlp"),
    ],
    ids=str,
)
def test_with_another_dataset_comes_a_model_that_fits(texts: dict[str, str], model: str) -> None:
    assert with_fitting_model(form(**texts), CATALOG).text("model") == model


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, ("digits", "", "mlp")),
        ({"model": "writer"}, ("book", "", "writer")),
        ({"model": "maker"}, ("circle", "", "maker")),
        ({"task": "meeting"}, ("circle", "", "maker")),
        ({"dataset": "digits", "task": "meeting"}, ("digits", "meeting", "maker")),
        ({"task": "writing"}, ("book", "", "writer")),
        ({"task": "regression", "model": "linear"}, ("diabetes", "", "linear")),
        ({"dataset": "circle"}, ("circle", "", "maker")),
        ({"dataset": "digits"}, ("digits", "", "cnn")),
        ({"dataset": "digits", "model": "mlp"}, ("digits", "", "mlp")),
        ({"dataset": "mnist1d"}, ("mnist1d", "", "mlp")),
        ({"dataset": "book", "model": "mlp"}, ("book", "", "mlp")),
    ],
    ids=str,
)
def test_an_address_may_give_any_of_them_and_what_fits_comes_with_it(
    given: dict[str, str], found: tuple[str, str, str]
) -> None:
    shown = begun(form(**given), CATALOG, given)
    assert (shown.text("dataset"), shown.text("task"), shown.text("model")) == found


def test_the_address_of_a_task_shows_a_form_that_can_be_sent(http: TestClient) -> None:
    page = http.get("/new?task=regression").text
    assert 'value="diabetes" selected' in page
    assert 'aria-invalid="true"' not in page


def test_a_model_that_does_not_fit_is_refused_at_its_field() -> None:
    made = asked(form(dataset="book"), CATALOG)
    with pytest.raises(InvalidSpec, match="the models for it are allround, writer") as refused:
        resolve(JobSpec.model_validate(made.spec), CATALOG)
    assert made.place(refused.value.field) == "model"


def test_choosing_a_dataset_brings_the_models_that_fit_and_choosing_a_model_moves_no_field(
    http: TestClient,
) -> None:
    sent = dict(fields(http.get("/new").text, ("dataset", "wine"), ("model", "cnn")))
    changed = http.post("/new/options?chosen=dataset", data=sent).text
    assert '<option value="linear" selected>' in changed
    assert 'value="cnn"' not in changed
    assert 'hx-target="#model-field"' not in http.post("/new/options?chosen=model", data=sent).text


def test_without_scripts_the_wrong_model_is_told_at_its_field(http: TestClient) -> None:
    sent = dict(fields(http.get("/new").text, ("dataset", "wine"), ("model", "cnn")))
    page = http.post("/new/check", data=sent).text
    told = page.split('data-told="model"')[1].split("</div>")[0]
    assert "needs images" in told
    assert "cnn: does not fit" in page

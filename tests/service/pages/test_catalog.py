"""The pages of the catalog: every entry has one, with its formula, its ranges and what past jobs said."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient

from tests.builders.concluded_jobs import concluded_job
from tests.builders.datasets import add_dataset
from tests.builders.jobs import add_job, make_spec
from tests.builders.optimizers import SIGN_DESCENT, add_to_catalog
from whichopt.service.catalog import datasets, models, optimizers, tasks
from whichopt.service.catalog.update import LETTERS
from whichopt.service.catalog.updates import UPDATES
from whichopt.service.db import Store
from whichopt.service.pages.catalog.mathml import mathml
from whichopt.service.pages.catalog.page import lr_axis, lr_range
from whichopt.service.raced import Tally

NAMES = [entry.name for entry in optimizers.OPTIMIZERS]
PAGES = [
    *(f"/catalog?show={kind}" for kind in ("optimizers", "datasets", "models", "tasks")),
    *(f"/catalog/optimizers/{name}" for name in NAMES),
    *(f"/catalog/models/{entry.name}" for entry in models.MODELS),
    *(f"/catalog/datasets/{entry.name}" for entry in datasets.DATASETS),
    *(f"/catalog/tasks/{entry.name}" for entry in tasks.TASKS),
]


def words(http: TestClient, path: str, status: int = 200) -> str:
    page = http.get(path)
    assert page.status_code == status
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page.text)))


@pytest.mark.parametrize("path", PAGES)
def test_every_entry_has_a_page_that_keeps_the_policy(http: TestClient, path: str) -> None:
    page = http.get(path)
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert not re.search(r"\sstyle=|\son\w+=|<script>", page.text)


def test_every_optimizer_has_a_formula_of_its_own_hyperparameters() -> None:
    assert set(UPDATES) == set(NAMES), "an update for each optimizer, in service/catalog/updates.py"
    for entry in optimizers.OPTIMIZERS:
        text = "".join(UPDATES[entry.name].lines)
        used = {
            name
            for name, letter in LETTERS.items()
            if re.search(rf"(?<![A-Za-z]){re.escape(letter)}(?![A-Za-z_])", text)
        }
        wanted = {name for name in entry.space if name in LETTERS}
        assert used == wanted, entry.name


@pytest.mark.parametrize("name", UPDATES)
def test_the_formulas_become_mathml(name: str) -> None:
    for line in UPDATES[name].lines:
        made = mathml(line)
        assert made.startswith("<math")
        assert "\\" not in made
        assert "{" not in made
        for tag in ("mrow", "msub", "msup", "mfrac", "msqrt", "mover"):
            assert made.count(f"<{tag}>") + made.count(f"<{tag} ") == made.count(f"</{tag}>")


@pytest.mark.parametrize("formula", [r"\unknown", "a }", "{ a", r"\frac{a}", "a & b"])
def test_a_formula_that_is_not_understood_is_refused(formula: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        mathml(formula)


def test_the_list_shows_what_past_jobs_picked(http: TestClient, lite: Store) -> None:
    concluded_job(lite)
    concluded_job(lite)
    add_job(lite)  # has not ended
    with lite.read() as tx:
        assert tx.raced.tallies() == {"adabelief": Tally(2, 2, 0), "sgd": Tally(2, 0, 0)}
    told = words(http, "/catalog")
    assert "AdaBelief 8 B picked in 2 of 2 jobs" in told
    assert "SGD with momentum 4 B picked in 0 of 2 jobs" in told
    assert "LAMB 8 B no job yet" in told
    assert "so this is no ranking" in told


def test_an_optimizer_shows_its_jobs_in_their_words(http: TestClient, lite: Store) -> None:
    spec = make_spec(
        name="<script>alert(1)</script>", optimizers=[{"name": "adabelief", "label": "b"}, "sgd"]
    )
    _, uid = concluded_job(lite, spec)
    page = http.get("/catalog/optimizers/adabelief").text
    assert f'<a class="name" href="/jobs/{uid}">&lt;script&gt;alert(1)&lt;/script&gt;</a>' in page
    assert "<script>alert" not in page
    told = words(http, "/catalog/optimizers/adabelief")
    assert "linear on wine no clear winner b 0.50 0.001 nll 0.2 → 0.2 lower is better" in told
    assert "picked in 1 of 1 job of this service, as the clear winner in 0" in told
    assert "No job of this service has compared it yet" in words(http, "/catalog/optimizers/lamb")
    assert 'href="/new?optimizer=adabelief"' in page


def test_an_optimizer_shows_its_default_and_its_ranges(http: TestClient) -> None:
    told = words(http, "/catalog/optimizers/sgd")
    assert "lr 0.02 0.0001 5 by factors (log)" in told
    assert "momentum 0.9 0.7 0.995 by factors of 1 − value" in told
    assert "weight_decay 0 1e-7 0.01 by factors (log); the default lies outside" in told
    assert "nesterov off off, on one of these" in told
    assert (
        "optimizer = SGD( model.parameters(), lr=0.02, momentum=0.9, nesterov=False, weight_decay=0.0, )"
        in told
    )
    assert "nesterov needs momentum above 0." in told


def test_an_optimizer_whose_batches_grow_says_how(http: TestClient) -> None:
    page = html.unescape(http.get("/catalog/optimizers/adadagrad").text)
    assert "Its batches grow with the noise of the gradient" in page
    assert 'title="examples of the first batch">batch_start</th>' in page
    code = page.split('<pre id="default" tabindex="0">')[1].split("</pre>")[0]
    made, loop = code.split("\nfor ")
    known: dict[str, Any] = {"model": torch.nn.Linear(2, 1)}
    exec(made, known)
    assert (type(known["optimizer"]), known["batch"].size) == (torch.optim.Adagrad, 32)
    known |= {"loss": torch.nn.functional.mse_loss}
    known["micro_batches"] = [(torch.ones(8, 2), torch.ones(8, 1))] * 4
    before = known["model"].weight.clone()
    exec(f"for {loop}", known)
    assert not torch.equal(known["model"].weight, before)


def test_an_optimizer_that_is_added_has_a_page_without_a_formula(
    http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_to_catalog(monkeypatch, SIGN_DESCENT)
    assert "Its formula is not written down here" in words(http, f"/catalog/optimizers/{SIGN_DESCENT.name}")
    assert SIGN_DESCENT.title in words(http, "/catalog")


def test_all_ranges_lie_on_the_line() -> None:
    axis = lr_axis(optimizers.OPTIMIZERS)
    for entry in optimizers.OPTIMIZERS:
        line = lr_range(entry, axis)
        assert line.default is not None
        assert 4 <= line.low < line.default < line.high <= 96


def test_what_is_not_there_is_said_with_the_nearest(http: TestClient) -> None:
    told = words(http, "/catalog/optimizers/adambelief", status=404)
    assert "adambelief" in told
    assert "Go to adabelief" in told
    assert http.get("/catalog/models/mpl").status_code == 404
    assert http.get("/catalog/tasks/x").status_code == 404
    assert http.get("/catalog?show=x").status_code == 422


def test_a_dataset_that_was_sent_is_shown_on_its_own_page(http: TestClient, lite: Store) -> None:
    add_dataset(lite, "penguins")
    answer = http.get("/catalog/datasets/penguins")
    assert (answer.status_code, answer.headers["Location"]) == (307, "/datasets/penguins")
    assert http.get("/catalog/datasets/pinguins").status_code == 404


def test_options_are_told_in_words(http: TestClient) -> None:
    assert "hidden [128, 64] 1 to 16 whole numbers 1 to 8,192" in words(http, "/catalog/models/mlp")
    assert "examples 1000 whole number 100 to 100,000" in words(http, "/catalog/datasets/friedman1")
    assert "class_weight none balanced or nothing" in words(http, "/catalog/tasks/classification")
    assert "It has no options." in words(http, "/catalog/tasks/regression")


@pytest.mark.parametrize(
    ("path", "link", "chosen"),
    [
        ("/catalog/models/cnn", "/new?model=cnn", '<option value="cnn" selected>'),
        ("/catalog/datasets/wine", "/new?dataset=wine", '<option value="wine" selected>'),
        (
            "/catalog/optimizers/lamb",
            "/new?optimizer=lamb",
            'value="lamb" aria-describedby="t-optimizer-lamb" checked',
        ),
    ],
)
def test_a_button_leads_to_a_form_that_is_filled(http: TestClient, path: str, link: str, chosen: str) -> None:
    assert f'href="{link}"' in http.get(path).text
    form = http.get(link)
    assert form.status_code == 200
    assert chosen in form.text

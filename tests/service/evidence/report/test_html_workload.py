"""A report's page on a person's own data and layers: columns, split, remarks, and the network by layers."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.builders.reports import concluded_report, trained_report
from tests.builders.tables import taken, written
from whichopt.service import blobs
from whichopt.service.catalog.built_in import built_in
from whichopt.service.catalog.datasets import uploaded
from whichopt.service.evidence.report.html import render_html
from whichopt.service.evidence.report.verify import verify
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.uploads import File
from whichopt.workers import workload
from whichopt.workers.engine import Unwatched
from whichopt.workers.engine.stacked import StackedExecutor

COLUMNS: dict[str, list[Any]] = {
    "<size>": [(7 * i % 97) / 10 for i in range(90)],
    "color": [("red", "", "blue")[i % 3] for i in range(90)],
    "id": [f"<b>{i}</b>" for i in range(90)],
    "y": ["ab"[7 * i % 97 > 48] for i in range(90)],
}
LAYERS = [
    {"type": "linear", "out": 6, "bias": False},
    {"type": "residual", "layers": ["batch_norm", "relu", {"type": "linear", "out": 6}]},
    {"type": "linear", "out": "outputs"},
]
JOB = {
    "workload": {"dataset": "mine", "model": {"name": "layers", "layers": LAYERS}},
    "optimizers": ["sgd"],
    "budget": {"trials": 2, "replicates": 1, "epochs": 1, "confirm_seeds": 3},
    "batch_size": 16,
}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("blobs")
    found = taken(folder, written(COLUMNS))
    kept, content = found.keep(folder)
    assert blobs.save(folder, kept.read_bytes()) == content
    file = File(name="own & <mine>.csv", bytes=1234, sha256="a" * 64)
    entry = uploaded("mine", found.remarked(), file, content)
    known = built_in()
    catalog = type(known)(**{**vars(known), "datasets": (*known.datasets, entry)})
    spec = resolve(JobSpec.model_validate(JOB), catalog)
    built = workload.build(spec.cataloged, blobs=folder)
    report = concluded_report(spec, lambda plans: StackedExecutor().run(built, plans, Unwatched()))
    assert verify(report).outcome == "confirmed"
    return render_html(report)


def words(page: str, title: str) -> str:
    """Return the text below that heading."""
    below = page.split(f">{title}</h3>")[1].split("<h3")[0].split("The whole spec")[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", below))


def test_the_data_are_told_without_the_data(page: str) -> None:
    assert 'href="#data">The data</a>' in page
    told = words(page, "The data")
    for part in (
        "own &amp; &lt;mine&gt;.csv, 1,234 bytes",
        "rows 90",
        "target y (classification)",
        "split random: 54 training, 18 validation, 18 test",
        "&lt;size&gt; numeric 0 standardized: minus the mean",
        "color category 30 a feature for each of 2 categories, one for missing",
        "id id 0 left out:",
        "left out : id is left out",
    ):
        assert part in told


def test_the_network_is_told_layer_by_layer(page: str) -> None:
    assert 'href="#network">The network</a>' in page
    told = words(page, "The network")
    for part in (
        "linear, out 6, bias False 6 features 24",
        "residual: added to its inputs 6 features 54",
        "→ batch_norm 6 features 12",
        "→ linear, out 6 6 features 42",
        "linear, out outputs 2 features 14",
    ):
        assert part in told
    assert '<th scope="row">params</th><td>92</td>' in page
    assert '<th scope="row">metric</th><td class="wrap">nll, lower is better</td>' in page


def test_the_page_is_well_formed_and_holds_no_value_of_the_data(page: str) -> None:
    ElementTree.fromstring(page.removeprefix("<!doctype html>\n"))
    assert "&lt;b&gt;1&lt;/b&gt;" not in page
    assert "<b>1</b>" not in page


def test_the_data_are_told_in_a_line() -> None:
    assert "178 rows, 13 features; 106 training, 36 validation, 36 test" in render_html(trained_report())


def test_percent_is_left_out_of_a_metric_without_a_natural_zero() -> None:
    plain = trained_report()
    assert re.search(r"\(\d[\d.]*%\)</td>", render_html(plain))
    of_r2 = plain.recommendation.model_copy(update={"task": "regression", "metric": "r2"})
    assert not of_r2.has_percent
    assert not re.search(
        r"\(\d[\d.]*%\)</td>", render_html(plain.model_copy(update={"recommendation": of_r2}))
    )

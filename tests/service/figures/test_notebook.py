"""What a notebook shows of answers: HTML with drawings, and Vega-Lite with colors that a notebook has."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from tests.builders.concluded_jobs import concluded_job, make_recommendation
from tests.builders.jobs import add_job, make_spec
from tests.service.figures.test_figures import LOSS, every
from whichopt.service.db import Store
from whichopt.service.figures.notebook import FIXED, fixed
from whichopt.service.templating import ASSETS
from whichopt.service.views import JobView, Recommendation

V5, V6 = "application/vnd.vegalite.v5+json", "application/vnd.vegalite.v6+json"


@pytest.fixture
def found() -> Recommendation:
    return make_recommendation("01a00000-0000-7000-8000-000000000001", make_spec())


def view(store: Store, uid: str) -> JobView:
    with store.read() as tx:
        shown = tx.views.job(uid, alive_s=60.0)
    assert shown is not None
    return shown


def test_the_colors_are_those_of_the_pages_light_theme() -> None:
    style = (ASSETS / "style.css").read_text()
    light = dict(re.findall(r"(--\w+): light-dark\((#\w+), #\w+\)", style))
    assert {name: light[name] for name in FIXED} == FIXED


def test_a_recommendation_is_a_table_and_a_figure(found: Recommendation) -> None:
    shown = found._repr_mimebundle_()
    assert list(shown) == ["text/plain", "text/html", V6, V5]
    assert shown["text/plain"] == found.statement
    body = ElementTree.fromstring(f"<div>{shown['text/html'].replace('&nbsp;', ' ')}</div>")
    assert len(body.findall(".//tbody/tr")) == len(found.ranking)
    assert len(body.findall(".//tbody//svg")) >= 2 * len(found.ranking)
    assert "var(" not in json.dumps(shown)
    assert [shown[mime]["$schema"].rpartition("/")[2] for mime in (V5, V6)] == ["v5.json", "v6.json"]


def test_nothing_to_deploy_is_said_without_a_figure(found: Recommendation) -> None:
    none = found.model_copy(
        update={
            "ranking": [
                row.model_copy(update={"value": None, "probability_best": None}) for row in found.ranking
            ]
        }
    )
    assert list(none._repr_mimebundle_()) == ["text/plain", "text/html"]


def test_labels_are_text(found: Recommendation) -> None:
    row = found.ranking[0].model_copy(update={"optimizer": "<script>alert(1)</script>"})
    html = found.model_copy(update={"ranking": [row]})._repr_mimebundle_()["text/html"]
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_a_job_shows_its_odds_once_it_has_some(lite: Store) -> None:
    _, uid = concluded_job(lite)
    concluded = view(lite, uid)
    shown = concluded._repr_mimebundle_()
    assert concluded.verdict is not None
    assert concluded.verdict.headline in shown["text/plain"]
    assert (V5 in shown) == (concluded.odds is not None)
    assert all(row.optimizer in shown["text/html"] for row in concluded.ledger)


def test_a_job_that_has_just_begun_says_so(lite: Store) -> None:
    _, uid = add_job(lite)
    shown = view(lite, uid)._repr_mimebundle_()
    assert list(shown) == ["text/plain", "text/html"]
    assert "trials are done" in shown["text/plain"]


@pytest.mark.parametrize("name", sorted(every(LOSS)))
def test_every_spec_has_fixed_colors(name: str) -> None:
    text = json.dumps(fixed(every(LOSS)[name].spec))
    assert "var(" not in text
    assert '"background": "#ffffff"' in text


def test_a_client_needs_no_library_for_it() -> None:
    code = (
        "import sys\n"
        "from whichopt.service.figures import notebook, shown\n"
        "print([name for name in ('vl_convert', 'numpy', 'scipy', 'sqlalchemy', 'jinja2', 'torch')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

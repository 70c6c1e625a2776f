"""`whichopt dataset`: from a file to what was found in it, and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.builders.concluded_jobs import BODY
from tests.builders.datasets import add_dataset
from tests.builders.services import KEY
from tests.service.cli.test_completion import proposed
from whichopt.service.cli import app
from whichopt.service.db import Store
from whichopt.service.states import DatasetState

RUN = CliRunner()
TEXT = "a,b,y\n" + "".join(f"{n},1,2\n" for n in range(200))


@pytest.fixture
def at(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The service, known by the environment."""
    monkeypatch.setenv("WHICHOPT_URL", url)
    monkeypatch.setenv("WHICHOPT_KEY", KEY)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text(TEXT)
    return url


def ran(*words: str, code: int = 0) -> str:
    found = RUN.invoke(app, ["dataset", *words])
    assert found.exit_code == code, found.output
    return found.output


@pytest.mark.usefixtures("at")
def test_a_file_is_sent_and_shown() -> None:
    shown = ran("add", "mine.csv", "--target", "y")
    assert "mine.csv, " in shown
    assert "y (regression)" in shown
    assert "random: 120 training, 40 validation, 40 test" in shown
    rows = [line.split() for line in shown.splitlines()]
    assert ["a", "numeric", "0", "200", "0", "to", "1", "itself"] in rows
    assert "- the reader of the tests" in shown
    assert shown.endswith(ran("show", "mine")), "above it is the log of the service"
    assert json.loads(ran("show", "mine", "--json"))["table"]["target"] == "y"
    assert "mine" in [line.split()[0] for line in ran("list").splitlines()]
    assert ran("delete", "mine") == "Deleted mine.\n"
    assert "there is no dataset 'mine'" in ran("show", "mine", code=2)


@pytest.mark.usefixtures("at")
def test_a_preview_says_how_it_is_kept() -> None:
    shown = ran("add", "mine.csv", "--dry-run", "--column", "a=category", "--no-header", "--name", "tried")
    assert "whichopt dataset keep tried" in shown
    view = json.loads(ran("keep", "tried", "--json"))
    assert (view["state"], view["choices"]["columns"]) == ("ready", {"a": "category"})
    assert view["choices"]["header"] is False


@pytest.mark.usefixtures("at")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add", "nowhere.csv"], "nowhere.csv"),
        (["add", "mine.csv", "--column", "a"], "NAME=KIND"),
        (["add", "mine.csv", "--column", "a=colour"], "columns.a"),
        (["add", "mine.csv", "--split", "luck"], "split"),
        (["add", "mine.csv", "--name", "wine"], "comes with whichopt"),
        (["delete", "wine"], "comes with whichopt"),
    ],
    ids=str,
)
def test_what_is_refused_is_said_in_a_line(words: list[str], said: str) -> None:
    shown = ran(*words, code=2)
    assert said in shown
    assert shown.startswith("whichopt: ")


@pytest.mark.usefixtures("at")
def test_built_in_and_failed_ones_are_shown(lite: Store) -> None:
    add_dataset(lite, "stuck", state=DatasetState.READING)
    assert "reading" in ran("show", "stuck")
    assert "scikit-learn load_wine" in ran("show", "wine")
    assert json.loads(ran("list", "--json"))[0]["name"] == "digits"


def test_names_are_completed(url: str, tmp_path: Path, lite: Store) -> None:
    (tmp_path / "whichopt-data").mkdir()
    (tmp_path / "whichopt-data" / "url").write_text(url)
    (tmp_path / "whichopt-data" / "api-key").write_text(KEY)
    add_dataset(lite, "penguins")
    assert proposed("whichopt dataset show pen", tmp_path) == ["penguins"]


@pytest.mark.usefixtures("at")
def test_lint_asks_the_service_for_a_dataset_of_ones_own(tmp_path: Path, lite: Store) -> None:
    add_dataset(lite, "penguins", rows=1000)
    add_dataset(lite, "tried", state=DatasetState.PREVIEW)
    found = {}
    for name in ("penguins", "tried", "pinguins"):
        body = {**BODY, "workload": {"dataset": name, "model": "linear"}}
        (tmp_path / "job.json").write_text(json.dumps(body))
        linted = RUN.invoke(app, ["lint", "job.json", "--json"])
        findings = json.loads(linted.output[linted.output.index("{") :])["findings"]
        found[name] = (linted.exit_code, [one["code"] for one in findings if one["severity"] == "error"])
    assert found == {
        "penguins": (0, []),
        "tried": (1, ["dataset_not_ready"]),
        "pinguins": (1, ["unknown_name"]),
    }

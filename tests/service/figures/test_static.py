"""Figures as SVG without scripts: drawn by a process that ends, with the same bytes each time."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from tests.service.figures.test_figures import LOSS, every
from whichopt.service.errors import ReportFailed
from whichopt.service.figures.figure import Figure
from whichopt.service.figures.static import drawn, inline

FIGURES = every(LOSS, 320)


@pytest.fixture(scope="module")
def svgs() -> dict[str, str]:
    return drawn(FIGURES)


def test_every_figure_is_drawn_as_one_image_with_words(svgs: dict[str, str]) -> None:
    assert list(svgs) == list(FIGURES)
    for name, svg in svgs.items():
        root = ElementTree.fromstring(svg)
        assert (root.tag, root.get("role"), root.get("aria-label")) == ("svg", "img", FIGURES[name].alt)
        assert len(list(root.iter())) > 10, name


def test_a_strict_policy_has_nothing_to_complain_of(svgs: dict[str, str]) -> None:
    for svg in svgs.values():
        tags = " ".join(re.findall(r"<[^>]*>", re.sub(r'aria-label="[^"]*"', "", svg)))
        for forbidden in ("style", "script", " on", "href", "font-family", "http"):
            assert forbidden not in tags
        assert "var(--" in svg
        assert "#0" not in svg


def test_ids_begin_with_the_figures_name() -> None:
    text = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="5"><g id="clip0"/>'
        '<g id="a" clip-path="url(#clip0)"><path d="M0,0"/></g></svg>'
    )
    made = inline(text, "odds", "Who leads")
    assert 'clip-path="url(#odds-clip0)"' in made
    assert 'id="odds-a"' in made


def test_the_same_figures_are_the_same_bytes_whatever_the_machine_speaks(
    svgs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("XDG_DATA_HOME", "/nowhere")
    few = {name: FIGURES[name] for name in ("best", "finalists")}
    assert drawn(few) == {name: svgs[name] for name in few}


def test_what_users_wrote_is_text(svgs: dict[str, str]) -> None:
    assert "&lt;b&gt;&amp;" in svgs["best"]
    assert "<b>" not in "".join(svgs.values())


def test_a_figure_that_cannot_be_drawn_is_named() -> None:
    whole = FIGURES["best"]
    broken = Figure("x", "X", "Of nothing.", "Nothing at all.", {"$schema": whole.spec["$schema"], "mark": 3})
    with pytest.raises(ReportFailed, match="the figure broken cannot be drawn: "):
        drawn({"whole": whole, "broken": broken})


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("import sys; sys.exit('no room left')", "ended with status 1: no room left"),
        ("import os; os.kill(os.getpid(), 9)", "ended with signal 9"),
        ("print('drawn')", "gave no answer that can be read"),
        ("import time; time.sleep(60)", "were not drawn within 1 s"),
    ],
)
def test_a_process_that_fails_is_told_in_words(script: str, said: str) -> None:
    with pytest.raises(ReportFailed, match=said):
        drawn(
            {"best": FIGURES["best"]},
            command=(sys.executable, "-c", script),
            timeout_s=1.0 if "sleep" in script else 30.0,
        )


def test_a_command_that_is_not_there_is_told_in_words() -> None:
    with pytest.raises(ReportFailed, match="cannot be started"):
        drawn({"best": replace(FIGURES["best"])}, command=("/nowhere/python",))


def test_nothing_is_started_for_no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", None)
    assert drawn({}) == {}

"""The page of a report: one file without scripts that says what to do first, and each figure in words."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from tests.builders.reports import trained_report
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.html import render_html
from whichopt.service.evidence.verdict.snippet_lines import lines_that_matter


@pytest.fixture(scope="module")
def report() -> Report:
    return trained_report()


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    return render_html(report)


def test_the_page_is_well_formed_and_its_ids_are_its_own(html: str) -> None:
    root = ElementTree.fromstring(html.removeprefix("<!doctype html>\n"))
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    for element in root.iter():
        for name in ("href", "{http://www.w3.org/1999/xlink}href"):
            target = element.attrib.get(name, "")
            assert not target.startswith("#") or target[1:] in ids


def test_the_page_has_the_lead_on_new_examples_beside_the_verdict(report: Report, html: str) -> None:
    over = report.recommendation.over_examples
    assert over is not None
    lead = f"the lead of {report.recommendation.optimizer} over {over.rival}"
    said = f"{lead} is {over.mean:.3g} ({over.low:.3g} to {over.high:.3g} at 95%)"
    assert f"On new test examples like these 36, and new seeds, {said}." in html


def test_the_page_asks_nothing_of_the_network(html: str) -> None:
    """No address is in it at all, and nothing that loads one or runs."""

    class Loads(HTMLParser):
        found: list[str] = []  # noqa: RUF012

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag in ("script", "link", "iframe", "object", "embed", "base", "img", "form"):
                self.found.append(tag)
            for name, value in attrs:
                if name.startswith("on") or (
                    name in ("src", "href", "srcset", "action", "data")
                    and not (value or "").startswith(("#", "data:"))
                ):
                    self.found.append(f"{tag} {name}={value}")

    parser = Loads()
    parser.feed(html)
    assert parser.found == []
    assert "@import" not in html
    assert re.findall(r"url\((?!#)", html) == []
    assert re.findall(r"(?:https?:)?//[a-z]", re.sub(r"base64,[^\"]+", "", html)) == []


def test_what_users_wrote_is_text_and_nothing_else(html: str) -> None:
    assert "<script>" not in html
    assert "wine &lt;script&gt;" in html
    assert "sgd-0.9+x" in html


def test_every_figure_says_in_words_what_it_shows(report: Report, html: str) -> None:
    figures = re.findall(r"<svg [^>]*role=\"img\"[^>]*>", html)
    assert len(figures) >= 9 + 2 * len(report.spec.labels)
    for figure in figures:
        label = re.search(r'aria-label="([^"]+)"', figure)
        assert label is not None
        assert len(label.group(1)) > 20


def test_the_same_report_is_the_same_page(report: Report, html: str) -> None:
    assert render_html(report) == html


def test_the_page_says_the_conclusion(report: Report, html: str) -> None:
    shown = re.sub(r"\s+", " ", html)
    headline = re.search(r'class="lead"><strong>(.*?)</strong>', shown)
    assert headline is not None
    assert report.recommendation.optimizer in headline.group(1)
    assert ("no clear winner" in headline.group(1).lower()) == (report.recommendation.verdict == "tie")
    for statement in (report.recommendation.statement, report.recommendation.optimizer_verdict.statement):
        assert statement.split("(")[0].strip().replace("'", "&#39;") in shown


def test_the_lines_to_paste_come_before_all_else(report: Report, html: str) -> None:
    shown = unescape(html)
    first, _, whole = shown.partition("<details>")
    assert report.recommendation.snippet is not None
    lines = lines_that_matter(report.recommendation.snippet)
    assert lines is not None
    assert "optimizer = " in lines
    assert lines in first
    assert "loss.backward()" not in first
    assert report.recommendation.snippet.strip() in whole


def test_figures_are_drawn_for_a_wide_page_and_for_a_phone(html: str) -> None:
    assert html.count('<div class="wide"><svg ') == html.count('<div class="narrow"><svg ') >= 9
    assert not re.search(r"<[a-z][^>]* style=", html)

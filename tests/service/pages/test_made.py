"""What the networks of a job's finalists make: the recommended one beside its default, the rest on demand."""

from __future__ import annotations

import io
import re

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from PIL import Image

from tests.builders.confirming_jobs import close_race, decided_from, race_spec, searched
from tests.builders.made import (
    MakeSample,
    images_sample,
    job_with_samples,
    points_sample,
    text_sample,
)
from tests.builders.trials import confirm
from whichopt.service.db import Store
from whichopt.service.trials import Sample, TrialPlan

THREE = ("adabelief", "adamw", "sgd")


def decided(lite: Store, make: MakeSample, *, name: str | None = None) -> str:
    spec = race_spec(*THREE, seeds=5, name=name)
    return decided_from(lite, spec, job_with_samples(spec, make))


def section(http: TestClient, uid: str) -> str:
    page = http.get(f"/jobs/{uid}")
    assert page.status_code == 200
    assert "style=" not in page.text
    return page.text.split('id="made"')[1].split("</section>")[0]


def said(plan: TrialPlan) -> Sample:
    """Each network says which it is."""
    return text_sample(f"{plan.label} {'default' if plan.replicate is None else 'tuned'} <i>\t\x00")


def test_text_is_quoted_with_all_that_it_has(http: TestClient, lite: Store) -> None:
    shown = section(http, decided(lite, said))
    assert re.findall(r"<pre[^>]*>([^<]*)</pre>", shown) == [
        "adabelief tuned &lt;i&gt;\\t\\x00",
        "adabelief default &lt;i&gt;\\t\\x00",
    ]
    assert "recommended" in shown
    assert "its default" in shown


def test_the_others_come_if_they_are_asked_for(http: TestClient, lite: Store) -> None:
    uid = decided(lite, said)
    shown = section(http, uid)
    (asked,) = re.findall(r'hx-get="([^"]*/made)"', shown)
    (count,) = re.findall(r"(\d+) other finalists", shown)
    rest = http.get(asked)
    assert rest.status_code == 200
    texts = re.findall(r"<pre[^>]*>([^<]*)</pre>", rest.text)
    assert len(texts) == int(count)
    assert {text.split()[0] for text in texts} == set(THREE)
    assert "adabelief default" not in " ".join(texts)


def test_images_are_served_as_one_picture_each(http: TestClient, lite: Store) -> None:
    uid = decided(lite, lambda _: images_sample(9, channels=3))
    shown = section(http, uid)
    sources = re.findall(r'<img class="images" src="([^"]+)" width="26" height="26"', shown)
    assert len(sources) == 2
    answer = http.get(sources[0])
    assert answer.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(answer.content)).size == (26, 26)


def test_points_are_figures_on_the_same_axes(http: TestClient, lite: Store) -> None:
    uid = decided(lite, lambda plan: points_sample(radius=1 + float(plan.config["lr"])))
    addresses = re.findall(r'data-figure="([^"]+)"', section(http, uid))
    specs = [http.get(address).json() for address in addresses]
    assert len(specs) == 2
    layers = [spec["layer"][0] for spec in specs]
    assert layers[0]["data"] != layers[1]["data"]
    for axis in "xy":
        assert layers[0]["encoding"][axis]["scale"] == layers[1]["encoding"][axis]["scale"]


def test_what_cannot_be_shown_is_said(http: TestClient, lite: Store) -> None:
    broken = Sample(kind="images", content="AAAA", shape=(1, 1, 8, 8))
    uid = decided(lite, lambda _: broken)
    shown = section(http, uid)
    assert "This sample cannot be shown: its content has 3 bytes" in shown
    assert "<img" not in shown


def test_a_classifiers_page_has_no_such_section(http: TestClient, lite: Store) -> None:
    spec = race_spec(*THREE, seeds=5)
    uid = decided_from(lite, spec, confirm(spec, searched(spec), close_race(spec)))
    assert 'id="made"' not in http.get(f"/jobs/{uid}").text
    assert http.get(f"/v1/jobs/{uid}/samples").json()["items"] == []


@pytest.mark.parametrize("path", ["nobody.png", "nobody/figure"])
def test_who_has_made_nothing_is_not_found(http: TestClient, lite: Store, path: str) -> None:
    uid = decided(lite, lambda _: text_sample())
    assert http.get(f"/jobs/{uid}/made/{path}").status_code == 404


def test_the_api_lists_all_samples_and_lists_of_trials_none(http: TestClient, lite: Store) -> None:
    uid = decided(lite, said)
    items = http.get(f"/v1/jobs/{uid}/samples").json()["items"]
    trials = http.get(f"/v1/jobs/{uid}/trials?phase=confirm&limit=500").json()["items"]
    first = {trial["id"]: trial for trial in trials if trial["number"] == 0}
    assert [one["trial"] for one in items] == list(first)
    assert all(one["config"] == first[one["trial"]]["config"] for one in items)
    assert items[0]["sample"] == {"kind": "text", "content": "adabelief tuned <i>\t\x00", "shape": []}
    assert all("sample" not in trial for trial in trials)
    for form in ("trials.csv", "trials.jsonl"):
        assert "adabelief tuned" not in http.get(f"/v1/jobs/{uid}/{form}").text


def test_a_page_reads_only_what_it_shows(http: TestClient, lite: Store) -> None:
    """Of images it needs no pixel, and of text that of the two that it shows."""
    uid = decided(lite, said)
    read: list[str] = []

    def note(_: object, __: object, statement: str, parameters: object, *___: object) -> None:
        if "sample" in str(parameters) or "sample" in statement:
            read.append(f"{statement} {parameters}")

    sa.event.listen(lite.engine, "before_cursor_execute", note)
    try:
        http.get(f"/jobs/{uid}")
    finally:
        sa.event.remove(lite.engine, "before_cursor_execute", note)
    assert len(read) == 2

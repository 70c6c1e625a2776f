"""The pages of people's own datasets: the list, the look before one is kept, and refusals in words."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from tests.builders.concluded_jobs import concluded_job
from tests.builders.datasets import FILE, add_dataset, states
from tests.builders.jobs import add_job
from tests.builders.texts import prose, taken_text
from whichopt.service.db import Store
from whichopt.service.db.tables import dataset
from whichopt.service.pages.datasets.form_words import in_the_form, sentence
from whichopt.service.pages.datasets.page import range_words, size_words
from whichopt.service.spec import JobSpec, ResolvedSpec
from whichopt.service.states import DatasetState
from whichopt.service.uploads import Choices, Column, Kind, Role
from whichopt.service.views.datasets import DatasetProblem, DatasetProgress

ROWS = b"a,b,y\n" + b"".join(b"%d,1,2\n" % n for n in range(200))


def words(text: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text)))


def shown(http: TestClient, path: str, status: int = 200) -> str:
    page = http.get(path)
    assert page.status_code == status, page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert not re.search(r"\sstyle=|\son\w+=|<script>", page.text)
    return words(page.text)


def spec_on(store: Store, name: str) -> ResolvedSpec:
    from whichopt.service import datasets
    from whichopt.service.settings import Settings

    body = {"workload": {"dataset": name, "model": "linear"}, "optimizers": ["adam"], "batch_size": 8}
    return datasets.resolved(store, JobSpec.model_validate(body), Settings().limits)


def fail(store: Store, name: str, detail: str) -> None:
    with store.transaction() as tx:
        uid = tx.datasets.add(name, preview=False, file=FILE, choices=Choices(), api_key_id=None)
        tx.datasets.fail(uid, DatasetProblem(code="unreadable_dataset", detail=detail))


def test_an_empty_list_says_so(http: TestClient) -> None:
    told = shown(http, "/datasets")
    assert "Sent so far None yet." in told
    assert "up to 256 MB" in told
    assert "whichopt dataset add FILE --target COLUMN" in told, "for who allows no JavaScript"


def test_datasets_are_listed_in_every_state(http: TestClient, lite: Store) -> None:
    add_dataset(lite, "penguins", rows=1000)
    add_dataset(lite, "looked-at", state=DatasetState.PREVIEW)
    uid = add_dataset(lite, "slow", state=DatasetState.READING)
    fail(lite, "broken", "row 7 has <b>3</b> fields")
    with lite.transaction() as tx:
        assert tx.datasets.beat(uid, DatasetProgress(bytes=9, rows=123_456, share=0.25))
    told = shown(http, "/datasets")
    assert "penguins penguins.csv, just now ready 1,000 rows 2 y classification random 600 training" in told
    assert "looked-at penguins.csv, just now preview" in told
    assert "slow penguins.csv, just now being read 123,456 rows so far" in told
    assert "not read row 7 has <b>3</b> fields" in told
    page = http.get("/datasets").text
    assert "row 7 has &lt;b&gt;3" in page
    assert page.count('hx-trigger="every 1s"') == 1, "only what is being read asks again"
    assert page.count("/new?dataset=") == 1, "only what is ready can be raced on"
    rows = http.get("/datasets?part=rows").text
    assert rows.strip().startswith("<div id=")
    assert (
        words(rows).split()
        == words(page[page.index('<div id="rows">') :]).split()[: len(words(rows).split())]
    )


def test_a_row_asks_for_itself_until_it_is_read(http: TestClient, lite: Store) -> None:
    add_dataset(lite, "slow", state=DatasetState.READING)
    assert 'hx-get="/datasets/slow?part=row"' in http.get("/datasets/slow?part=row").text
    with lite.transaction() as tx:
        tx.connection.execute(sa.delete(dataset))
    gone = http.get("/datasets/slow?part=row")
    assert (gone.status_code, gone.text.strip()) == (404, "")
    add_dataset(lite, "slow")
    assert "every 1s" not in http.get("/datasets/slow?part=row").text


def test_older_datasets_are_a_page_away(http: TestClient, lite: Store) -> None:
    for number in range(27):
        add_dataset(lite, f"d{number:02}")
    first = http.get("/datasets").text
    assert "d26" in first
    assert "d01" not in first
    (cursor,) = re.findall(r'href="/datasets\?cursor=(\d+)"', first)
    older = http.get(f"/datasets?cursor={cursor}").text
    assert "d01" in older
    assert 'id="send"' not in older


def test_what_was_found_is_shown_before_it_is_kept(http: TestClient, lite: Store) -> None:
    sent = http.post(
        "/v1/datasets?name=mine&dry_run=true&target=y", content=ROWS, headers={"Content-Type": "text/csv"}
    )
    assert sent.json()["state"] == "preview"
    look = http.get("/datasets/mine?part=look").text
    told = words(look)
    assert "200 rows: regression of y" in told
    assert "from 2 features made of 2 columns" in told
    assert "Keep it, and race on it" in told
    assert "it is a preview, which is deleted at" in told
    assert 'data-column="a"' in look
    assert 'data-column="y"' not in look, "the target's kind is not chosen here"
    assert "This is a preview" in shown(http, "/datasets/mine")
    kept = http.post("/datasets/mine/keep")
    assert (kept.status_code, kept.headers["Location"]) == (303, "/datasets/mine")
    assert states(lite) == {"mine": "ready"}


def test_a_dataset_shows_its_columns_and_its_jobs(http: TestClient, lite: Store) -> None:
    add_dataset(lite, "penguins")
    told = shown(http, "/datasets/penguins")
    assert "100 rows: classification of y into 3 classes, from 2 features made of 2 columns" in told
    assert "a numeric 0 9 0 to 1 1 feature: standardized" in told
    assert "y numeric 0 9 0 to 1 the target: what is predicted" in told
    assert "None yet. Race on it" in told
    _, uid = concluded_job(lite, spec_on(lite, "penguins"))
    page = http.get("/datasets/penguins").text
    assert f'href="/jobs/{uid}"' in page
    assert '<span class="pill tie">no clear winner</span>' in page
    assert "succeeded" not in page
    assert f"whichopt fit {uid} --out penguins-model" in page


def test_a_dataset_in_use_is_not_deleted_and_the_page_says_why(http: TestClient, lite: Store) -> None:
    add_dataset(lite, "penguins")
    _, uid = add_job(lite, spec_on(lite, "penguins"))
    refused = http.post("/datasets/penguins/delete")
    assert refused.status_code == 409
    assert f"job {uid} uses 'penguins' and has not ended" in words(refused.text)
    assert states(lite) == {"penguins": "ready"}
    http.post(f"/v1/jobs/{uid}/cancel")
    gone = http.post("/datasets/penguins/delete")
    assert (gone.status_code, gone.headers["Location"]) == (303, "/datasets")
    assert states(lite) == {}


def test_nothing_is_changed_by_looking(http: TestClient, lite: Store) -> None:
    add_dataset(lite, "penguins", state=DatasetState.PREVIEW)
    assert http.get("/datasets/penguins/delete").status_code in (404, 405)
    assert http.get("/datasets/penguins/keep").status_code in (404, 405)
    assert states(lite) == {"penguins": "preview"}


def test_a_dataset_that_could_not_be_read_says_why(http: TestClient, lite: Store) -> None:
    fail(lite, "broken", "row 7 has 3 fields")
    assert "row 7 has 3 fields" in shown(http, "/datasets/broken")
    assert "row 7 has 3 fields" in words(http.get("/datasets/broken?part=look").text)
    refused = http.post("/datasets/broken/keep")
    assert refused.status_code == 409
    assert "could not be read" in words(refused.text)


def test_what_is_not_there_is_said_with_the_nearest(http: TestClient, lite: Store) -> None:
    add_dataset(lite, "penguins")
    told = shown(http, "/datasets/pinguins", status=404)
    assert "pinguins" in told
    assert "Go to penguins" in told
    assert http.post("/datasets/pinguins/delete").status_code == 404
    assert http.post("/datasets/pinguins/keep").status_code == 404
    assert http.get("/datasets/wine").headers["Location"] == "/catalog/datasets/wine"


@pytest.mark.parametrize(
    ("size", "said"), [(1, "1 byte"), (999, "999 bytes"), (48_082, "48.1 kB"), (256_000_000, "256 MB")]
)
def test_sizes_are_said_as_people_say_them(size: int, said: str) -> None:
    assert size_words(size) == said


def test_a_category_tells_its_first_values() -> None:
    column = Column(
        name="city",
        kind=Kind.CATEGORY,
        role=Role.FEATURE,
        missing=0,
        distinct=6,
        low=None,
        high=None,
        categories=tuple("abcdef"),
        width=6,
        becomes="a feature for each",
    )
    assert range_words(column) == "a, b, c, d, ..."


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('leave it out: columns={"zip": "leave_out"}', "leave it out: choose leave out as its kind"),
        ('its kind: columns={"a": "category"} or "numeric"', "its kind: choose category or numeric above"),
        ("together by what they share: split=group:NAME", "“Test rows: whole groups of a column”"),
        (
            "y is the last column; target=NAME says otherwise",
            "y is the last column; “Target: NAME” says otherwise",
        ),
        ("header=true says otherwise", "“First row: names the columns” says otherwise"),
    ],
)
def test_advice_names_the_fields_of_the_form(said: str, told: str) -> None:
    assert in_the_form(said).endswith(told)


def test_a_reason_is_a_sentence() -> None:
    assert sentence("rows of one group are alike") == "Rows of one group are alike."


def test_a_text_shows_how_it_begins_and_its_tokens(http: TestClient, lite: Store, tmp_path: Path) -> None:
    text = prose() + "<b>"
    found = taken_text(tmp_path, text).remarked()
    with lite.transaction() as tx:
        uid = tx.datasets.add("book", preview=False, file=FILE, choices=Choices(), api_key_id=None)
        tx.datasets.finish(uid, found, "c" * 64, preview_s=60)
    for told in (shown(http, "/datasets/book"), shown(http, "/datasets/book?part=look")):
        size = f"{len(text):,} characters in {len(text.splitlines())} lines"
        assert f"A text of {size}, of which the next character is predicted" in told
        assert " ".join(prose()[:300].split()) in told
        assert "U+000A" in told
        assert "the last fifth tests" in told or "windows train" in told
    assert f"{found.shape.examples:,} windows" in shown(http, "/datasets")

"""A report is made once and kept: who finds it, who makes it again, and what happens if that fails."""

from __future__ import annotations

import gzip
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from tests.builders.concluded_jobs import recorded
from tests.builders.reports import trained_report
from tests.builders.services import KEY, Recorder
from tests.builders.waiting import DEADLINE_S
from whichopt.service import blobs, reaper, reporting
from whichopt.service.app import create_app
from whichopt.service.db import Store
from whichopt.service.db.reports import MAX_ATTEMPTS
from whichopt.service.db.tables import report
from whichopt.service.evidence.report.document import Report
from whichopt.service.records import EarlierJobs
from whichopt.service.settings import Settings


class Drawing:
    """Stands for the drawing of a page, which takes seconds; counts its calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.breaks = False

    def __call__(self, made: Report) -> str:
        self.calls += 1
        if self.breaks:
            raise FloatingPointError("a figure without an end")
        return f"<!doctype html><title>{made.job.id}</title>{'<p>' * 1000}"


@pytest.fixture
def drawing(monkeypatch: pytest.MonkeyPatch) -> Drawing:
    drawing = Drawing()
    monkeypatch.setattr("whichopt.service.evidence.report.html.render_html", drawing)
    return drawing


@pytest.fixture
def uid(lite: Store) -> str:
    return recorded(lite, trained_report())


def names(store: Store) -> dict[str, str]:
    """The blobs of the only report, by form."""
    with store.read() as tx:
        row = tx.connection.execute(sa.select(report.c.html, report.c.json)).one()
    return {form: name for form, name in row._mapping.items() if name is not None}


def job_id_of(store: Store, uid: str) -> int:
    with store.read() as tx:
        found = tx.jobs.id_of(uid)
    assert found is not None
    return found


def owed(store: Store) -> list[int]:
    with store.transaction() as tx:
        return tx.reports.owed(-1.0)


def get(http: TestClient, uid: str, form: str = "html", **headers: str) -> Any:
    path = f"/v1/jobs/{uid}/report?format={form}"
    return http.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


# -- found -----------------------------------------------------------------------------------------------


def test_it_is_drawn_once(http: TestClient, uid: str, drawing: Drawing) -> None:
    first = get(http, uid)
    assert (first.status_code, drawing.calls) == (200, 1)
    assert (get(http, uid).content, drawing.calls) == (first.content, 1)
    data = get(http, uid, "json")
    assert Report.model_validate_json(data.content).job.id == uid
    assert drawing.calls == 1, "the JSON needs no drawing"


def test_the_real_page_comes_back_in_the_same_bytes(http: TestClient, lite: Store, uid: str) -> None:
    first = get(http, uid)
    made = names(lite)
    with lite.transaction() as tx:
        tx.connection.execute(report.delete())
    assert get(http, uid).content == first.content
    assert names(lite) == made


@pytest.mark.usefixtures("drawing")
def test_it_states_the_earlier_jobs_about_the_same(http: TestClient, lite: Store, uid: str) -> None:
    first = Report.model_validate_json(get(http, uid, "json").content)
    assert first.earlier == EarlierJobs(count=0, jobs=[])
    again = recorded(lite, trained_report())
    told = Report.model_validate_json(get(http, again, "json").content).earlier
    assert told is not None
    (before,) = told.jobs
    assert (told.count, before.id) == (1, uid)
    assert before.verdict == trained_report().recommendation.verdict


@pytest.mark.usefixtures("drawing")
def test_each_form_and_encoding_has_its_own_strong_etag(http: TestClient, uid: str) -> None:
    etags = set()
    for form in ("html", "json"):
        plain = get(http, uid, form, accept_encoding="identity")
        packed = get(http, uid, form, accept_encoding="gzip, br")
        assert "content-encoding" not in plain.headers
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.content == plain.content, "httpx has unpacked it"
        assert int(packed.headers["content-length"]) < int(plain.headers["content-length"])
        for answer in (plain, packed):
            assert set(answer.headers["vary"].split(", ")) == {"Accept", "Accept-Encoding"}
            etags.add(answer.headers["etag"])
    assert len(etags) == 4
    assert all(etag.startswith('"') for etag in etags), "none is weak"


@pytest.mark.usefixtures("drawing")
@pytest.mark.parametrize("encoding", ["", "gzip;q=0", "gzip;q=0, *", "br", "identity"])
def test_who_does_not_accept_gzip_gets_the_plain_report(http: TestClient, uid: str, encoding: str) -> None:
    answer = get(http, uid, accept_encoding=encoding)
    assert "content-encoding" not in answer.headers
    assert answer.text.startswith("<!doctype html>")


@pytest.mark.usefixtures("drawing")
def test_what_the_reader_has_is_not_sent_again(http: TestClient, lite: Store, uid: str) -> None:
    for form in ("html", "json"):
        etag = get(http, uid, form).headers["etag"]
        for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            again = get(http, uid, form, if_none_match=known)
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
            assert again.headers["vary"] == "Accept, Accept-Encoding"
        assert get(http, uid, form, if_none_match='"other"').status_code == 200
        other = get(http, uid, form, if_none_match=etag, accept_encoding="identity")
        assert other.status_code == 200, "the plain bytes are another representation"
    # A report that has to be made anew, and is the same, is not sent again either.
    etag = get(http, uid).headers["etag"]
    with lite.transaction() as tx:
        tx.connection.execute(report.update().values(html=None))
    assert get(http, uid, if_none_match=etag).status_code == 304


@pytest.mark.usefixtures("drawing")
def test_head_says_what_get_would(http: TestClient, uid: str) -> None:
    path = f"/v1/jobs/{uid}/report"
    asked = http.get(path)
    head = http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    same = ("etag", "content-length", "content-type", "content-encoding", "content-disposition", "vary")
    assert {name: head.headers[name] for name in same} == {name: asked.headers[name] for name in same}
    known = http.head(path, headers={"If-None-Match": asked.headers["etag"]})
    assert known.status_code == 304


# -- made again ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("harm", ["removed", "damaged"])
def test_a_blob_that_is_lost_is_made_again(
    http: TestClient, lite: Store, settings: Settings, uid: str, drawing: Drawing, harm: str
) -> None:
    first = get(http, uid)
    file = settings.blobs / names(lite)["html"]
    if harm == "removed":
        blobs.discard(settings.blobs, file.name)
    else:
        file.write_bytes(b"half of i")
    assert (get(http, uid).content, drawing.calls) == (first.content, 2)
    assert (get(http, uid).content, drawing.calls) == (first.content, 2), "it is kept again"


@pytest.mark.usefixtures("drawing")
def test_a_new_renderer_makes_it_anew(
    http: TestClient, lite: Store, settings: Settings, uid: str, monkeypatch: Any
) -> None:
    get(http, uid)
    get(http, uid, "json")
    before = names(lite)
    monkeypatch.setattr(reporting, "renderer", lambda: "of tomorrow")
    monkeypatch.setattr(
        "whichopt.service.evidence.report.html.render_html", lambda made: f"{made.job.id} in blue"
    )
    assert get(http, uid).text == f"{uid} in blue"
    get(http, uid, "json")
    after = names(lite)
    assert after["html"] != before["html"]
    assert after["json"] == before["json"], "the evidence is the same"
    monkeypatch.setattr(reaper, "ORPHAN_S", -1.0)
    reaper.collect(lite, settings)
    assert {file.name for file in settings.blobs.iterdir()} == set(after.values()), "the old page is gone"


@pytest.mark.parametrize(
    "name", ["report.html", "report.css", "html.py", "winners.py", "style.css", "style.py"]
)
def test_the_renderer_is_known_by_its_code(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    version = reporting.renderer.__wrapped__
    before, read = version(), Path.read_bytes
    assert before == version() == reporting.renderer()
    monkeypatch.setattr(Path, "read_bytes", lambda file: read(file) + b" " * (file.name == name))
    assert version() != before


def test_a_job_whose_rows_move_gets_a_new_report(
    http: TestClient, lite: Store, uid: str, drawing: Drawing
) -> None:
    get(http, uid)
    with lite.transaction() as tx:
        tx.jobs.bump(job_id_of(lite, uid))
    get(http, uid)
    assert drawing.calls == 2


def test_a_job_of_an_earlier_version_gets_one_when_it_is_asked_for(
    http: TestClient, lite: Store, uid: str, drawing: Drawing
) -> None:
    with lite.transaction() as tx:
        tx.connection.execute(report.delete())
    assert owed(lite) == [], "nobody rings for it"
    assert get(http, uid).status_code == 200
    assert (get(http, uid).status_code, drawing.calls) == (200, 1)


@pytest.mark.usefixtures("drawing")
def test_a_service_that_cannot_write_blobs_draws_and_says_so(lite: Store, uid: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder can be made below this")
    settings = Settings(blobs=tmp_path / "file" / "blobs", reap_s=600)
    with TestClient(create_app(settings, lite, Recorder()), headers={"X-API-Key": KEY}) as http:
        with capture_logs() as logged:
            answer = get(http, uid)
        assert (answer.status_code, names(lite)) == (200, {})
        assert "report_not_kept" in [line["event"] for line in logged]
        for _ in range(MAX_ATTEMPTS):
            assert get(http, uid).content == answer.content, "to store nothing is no failure of the report's"


def test_a_page_that_ends_its_makers_is_not_drawn_by_a_request(
    http: TestClient, lite: Store, uid: str, drawing: Drawing
) -> None:
    """A maker that is killed, for its memory or its time, writes nothing after its beginning."""
    with lite.read() as tx:
        row = tx.reports.of_job(uid)
    assert row is not None
    for _ in range(MAX_ATTEMPTS):
        with lite.transaction() as tx:
            tx.reports.begin(row.job_id, row.job_revision, reporting.renderer())
    answer = get(http, uid)
    assert (answer.status_code, answer.json()["code"], drawing.calls) == (500, "report_failed", 0)
    assert "its maker was ended" in answer.json()["detail"]


@pytest.mark.usefixtures("drawing")
def test_a_database_that_cannot_be_written_keeps_no_report_from_being_read(
    lite: Store, uid: str, settings: Settings
) -> None:
    read_only = Store(f"sqlite:///file:{lite.url.database}?mode=ro&uri=true")
    with TestClient(create_app(settings, read_only, Recorder()), headers={"X-API-Key": KEY}) as http:
        assert get(http, uid).status_code == 200
    read_only.close()


# -- two at once -----------------------------------------------------------------------------------------


def test_requests_at_once_draw_once(http: TestClient, uid: str, drawing: Drawing) -> None:
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(get(http, uid).content)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), len(set(found)), drawing.calls) == (6, 1, 1)


def test_two_makers_at_once_do_no_harm(
    http: TestClient, lite: Store, settings: Settings, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2, timeout=DEADLINE_S)

    def page(made: Report) -> str:
        both.wait()
        return made.job.id

    monkeypatch.setattr("whichopt.service.evidence.report.html.render_html", page)
    job_id = job_id_of(lite, uid)
    threads = [
        threading.Thread(target=reporting.make_missing, args=(lite, settings.blobs, job_id)) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(names(lite)) == {"html", "json"}
    assert {file.name for file in settings.blobs.iterdir()} == set(names(lite).values())
    assert get(http, uid).text == uid


# -- what fails ------------------------------------------------------------------------------------------


def test_a_report_that_cannot_be_drawn_is_a_clear_problem(
    http: TestClient, lite: Store, uid: str, drawing: Drawing
) -> None:
    drawing.breaks = True
    for asked in range(MAX_ATTEMPTS + 3):
        with capture_logs() as logged:
            answer = get(http, uid)
        assert (answer.status_code, answer.json()["code"]) == (500, "report_failed")
        assert "FloatingPointError: a figure without an end" in answer.json()["detail"]
        assert f"/v1/jobs/{uid}/recommendation" in answer.json()["detail"]
        failures = [line for line in logged if line["event"] == "report_failed"]
        assert len(failures) == (1 if asked < MAX_ATTEMPTS else 0)
    assert drawing.calls == MAX_ATTEMPTS, "then it is given up"
    assert owed(lite) == []
    assert get(http, uid, "json").status_code == 200, "what can be made is still given"
    assert http.get(f"/v1/jobs/{uid}/recommendation").status_code == 200


def test_a_report_that_cannot_be_drawn_does_not_ring_for_ever(
    http: TestClient, lite: Store, settings: Settings, uid: str, drawing: Drawing
) -> None:
    drawing.breaks = True
    rings = 0
    while ringing := owed(lite):
        rings += 1
        assert rings < 10
        for job_id in ringing:
            reporting.make_missing(lite, settings.blobs, job_id)
    assert set(names(lite)) == {"json"}
    assert get(http, uid).json()["code"] == "report_failed"
    assert drawing.calls == rings, "the request does not try again"


def test_a_maker_that_dies_is_counted(lite: Store, uid: str) -> None:
    row: Any = None
    for _ in range(MAX_ATTEMPTS):
        assert owed(lite) == [job_id_of(lite, uid)]
        with lite.transaction() as tx:
            row = tx.reports.of_job(uid)
            assert row is not None
            tx.reports.begin(row.job_id, row.job_revision, reporting.renderer())
    assert owed(lite) == []


def test_an_upgrade_tries_again(
    http: TestClient, uid: str, drawing: Drawing, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing.breaks = True
    for _ in range(MAX_ATTEMPTS):
        get(http, uid)
    drawing.breaks = False
    assert get(http, uid).status_code == 500
    monkeypatch.setattr(reporting, "renderer", lambda: "of tomorrow")
    assert get(http, uid).status_code == 200


@pytest.mark.usefixtures("drawing")
def test_what_is_kept_is_the_report_compressed(
    http: TestClient, lite: Store, settings: Settings, uid: str
) -> None:
    answer = get(http, uid)
    kept = blobs.load(settings.blobs, names(lite)["html"])
    assert gzip.decompress(kept) == answer.content

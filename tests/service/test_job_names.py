"""Names of jobs that cannot be seen, or that turn the words beside them."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from tests.builders.concluded_jobs import concluded_job
from tests.builders.jobs import make_spec
from whichopt.service.db import Store
from whichopt.service.job_names import shown_name


@pytest.mark.parametrize("name", [None, "", " ", "\u3000", "\u200b\u200d", "\u202e" * 9, "\u2800"])
def test_what_cannot_be_seen_is_no_name(name: str | None) -> None:
    assert shown_name(name) == ""


@pytest.mark.parametrize("name", ["digits, who wins?", "שלום", "👩‍🔬", "<b>"])
def test_a_name_that_can_be_read_stays(name: str) -> None:
    assert shown_name(name) == name


def test_a_name_turns_no_words_beside_it(http: TestClient, lite: Store) -> None:
    _, turned = concluded_job(lite, make_spec(name="safe \u202egnihtemos\u2066"))
    _, blank = concluded_job(lite, make_spec(name="\u202e \u200b"))
    for address in ("/", f"/jobs/{turned}", f"/compare?job={turned}&job={blank}", f"/new?from={turned}"):
        text = http.get(address).text
        assert "safe gnihtemos" in text, address
    assert "\u202e" not in http.get(f"/jobs/{turned}").text
    assert f'<a class="name" href="/jobs/{blank}">wine</a>' in http.get("/").text
    assert "<h1>wine" in http.get(f"/jobs/{blank}").text

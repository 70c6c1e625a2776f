"""The page of people's own training functions: what is allowed, who offers it, and how to allow one."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from whichopt.service.db import Store
from whichopt.service.settings import Settings

NAME, OTHER = "ourlab.train:fit", "ourlab.gan:train"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"allow": f"{NAME},{OTHER}"})


def words(http: TestClient) -> str:
    page = http.get("/functions")
    assert page.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text))


def test_functions_are_shown_with_those_who_offer_them(http: TestClient, lite: Store) -> None:
    with lite.transaction() as tx:
        tx.workers.seen("w1", queue="cuda", functions={NAME: "1a" * 32})
    told = words(http)
    assert "ourlab.train:fit w1 (cuda, source 1a1a1a1a1a1a ) Race it" in told
    assert "ourlab.gan:train none: start a worker that can import it" in told
    assert "Functions 2" in told
    assert 'href="/new?function=ourlab.train%3Afit"' in http.get("/functions").text
    with lite.transaction() as tx:
        tx.workers.seen("w2", queue="cuda", functions={NAME: "2b" * 32})
    told = words(http)
    assert "Their sources differ, so jobs about it are refused" in told
    assert "Race it" not in told


def test_the_page_says_how_to_allow_one(http: TestClient) -> None:
    assert "WHICHOPT_ALLOW=ourlab.train:fit" in words(http)

"""The key as a bearer token, beside X-API-Key; and what is said of keys that stand elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.builders.services import KEY
from tests.service.routes.test_access import refused


@pytest.fixture
def anonymous(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, follow_redirects=False) as client:
        yield client


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", " Bearer ", "Bearer  "])
@pytest.mark.parametrize("path", ["/metrics", "/v1/jobs", "/", "/readyz", "/docs"])
def test_a_bearer_token_is_a_key(anonymous: TestClient, scheme: str, path: str) -> None:
    assert anonymous.get(path, headers={"Authorization": f"{scheme} {KEY} "}).status_code == 200


def test_the_same_key_twice_is_one(anonymous: TestClient) -> None:
    both = {"Authorization": f"Bearer {KEY}", "X-API-Key": KEY}
    assert anonymous.get("/v1/jobs", headers=both).status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        [("Authorization", f"Bearer {KEY}"), ("X-API-Key", "wo_another")],
        [("Authorization", "Bearer wo_another"), ("X-API-Key", KEY)],
        [("Authorization", f"Bearer {KEY}"), ("Authorization", "Bearer wo_another")],
        [("X-API-Key", KEY), ("X-API-Key", "wo_another")],
    ],
)
def test_two_keys_are_refused(anonymous: TestClient, given: list[tuple[str, str]]) -> None:
    answer = anonymous.get("/v1/jobs", headers=given)
    refused(answer)
    assert "different API keys" in answer.json()["detail"]


def test_a_proxys_own_password_is_not_our_affair(anonymous: TestClient) -> None:
    basic = {"Authorization": "Basic bWU6c2VzYW1l"}
    assert anonymous.get("/v1/jobs", headers={**basic, "X-API-Key": KEY}).status_code == 200
    anonymous.cookies.set("whichopt_key", KEY)
    assert anonymous.get("/v1/jobs", headers=basic).status_code == 200


def test_a_wrong_token_is_not_mended_by_a_cookie(anonymous: TestClient) -> None:
    anonymous.cookies.set("whichopt_key", KEY)
    refused(anonymous.get("/v1/jobs", headers={"Authorization": "Bearer wo_wrong"}))
    refused(anonymous.get("/v1/jobs", headers={"Authorization": "Bearer"}))


@pytest.mark.parametrize(
    ("path", "given", "said"),
    [
        ("/v1/jobs", {"Authorization": KEY}, "has no scheme"),
        ("/v1/jobs", {"Authorization": f"Token {KEY}"}, "has the scheme 'Token'"),
        ("/v1/jobs", {"Authorization": "Basic bWU6c2VzYW1l"}, "has the scheme 'Basic'"),
        ("/v1/jobs", {"Api-Key": KEY}, "header Api-Key is not looked at"),
        ("/v1/jobs", {"X-Auth-Token": KEY}, "header X-Auth-Token is not looked at"),
        ("/v1/jobs", {"X-API-Key": f"Bearer {KEY}"}, "send the key alone"),
        ("/v1/jobs", {"X-API-Key": f'"{KEY}"'}, "send the key alone"),
        (f"/v1/jobs?key={KEY}", {}, "in the address is taken by the page alone"),
        (f"/metrics?api_key={KEY}", {}, "in the address is taken by the page alone"),
        ("/v1/jobs", {}, "an API key is needed"),
    ],
)
def test_a_key_in_the_wrong_place_is_told_the_right_one(
    anonymous: TestClient, path: str, given: dict[str, str], said: str
) -> None:
    answer = anonymous.get(path, headers=given)
    refused(answer)
    assert said in answer.json()["detail"]
    assert "Bearer realm=" in answer.headers["WWW-Authenticate"]
    assert KEY not in answer.text


def test_an_empty_key_is_none(app: FastAPI, anonymous: TestClient) -> None:
    with app.state.store.transaction() as tx:
        tx.keys.ensure("", name="of an earlier version, from an empty file")
    refused(anonymous.get("/v1/jobs", headers={"X-API-Key": ""}))
    refused(anonymous.get("/?key="))


def test_the_description_names_both(app: FastAPI) -> None:
    described = app.openapi()
    assert described["components"]["securitySchemes"]["bearer"] == {"type": "http", "scheme": "bearer"}
    for path, methods in described["paths"].items():
        for operation in methods.values():
            named = {name for one in operation["security"] for name in one}
            assert named == (set() if path == "/healthz" else {"key", "bearer", "cookie"})

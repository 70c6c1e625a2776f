"""JSON as other systems write it is read; what says two things, or is none, is refused by name and place."""

from __future__ import annotations

import codecs
import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from service.cli import app
from service.json_input import loads

SPEC = {"name": "実験 αβγ", "workload": {"dataset": "wine", "model": "linear"}}
TEXT = json.dumps(SPEC, ensure_ascii=False, indent=1)


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.replace("\n", "\r\n").encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"),
    ],
    ids=["utf-8", "crlf", "utf-8-sig", "utf-16 of PowerShell", "utf-16-be", "utf-32"],
)
def test_it_is_read_in_each_encoding_of_the_standard(content: bytes, tmp_path: Path) -> None:
    assert loads(content) == SPEC
    (tmp_path / "spec.json").write_bytes(content)
    for path, given in ((str(tmp_path / "spec.json"), None), ("-", content)):
        found = CliRunner().invoke(app, ["lint", path], input=given)
        assert found.exit_code == 0, found.output


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            '{"name": "na\xefve"}'.encode("latin-1"),
            "it is not in UTF-8 (line 1, byte 13: 0xef); save it as UTF-8",
        ),
        (codecs.BOM_UTF16_LE + b"\x00\xd8\x00", "it begins as UTF-16 and is not"),
        ('{\n "a": 1,\n}', "line 3, column 1: JSON has a comma between two values only"),
        ("[1, 2,]", "line 1, column 7: JSON has a comma"),
        ("[1,, 2]", "line 1, column 4: JSON has a comma"),
        ('{\n "a": 1 // one\n}', "line 2, column 9: JSON has no comments"),
        ('# a spec\n{"a": 1}', "line 1, column 1: JSON has no comments"),
        ("{'a': 1}", "line 1, column 2: JSON has strings in double quotes"),
        ("{\u201ca\u201d: 1}", "line 1, column 2: these are a word processor's quotes"),
        ('{"a": True}', "line 1, column 7: JSON spells it true"),
        ('{"a": NaN}', "NaN is no number in JSON"),
        ('{"a": -Infinity}', "-Infinity is no number in JSON"),
        ('{"a": 1, "b": {"lr": 1, "lr": 2}}', "'lr' is given twice in one object"),
        ("", "line 1, column 1: it is empty"),
        ('{"a": "b\n"}', "line 1, column 9: Invalid control character here"),
        ('{"a": "b', "line 1, column 7: Unterminated string starting here"),
        ('{"a": 1} {"b": 2}', "line 1, column 10: Extra data"),
        ("[" * 100_000, "it is nested too deeply"),
    ],
)
def test_it_is_refused_by_what_is_wrong_and_where(content: str | bytes, said: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        loads(content)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("body", ['{"name": "a\nb"}', '{"name": "a'])
def test_the_place_in_a_body_is_said_once(http: TestClient, body: str) -> None:
    answer = http.post("/v1/lint", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")
    assert answer.json()["detail"].count(" at ") == 1


def test_a_body_that_gives_a_field_twice_is_refused(http: TestClient) -> None:
    workload = json.dumps(SPEC["workload"])
    for path in ("/v1/jobs", "/v1/lint"):
        twice = f'{{"workload": {workload}, "seed": 1, "seed": 2}}'
        answer = http.post(path, content=twice, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")
        assert "'seed' is given twice in one object" in answer.json()["detail"]
    other = codecs.BOM_UTF16_LE + json.dumps(SPEC).encode("utf-16-le")
    answer = http.post("/v1/lint", content=other, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200

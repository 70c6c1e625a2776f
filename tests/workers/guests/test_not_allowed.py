"""A function that the operator does not allow is imported nowhere, however its name is spelt."""

from __future__ import annotations

import importlib.abc
import json
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builders.guests import GUEST
from tests.builders.homes import KEY, Production
from tests.builders.training_functions import LOSS
from tests.builders.waiting import wait_until
from whichopt.service.errors import UnknownFunction
from whichopt.service.spec import JobSpec, ResolvedFunction, resolve
from whichopt.service.sqlite_url import sqlite_url
from whichopt.service.states import JobState
from whichopt.workers.embedded.broker import Broker
from whichopt.workers.guests.guest import Guest
from whichopt.workers.guests.offered import source_of_named
from whichopt.workers.guests.target import load

ALLOWED = "ourlab.train:fit"

SPELLINGS = [
    "evil:fit",
    "ourlab.train:other",
    "ourlab.train:fi",
    "ourlab.train:fits",
    "ourlab.train",
    "ourlab:train",
    "ourlab:fit",
    "ourlab.train:",
    ":fit",
    ":",
    "",
    "ourlab.train:Fit",
    "Ourlab.train:fit",
    "OURLAB.TRAIN:FIT",
    " ourlab.train:fit",
    "ourlab.train:fit ",
    "ourlab.train:fit\n",
    "\tourlab.train:fit",
    "ourlab.train:fit\x00",
    "ourlab.train:fit\x00evil:fit",
    "ourlab.train\u200b:fit",
    "\ufeffourlab.train:fit",
    "ourlab.train：fit",
    "ourlab․train:fit",
    "оurlab.train:fit",  # a Cyrillic o
    "ourlab.train:ﬁt",  # a ligature, which NFKC takes apart
    unicodedata.normalize("NFKC", "ｅｖｉｌ:fit"),
    "ｅｖｉｌ:fit",
    "ourlab..train:fit",
    "ourlab.train.:fit",
    ".ourlab.train:fit",
    "..evil:fit",
    "ourlab.train:fit:fit",
    "ourlab:train:fit",
    "ourlab.train::fit",
    "ourlab.train:fit.__globals__",
    "ourlab.train:fit.__code__",
    "ourlab.train:fit()",
    "ourlab.train:__import__",
    "ourlab.train:fit,evil:fit",
    "ourlab.train:fit;evil:fit",
    "evil:fit,ourlab.train:fit",
    "evil.ourlab.train:fit",
    "ourlab.train.evil:fit",
    "builtins:eval",
    "os:system",
    "subprocess:run",
    "__main__:fit",
    "__main__:x",
    "evil.py:fit",
    "train.py:fit",
    "./evil.py:fit",
    "ourlab/train.py:fit",
    "evil.py",
    "evil",
    "../evil:fit",
    "file:///evil.py:fit",
    "*:fit",
    "ourlab.train:*",
    "ourlab.*:fit",
    "__import__('evil'):fit",
    "ourlab.train:fit" * 50,
    "a" * 100_000 + ":fit",
]
"""Spellings that somebody may try who wants another module, or the allowed one by another name."""

ODD: list[Any] = [
    None,
    True,
    7,
    ["ourlab.train:fit"],
    ["evil:fit"],
    {"name": ["ourlab.train:fit"], "options": {}},
    {"name": "ourlab.train:fit", "module": "evil"},
    {"name": "evil:fit", "options": {"ourlab.train:fit": 1}},
    {"name": "evil:fit", "options": {"x": "__import__('evil')"}},
    {"name": "ourlab.train:fit", "source": "0" * 64},
    {"function": "ourlab.train:fit"},
]

BUDGET: dict[str, Any] = {"budget": {"trials": 3}}

RAW = [
    b'{"budget": {"trials": 3}, "workload": {%s, "minimize": "loss"}}' % function
    for function in (
        b'"function": "\\u0065vil:fit"',
        b'"function": "ourlab.train:fit\\u0000"',
        b'"function": "ourlab.train:fit", "function": "evil:fit"',
        b'"function": "evil:fit", "function": "ourlab.train:fit"',
        b'"function": "\\ud800evil:fit"',
    )
]
"""What only the bytes of a body can say: escapes, a field given twice, half of a surrogate pair."""

WITNESS = """
import os, sys

class Witness:
    @staticmethod
    def find_spec(name, path=None, target=None):
        with open(os.path.join({folder!r}, str(os.getpid())), "a") as file:
            file.write(name + "\\n")

sys.meta_path.insert(0, Witness)
"""
"""Writes down all that a process looks for; audit hooks do not hear of `importlib.import_module`."""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A folder of modules, on the path of every process, which all write down what they look for."""
    code, seen = tmp_path / "code", tmp_path / "seen"
    (code / "ourlab").mkdir(parents=True)
    seen.mkdir()
    function = "def fit(run):\n    run.report(loss=1.0)\n"
    for name in ("ourlab/__init__.py", "ourlab/train.py", "ourlab/evil.py", "evil.py", "train.py"):
        (code / name).write_text(function)
    (code / "sitecustomize.py").write_text(WITNESS.format(folder=str(seen)))
    return code


def imported(lab: Path) -> set[str]:
    """Every module that any of the processes has looked for."""
    return {name for file in (lab.parent / "seen").iterdir() for name in file.read_text().splitlines()}


class Finder(importlib.abc.MetaPathFinder):
    """Sees what this process looks for, and finds nothing."""

    def __init__(self) -> None:
        self.looked_for: list[str] = []

    def find_spec(self, fullname: str, *_: Any) -> None:
        self.looked_for.append(fullname)


@pytest.fixture
def finder() -> Iterator[Finder]:
    one = Finder()
    sys.meta_path.insert(0, one)
    yield one
    sys.meta_path.remove(one)


@pytest.mark.parametrize("name", SPELLINGS, ids=lambda name: ascii(name)[:40])
def test_a_runner_looks_for_nothing_that_is_not_allowed(
    name: str, finder: Finder, lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(lab))
    monkeypatch.chdir(lab)
    before = set(sys.modules)
    with pytest.raises(UnknownFunction):
        load(name, allow=(ALLOWED,))
    assert finder.looked_for == []
    assert set(sys.modules) == before


@pytest.mark.parametrize("allow", [(), (ALLOWED,)])
def test_a_process_that_is_told_to_run_it_refuses_before_it_imports(
    allow: Sequence[str], lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(lab))
    monkeypatch.chdir(lab)
    with pytest.raises(UnknownFunction, match="no function 'evil:fit' is allowed here"):
        source_of_named(Guest("evil:fit", LOSS, allow=tuple(allow)))
    assert "whichopt.workers.guests.target" in imported(lab), "the witness sees"
    assert not imported(lab) & {"evil", "ourlab", "ourlab.train"}


def test_over_http_no_spelling_imports_anything_and_a_forged_row_waits(
    lab: Path, broker: Broker, tmp_path: Path
) -> None:
    environment = {"WHICHOPT_ALLOW": ALLOWED, "PYTHONPATH": str(lab)}
    home = Production(sqlite_url(tmp_path / "rest.db"), broker, tmp_path, workers=0, environment=environment)
    try:
        with httpx.Client(base_url=home.url, headers={"X-API-Key": KEY}) as http:

            def answer(body: bytes, door: str = "jobs") -> tuple[int, str]:
                said = http.post(f"/v1/{door}", content=body, headers={"Content-Type": "application/json"})
                return said.status_code, said.json().get("code", "")

            workloads = [{"function": one, "minimize": "loss"} for one in (*SPELLINGS, *ODD)]
            named = [{"function": {"name": one}, "minimize": "loss"} for one in SPELLINGS]
            bodies = [json.dumps({"workload": one, **BUDGET}).encode() for one in (*workloads, *named)]
            answers = {body: answer(body) for body in (*bodies, *RAW)}
            others = {door: {answer(body, door)[0] for body in bodies} for door in ("lint",)}
            right = json.dumps({"workload": {"function": ALLOWED, "minimize": "loss"}, **BUDGET}).encode()
            assert answer(right)[0] == 202, "what is wrong with the others is their name"
        wrong = {body: said for body, said in answers.items() if said[0] not in (400, 422)}
        assert wrong == {}
        assert {code for _, code in answers.values()} == {"unknown_function", "invalid_spec", "invalid_json"}
        assert {status for said in others.values() for status in said} <= {200, 400, 422}
        (only,) = home.client.jobs().items
        home.client.cancel(only.id)
        assert "fastapi" in imported(lab), "the witness sees"
        assert not imported(lab) & {"evil", "train", "ourlab", "ourlab.train", "ourlab.evil"}

        log = home.start_worker()
        asked = resolve(JobSpec.model_validate(GUEST))
        assert isinstance(asked.workload, ResolvedFunction)
        function = asked.workload.function.model_copy(update={"name": "evil:fit"})
        forged = asked.workload.model_copy(update={"function": function})
        with home.store.transaction() as tx:
            _, uid = tx.jobs.add(asked.model_copy(update={"workload": forged}), queue="cpu")
        wait_until(lambda: "lacks_function" in log.read_text(), "a worker to see the row")
        wait_until(lambda: home.client.functions()[0].workers, "the worker to tell what it offers")
        assert home.client.job(uid).state is JobState.QUEUED
        assert "ourlab.train" in imported(lab), "which it allows"
        assert not imported(lab) & {"evil", "train", "ourlab.evil"}
    finally:
        home.stop()

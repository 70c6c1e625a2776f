"""The scripts of others are what their packages have: nobody has changed them."""

from __future__ import annotations

import hashlib

import pytest

from tests.service.web.vendored import FOLDER, Vendored, listed


@pytest.mark.parametrize("entry", listed(), ids=lambda entry: entry["file"])
def test_a_vendored_file_has_its_hash(entry: Vendored) -> None:
    assert hashlib.sha512((FOLDER / entry["file"]).read_bytes()).hexdigest() == entry["sha512"]


def test_every_script_of_the_pages_stands_in_the_list() -> None:
    there = {
        str(path.relative_to(FOLDER))
        for folder in ("htmx", "vega")
        for path in (FOLDER / folder).glob("*.js")
    }
    assert there == {entry["file"] for entry in listed() if entry["file"].endswith(".js")}

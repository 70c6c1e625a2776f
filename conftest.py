"""The names that the examples in docstrings use: `pytest --doctest-modules` runs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest


@pytest.fixture(scope="session")
def names_of_examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, object]]:
    from tests.builders.examples import names_of_examples

    folder = tmp_path_factory.mktemp("examples")
    with pytest.MonkeyPatch.context() as patch, names_of_examples(folder) as names:
        patch.chdir(folder)
        yield names


@pytest.fixture(autouse=True)
def _an_example_has_its_names(request: pytest.FixtureRequest, doctest_namespace: dict[str, Any]) -> None:
    """Give an example of a module that needs one a service and a report; other tests go without."""
    if isinstance(request.node, pytest.DoctestItem) and {"service", "fit"} & {*request.node.path.parts}:
        doctest_namespace.update(request.getfixturevalue("names_of_examples"))

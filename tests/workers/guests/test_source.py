"""The hash of a function: what changes it, and what does not."""

from __future__ import annotations

import functools
import linecache
import sys
from pathlib import Path
from types import ModuleType

import pytest

import tests.builders.training_functions
from whichopt.service.errors import UnknownFunction
from whichopt.workers.guests.source import Source, identity, source_of, source_of_file
from whichopt.workers.guests.target import check_allowed, load

NOTEBOOK = """
import torch
BATCH = 64
CONFIG = {"width": [64, 32], "bias": True}
TABLES = {"train": object}
data = [1, 2, 3]
unused = 1
class Base:
    def width(self):
        return 3
class Net(Base):
    def forward(self, x):
        return double(x)
def double(x):
    return 2 * x
def other():
    return 0
def fit(run):
    lr = run.lr
    return Net(), BATCH, CONFIG, TABLES, data, torch.ones(1)
"""


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    return module


def of_notebook(main: ModuleType, text: str) -> str:
    """The hash of `fit` after a cell with that text ran, as IPython runs it."""
    name = f"<cell {hash(text)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    vars(main).clear()
    vars(main)["__name__"] = "__main__"
    exec(compile(text, name, "exec"), vars(main))
    return source_of(main.fit).sha256


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ("return 2 * x", "return 3 * x", True),
        ("return 3\n", "return 4\n", True),
        ("BATCH = 64", "BATCH = 32", True),
        ("lr = run.lr", "lr = 2 * run.lr", True),
        ("unused = 1", "unused = 2", False),
        ("return 0", "return 1", False),
        ('"width": [64, 32]', '"width": [64]', True),
        ('"train": object', '"train": object, "test": object', False),
        ("data = [1, 2, 3]", "data = [4]", False),
    ],
)
def test_of_a_notebook_it_is_what_the_function_names(
    main: ModuleType, before: str, after: str, changes: bool
) -> None:
    text = NOTEBOOK.replace(before, after)
    assert text != NOTEBOOK
    assert (of_notebook(main, NOTEBOOK) != of_notebook(main, text)) is changes


def test_without_text_it_is_the_code(main: ModuleType) -> None:
    def of_text(text: str) -> str:
        vars(main)["__name__"] = "__main__"
        exec(text, vars(main))
        return source_of(main.fit).sha256

    assert of_text("def fit(run): return 1") == of_text("def fit(run):\n    return 1")
    assert of_text("def fit(run): return 1") != of_text("def fit(run): return 2")


def test_of_a_module_it_is_the_file() -> None:
    file = source_of_file(Path(tests.builders.training_functions.__file__))
    assert source_of(tests.builders.training_functions.fit) == file
    assert source_of(functools.partial(tests.builders.training_functions.fit)) == file
    assert load("tests.builders.training_functions:fit").source == file


BOUND = """
import functools
BLOCK = object()
def fit(run, width=8, sizes=(), layer=None, data=BLOCK): ...
def small(): ...
def large(): ...
def closed(width):
    def inner(run):
        return width
    return inner
class Trainer:
    def __init__(self, width):
        self.width, self.data = width, object()
    def __call__(self, run):
        return self.width
    def go(self, run):
        return self.width
"""


@pytest.fixture(params=["module", "script"])
def bound(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    name = "bound_values" if request.param == "module" else "__main__"
    module = ModuleType(name)
    module.__file__ = str(tmp_path / "bound_values.py")
    Path(module.__file__).write_text(BOUND)
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(BOUND, module.__file__, "exec"), vars(module))
    return module


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ("functools.partial(fit, width=2)", "functools.partial(fit, width=3)", True),
        ("functools.partial(fit, width=2)", "functools.partial(fit, width=2)", False),
        ("functools.partial(fit, 2)", "fit", True),
        (
            "functools.partial(functools.partial(fit, width=2), sizes=1)",
            "functools.partial(fit, sizes=1)",
            True,
        ),
        ("functools.partial(fit, sizes=[64, 32])", "functools.partial(fit, sizes=[64, 64])", True),
        ("functools.partial(fit, sizes={'a': 1})", "functools.partial(fit, sizes={'a': 2})", True),
        ("functools.partial(fit, layer=small)", "functools.partial(fit, layer=large)", True),
        ("functools.partial(fit, data=object())", "functools.partial(fit, data=object())", False),
        ("functools.partial(fit)", "fit", False),
        ("closed(2)", "closed(3)", True),
        ("closed(2)", "closed(2)", False),
        ("Trainer(2)", "Trainer(3)", True),
        ("Trainer(2)", "Trainer(2)", False),
        ("Trainer(2).go", "Trainer(3).go", True),
        ("functools.partial(Trainer(2).go)", "Trainer(3).go", True),
        ("[lambda run, w=w: w for w in (2, 3)][0]", "[lambda run, w=w: w for w in (2, 3)][1]", True),
    ],
)
def test_what_is_bound_to_a_function_tells_it_from_another(
    bound: ModuleType, one: str, other: str, differ: bool
) -> None:
    first, second = (source_of(eval(text, vars(bound))).sha256 for text in (one, other))
    assert (first != second) is differ


def test_options_and_version_are_part_of_the_identity() -> None:
    source = Source("def fit(run): ...")
    one = identity(source, options={"depth": 1})
    assert one == identity(source, options={"depth": 1}, version=None)
    assert one != identity(source, options={"depth": 2})
    assert one != identity(source, options={"depth": 1}, version="2026-11")


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "tests.builders.training_functions:fit.x",
        "tests/builders/training_functions.py:fit",
        "tests.builders.training_functions:*",
        "a:b\n",
    ],
)
def test_only_exact_names_are_allowed(name: str) -> None:
    check_allowed("tests.builders.training_functions:fit", ["tests.builders.training_functions:fit"])
    with pytest.raises(UnknownFunction):
        check_allowed(name, ["tests.builders.training_functions:fit"])
    if name != "os:system":
        with pytest.raises(UnknownFunction):
            check_allowed(name, [name])


def test_what_cannot_be_found_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name, said in (
        ("no.such.module:fit", "there is no module 'no.such.module'"),
        ("tests.builders.training_functions:fitt", "has no function 'fitt'; did you mean 'fit'"),
        ("missing.py:fit", "there is no file 'missing.py'"),
        ("missing", "there is no file"),
    ):
        with pytest.raises(UnknownFunction, match=said):
            load(name)
    broken = tmp_path / "broken_module.py"
    broken.write_text("import no_such_thing_at_all\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_thing_at_all"):
        load(f"{broken}:fit")

"""What has to be changed in a training function: at most 5 lines of it, and 3 around it."""

from __future__ import annotations

import ast
import difflib
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
NAMES = sorted(path.stem for path in (EXAMPLES / "before").glob("*.py") if path.stem != "__init__")


def bodies(text: str) -> set[int]:
    """The numbers of the lines in the bodies of functions and classes."""
    inside: set[int] = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            inside |= set(range(node.body[0].lineno, (node.end_lineno or 0) + 1))
    return inside


def changed(before: str, after: str) -> tuple[int, int]:
    """The lines that are changed, added or left out: in bodies, and around them."""
    old, new = before.splitlines(), after.splitlines()
    inside_old, inside_new = bodies(before), bodies(after)
    counts = {True: 0, False: 0}
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        gone = [at + 1 in inside_old for at in range(a, b) if old[at].strip()]
        came = [at + 1 in inside_new for at in range(c, d) if new[at].strip()]
        for inside in (True, False):
            counts[inside] += max(gone.count(inside), came.count(inside))
    return counts[True], counts[False]


def test_lines_are_counted() -> None:
    before = "import a\ndef f():\n    one()\n    two()\nf()\n"
    after = "import a\nimport b\n\ndef f(x):\n    one(x)\n    more()\n    two()\ng(f)\n"
    assert changed(before, after) == (2, 3)
    assert changed(before, before.replace("    two()\n", "")) == (1, 0)


@pytest.mark.parametrize("name", NAMES)
def test_few_lines_change(name: str) -> None:
    before, after = ((EXAMPLES / folder / f"{name}.py").read_text() for folder in ("before", ""))
    inside, around = changed(before, after)
    assert 0 < inside <= 5
    assert 0 < around <= 3

"""Counts what makes docstrings hard to read: fragments as first words, and "where" for "if".

`python -m benchmarks.docstring_words` prints the counts of each package, and with `--list` the docstrings
that begin as a fragment.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FRAGMENTS = {"what", "whether", "how", "of", "where", "as", "those", "which", "who"}
"""First words of a noun fragment; a docstring begins with a verb, or with the name of what it describes."""


def docstrings(package: str) -> Iterator[tuple[Path, int, str]]:
    """Yield path, line and text of all docstrings, those below a name included."""
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            value = node.value if isinstance(node, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield path, value.lineno, value.value


def words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z]+", text)


def is_fragment(text: str) -> bool:
    return bool(found := words(text)) and found[0].lower() in FRAGMENTS


def counts(package: str) -> tuple[int, float, float]:
    """Return the docstrings of a package, the share of fragments, and "where" per 1,000 words."""
    texts = [text for _, _, text in docstrings(package)]
    spelled = [word.lower() for text in texts for word in words(text)]
    return len(texts), sum(map(is_fragment, texts)) / len(texts), 1000 * spelled.count("where") / len(spelled)


def main() -> None:
    for package in ("service", "workers"):
        number, fragments, where = counts(package)
        print(f"{package}: {number} docstrings, {fragments:.1%} fragments, {where:.1f} where per 1,000 words")
    if "--list" in sys.argv:
        for package in ("service", "workers"):
            for path, line, text in docstrings(package):
                if is_fragment(text):
                    print(f"{path.relative_to(ROOT)}:{line}: {text.strip().splitlines()[0]}")


if __name__ == "__main__":
    main()

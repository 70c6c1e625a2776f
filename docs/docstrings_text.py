"""Turns docstrings, whose formulas are written for Sphinx, into what mkdocstrings shows well."""

from __future__ import annotations

import re
from textwrap import dedent

BLOCK = re.compile(r"^( *)\.\. math::\n((?:\1 +.*\n|\n)+)", re.MULTILINE)
INLINE = re.compile(r":math:`([^`]+)`")
EXAMPLE = re.compile(r"^Example:$", re.MULTILINE)


def markdown(text: str) -> str:
    """Return a docstring with its formulas as code: nothing is loaded from elsewhere to draw them.

    Its example gets the heading by which mkdocstrings knows one, and shows it as code too.
    """
    text = BLOCK.sub(_block, text + "\n")
    text = INLINE.sub(lambda formula: f"`{' '.join(formula[1].split())}`", text).rstrip()
    return EXAMPLE.sub("Examples:", text)


def _block(formula: re.Match[str]) -> str:
    lines = ["```latex", *dedent(formula[2]).strip().splitlines(), "```"]
    return "".join(f"{formula[1]}{line}\n" for line in lines) + "\n"

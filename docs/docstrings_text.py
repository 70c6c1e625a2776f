"""Turns the formulas of docstrings, which are written for Sphinx, into Markdown."""

from __future__ import annotations

import re
from textwrap import dedent

BLOCK = re.compile(r"^( *)\.\. math::\n((?:\1 +.*\n|\n)+)", re.MULTILINE)
INLINE = re.compile(r":math:`([^`]+)`")


def markdown(text: str) -> str:
    """Return a docstring with its formulas as code: nothing is loaded from elsewhere to draw them."""
    text = BLOCK.sub(_block, text + "\n")
    return INLINE.sub(lambda found: f"`{' '.join(found[1].split())}`", text).rstrip()


def _block(found: re.Match[str]) -> str:
    lines = ["```latex", *dedent(found[2]).strip().splitlines(), "```"]
    return "".join(f"{found[1]}{line}\n" for line in lines) + "\n"

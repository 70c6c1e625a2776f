"""What the reader says about a file, in the words of the page's form in place of the API's parameters."""

from __future__ import annotations

import re

RULES = (
    (r'columns=\{"[^"]*": "leave_out"\}', "choose leave out as its kind"),
    (r'columns=\{"[^"]*": "(\w+)"\} or "(\w+)"', r"choose \1 or \2 above"),
    (r'columns=\{"[^"]*": "(\w+)"\}', r"choose \1 above"),
    (r"columns=\{\.\.\.: (\w+)\}", r"\1, in the list above"),
    (r"header=true", "“First row: names the columns”"),
    (r"header=false", "“First row: is data”"),
    (r"split=group:NAME", "“Test rows: whole groups of a column”"),
    (r"\btarget=(\w+)", r"“Target: \1”"),
    (r"\btask=(\w+)", r"“Task: \1”"),
    (r"\bsize=N\b", "“Size of images”"),
)


def in_the_form(text: str) -> str:
    """Return the text with the fields of the form in place of the API's parameters."""
    for parameter, field in RULES:
        text = re.sub(parameter, field, text)
    return text


def sentence(text: str) -> str:
    """Return the text, which begins in lower case and has no end, as a sentence of the page."""
    told = in_the_form(text).rstrip(".")
    return f"{told[:1].upper()}{told[1:]}."

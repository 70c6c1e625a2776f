"""JSON as people and other systems write it: read if it says one thing, refused by name and place if not."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

HINTS = {
    "/": "JSON has no comments",
    "#": "JSON has no comments",
    "'": "JSON has strings in double quotes",
    "\N{LEFT DOUBLE QUOTATION MARK}": "these are a word processor's quotes, JSON has straight ones",
    "\N{RIGHT DOUBLE QUOTATION MARK}": "these are a word processor's quotes, JSON has straight ones",
    "N": "JSON has no NaN",
    "T": "JSON spells it true",
    "F": "JSON spells it false",
    "\N{NO-BREAK SPACE}": "this is a no-break space, which JSON does not take for a space",
}
"""Messages about constructs that JSON does not have."""


def loads(content: str | bytes) -> Any:
    """Return the value of a JSON text; bytes may be in UTF-8, UTF-16 or UTF-32, marked as such or not.

    Raises:
        ValueError: it is none, in one line: what is wrong, and at which line and column.
    """
    text = content.removeprefix("\ufeff") if isinstance(content, str) else _decoded(content)
    try:
        return json.loads(text, parse_constant=_no_number, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        # Python's reader ends some of its sentences in "at", for the place that it says itself.
        what = _hint(text, error.pos) or re.sub(r" at$", " here", error.msg)
        raise ValueError(f"line {error.lineno}, column {error.colno}: {what}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of these names and values; Python's reader would take the last of two alike.

    Raises:
        ValueError: a name is given twice.
    """
    values = dict(pairs)
    if len(values) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"{twice!r} is given twice in one object")
    return values


def _decoded(content: bytes) -> str:
    encoding = json.detect_encoding(content)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding.startswith("utf-8"):
            before = content[: error.start]
            line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
            at = f"line {line}, byte {column}: {content[error.start]:#04x}"
            raise ValueError(f"it is not in UTF-8 ({at}); save it as UTF-8") from None
        raise ValueError(f"it begins as {encoding.upper()} and is not; save it as UTF-8") from None


def _hint(text: str, at: int) -> str | None:
    """Return what a person may have meant, or None."""
    if not text.strip():
        return "it is empty"
    here, before = text[at : at + 1], text[:at].rstrip()[-1:]
    if here == "," or (before == "," and here in ("}", "]")):
        return "JSON has a comma between two values only, and none before } or ]"
    return HINTS.get(here)


def _no_number(name: str) -> None:
    """JSON has no NaN and no Infinity, though Python's reader takes them."""
    raise ValueError(f"{name} is no number in JSON")

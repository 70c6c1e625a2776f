"""Reads the texts of form fields as the values that a job spec has, and writes values as such texts."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
WHOLE = re.compile(r"[+-]?\d{1,300}")
WORDS = {"true": True, "false": False}


def number(text: str) -> Any:
    """Return the number that the text is; other text is returned as it is, for the service to refuse."""
    text = text.strip()
    if WHOLE.fullmatch(text):
        return int(text)
    if NUMBER.fullmatch(text):
        value = float(text)
        return value if value not in (float("inf"), float("-inf")) else text
    return text


def value(text: str) -> Any:
    """Return the switch, the number or the words that the text is; words in double quotes stay words."""
    text = text.strip()
    if text in WORDS:
        return WORDS[text]
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return json.loads(text)
        except ValueError:
            return text
    return number(text)


def values(text: str) -> list[Any]:
    """Return the values that commas part; empty text has none."""
    return [value(part) for part in text.split(",")] if text.strip() else []


def augmentations(text: str) -> list[Any]:
    """Return the names of augmentations that commas part, with the padding of a crop behind its name.

    >>> augmentations("flip, crop 4")
    ['flip', {'name': 'crop', 'padding': 4}]
    """
    found: list[Any] = []
    for part in text.split(","):
        name, _, padding = part.strip().partition(" ")
        if name:
            found.append({"name": name, "padding": number(padding)} if padding.strip() else name)
    return found


def json_or_text(text: str) -> Any:
    """Return the JSON value that the text is; other text is returned as it is, for the service to refuse."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.strip()


def written(one: Any) -> str:
    """Return a value as the text of a field; None is empty."""
    if one is None:
        return ""
    if isinstance(one, bool):
        return "true" if one else "false"
    if isinstance(one, float):
        short = f"{one:g}"
        return short if float(short) == one else repr(one)
    if isinstance(one, str):
        return one if value(one) == one and "," not in one else json.dumps(one)
    if isinstance(one, Sequence):
        return ", ".join(map(written, one))
    return str(one)

"""Pydantic's complaints about a value, in words that say what was sent and what is allowed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

INPUT = "Input "
"""Begins pydantic's own sentences, which leave out what was sent."""

LONGEST_SHOWN = 80


def with_value(sentence: str, value: Any) -> str:
    """Return the sentence, with the value in it if it is pydantic's own and the value is short.

    >>> with_value("Input should be less than 1", 1.5)
    '1.5 is not allowed; it should be less than 1'
    """
    if not sentence.startswith(INPUT):
        return sentence
    text = "" if isinstance(value, Mapping | list) else f"{_shown(value)} is not allowed; "
    return f"{text}it {sentence.removeprefix(INPUT)}".replace(f"; or {INPUT}", ", or it ")


def limit(context: Mapping[str, Any]) -> str | None:
    """Return the limit that was crossed, as a phrase.

    >>> limit({"lt": 1.0})
    'less than 1.0'
    """
    words = {
        "ge": "at least {}",
        "gt": "more than {}",
        "le": "at most {}",
        "lt": "less than {}",
        "min_length": "at least {} of them",
        "max_length": "at most {} of them",
        "pattern": "text that matches {}",
    }
    return next((phrase.format(context[name]) for name, phrase in words.items() if name in context), None)


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."

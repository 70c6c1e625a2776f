"""The options of a model, a dataset or a task as rows of words, from their JSON schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

KINDS = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text"}
MANY = {"integer": "whole numbers", "number": "numbers", "boolean": "true or false", "string": "texts"}


@dataclass(frozen=True)
class OptionWords:
    name: str
    default: str
    allowed: str
    about: Markup


def option_words(options: Mapping[str, Any]) -> list[OptionWords]:
    """Return a row for each option: its default as JSON, what is allowed, and what it is about."""
    return [
        OptionWords(name, _short(schema.get("default")), allowed(schema), _about(schema))
        for name, schema in options.items()
    ]


def allowed(schema: Mapping[str, Any]) -> str:
    """Say what values a JSON schema allows."""
    if "anyOf" in schema:
        return " or ".join(allowed(one) for one in schema["anyOf"])
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    kind = schema.get("type")
    if kind == "null":
        return "nothing"
    if kind == "array":
        items = schema.get("items", {})
        one = f"{MANY.get(items.get('type', ''), 'objects')}{_bounds(items)}"
        return f"{_bounds(schema, 'minItems', 'maxItems').strip() or 'any number'} {one}".strip()
    return f"{KINDS.get(kind or '', 'object')}{_bounds(schema)}"


def _bounds(schema: Mapping[str, Any], least: str = "minimum", most: str = "maximum") -> str:
    low, high = schema.get(least, schema.get("exclusiveMinimum")), schema.get(most)
    if low is not None and high is not None:
        return f" {low:,} to {high:,}"
    if low is not None:
        return f" from {low:,}"
    return "" if high is None else f" up to {high:,}"


def _about(schema: Mapping[str, Any]) -> Markup:
    """Return the description, in which names stand between backticks."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(schema.get("description", "")))))


def _short(value: Any) -> str:
    """A default as JSON; lists of objects are told by their types."""
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return ", ".join(str(one.get("type", "...")) for one in value)
    return json.dumps(value) if value is not None else "none"

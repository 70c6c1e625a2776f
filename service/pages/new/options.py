"""The fields for the options of a catalog entry, made from the JSON schema of its options."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel

from whichopt.service.pages.new.values import json_or_text, number, value, values, written

Kind = Literal["number", "list", "choice", "json"]
SCALARS = ("integer", "number", "string")


@dataclass(frozen=True)
class OptionField:
    """A field for one option; `choices` are the texts of the values of a choice, "" that of null."""

    name: str
    kind: Kind
    default: str
    hint: str = ""
    choices: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return self.name.replace("_", " ")

    def read(self, text: str) -> Any:
        """Return the value that the text of the field is, as the spec has it."""
        match self.kind:
            case "number":
                return number(text)
            case "list":
                return values(text)
            case "choice":
                return value(text) if text else None
            case "json":
                return json_or_text(text)

    def write(self, one: Any) -> str:
        """Return the text of the field for a value."""
        return json.dumps(one, indent=1) if self.kind == "json" and one is not None else written(one)


@cache
def option_fields(options: type[BaseModel]) -> tuple[OptionField, ...]:
    """Return a field for each option."""
    properties: Mapping[str, Mapping[str, Any]] = options.model_json_schema().get("properties", {})
    return tuple(_field(name, schema) for name, schema in properties.items())


def _field(name: str, schema: Mapping[str, Any]) -> OptionField:
    default = schema.get("default")
    if (choices := _choices(schema)) is not None:
        return OptionField(name, "choice", written(default), choices=tuple(map(written, choices)))
    if schema.get("type") in ("integer", "number"):
        return OptionField(name, "number", written(default), hint=_limits(schema))
    items = schema.get("items", {})
    if schema.get("type") == "array" and items.get("type") in SCALARS:
        return OptionField(name, "list", written(default), hint="with commas")
    text = "" if default is None else json.dumps(default, indent=1)
    return OptionField(name, "json", text, hint="JSON")


def _choices(schema: Mapping[str, Any]) -> list[Any] | None:
    """Return the values of a schema that names each of them; None if it does not."""
    if "const" in schema:
        return [schema["const"]]
    if "enum" in schema:
        return list(schema["enum"])
    if schema.get("type") == "boolean":
        return [False, True]
    if schema.get("type") == "null":
        return [None]
    members = [_choices(member) for member in schema.get("anyOf", ())]
    if not members or None in members:
        return None
    found = [one for member in members if member is not None for one in member]
    return sorted(found, key=lambda one: one is not None)  # null first: it is the usual one


def _limits(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    return "" if low is None or high is None else f"{_bound(low)} to {_bound(high)}"


def _bound(bound: float) -> str:
    return f"{int(bound):,}" if bound == int(bound) else f"{bound:g}"

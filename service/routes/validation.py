"""Puts pydantic's errors about a request into its sender's terms: paths as in the JSON, no internal tags."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from whichopt.service.spec import JobSpec
from whichopt.service.spec.complaints import limit, with_value
from whichopt.service.views import FieldProblem

SCALAR_TYPES = {"bool_type", "int_type", "float_type", "string_type"}
OBJECT_TYPES = {"model_type", "model_attributes_type", "dict_type", "union_tag_not_found"}
LIST_TYPES = {"tuple_type", "list_type"}
Path = tuple[str | int, ...]


def field_problems(errors: Iterable[Mapping[str, Any]], body: Any) -> list[FieldProblem]:
    """Return one problem for each field: the deepest one that was reached, of the members that were meant."""
    at: dict[Path, list[Mapping[str, Any]]] = {}
    for error in errors:
        at.setdefault(_path(error, body), []).append(error)
    deepest = [path for path in at if not any(path == other[: len(path)] != other for other in at)]
    return [_problem(path, _meant(at[path])) for path in deepest]


def _path(error: Mapping[str, Any], body: Any) -> Path:
    """Return the error's path as its sender sees it, without the members and tags that pydantic adds."""
    source, *rest = error["loc"]
    if source != "body":
        return (source, *rest)
    here, path = body, list[str | int]()
    for i, part in enumerate(rest):
        inside = (isinstance(here, Mapping) and part in here) or (
            isinstance(here, Sequence) and isinstance(part, int) and part < len(here)
        )
        if inside:
            here = here[part]
            path.append(part)
        elif error["type"] == "missing" and i == len(rest) - 1:
            path.append(part)
    if error["type"] == "union_tag_invalid":
        path.append(error["ctx"]["discriminator"].strip("'"))
    return ("body", *path)


def _meant(errors: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return those errors of a union's members that fit the kind of value that was sent."""
    match errors[0]["input"]:
        case Mapping():
            unfit = SCALAR_TYPES | LIST_TYPES
        case list():
            unfit = SCALAR_TYPES | OBJECT_TYPES
        case _:
            unfit = OBJECT_TYPES | LIST_TYPES
    return [error for error in errors if error["type"] not in unfit] or errors


def _problem(path: Path, errors: Sequence[Mapping[str, Any]]) -> FieldProblem:
    error = errors[0]
    field = ".".join(str(part) for part in path[1:]) or None
    what = f"{field or 'the body'}: "
    value = None if error["type"] == "missing" else error["input"]
    context = error.get("ctx", {})
    allowed: Any = None
    match error["type"]:
        case "extra_forbidden":
            allowed = _known_keys(path[1:-1])
            return _unknown(field, str(path[-1]), allowed, f"{what}no such key", value)
        case "union_tag_invalid":
            allowed = re.findall(r"'([^']*)'", context["expected_tags"])
            return _unknown(field, context["tag"], allowed, f"{what}no such type", context["tag"])
        case "literal_error" | "enum":
            allowed = re.findall(r"'([^']*)'", context["expected"])
            return _unknown(field, str(value), allowed, f"{what}{str(value)[:80]!r} is not allowed", value)
        case "missing":
            detail = "is required, but missing"
        case "union_tag_not_found":
            key = context["discriminator"].strip("'")
            detail = f"an object here needs a {key!r}, which says what it is"
        case _:
            detail = "; or ".join(dict.fromkeys(_sentence(each) for each in errors))
            allowed = limit(context)
            detail = with_value(detail, value)
    return FieldProblem(field=field, value=value, allowed=allowed, detail=what + detail)


def _unknown(field: str | None, name: str, allowed: Any, detail: str, value: Any) -> FieldProblem:
    near = difflib.get_close_matches(name[:100].lower(), allowed or [], n=1, cutoff=0.6)
    guess = f"did you mean {near[0]!r}? " if near else ""
    return FieldProblem(
        field=field,
        value=value,
        allowed=allowed,
        nearest=near[0] if near else None,
        detail=f"{detail}; {guess}choose one of: {', '.join(allowed or [])}",
    )


def _sentence(error: Mapping[str, Any]) -> str:
    text: str = error["msg"]
    return text.removeprefix("Value error, ")


def _known_keys(path: Path) -> list[str]:
    """Return the keys that the job spec has at `path`."""
    definitions = _schema()["$defs"]
    here = _spread([_schema()], definitions)
    for part in path:
        here = _spread([below for schema in here for below in _below(schema, part)], definitions)
    return sorted({key for schema in here for key in schema.get("properties", {})})


@cache
def _schema() -> dict[str, Any]:
    return JobSpec.model_json_schema()


def _below(schema: Mapping[str, Any], part: str | int) -> list[Mapping[str, Any]]:
    if isinstance(part, int):
        below = schema.get("items")
    else:
        below = schema.get("properties", {}).get(part, schema.get("additionalProperties"))
    return [below] if isinstance(below, Mapping) else []


def _spread(schemas: Iterable[Mapping[str, Any]], definitions: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the schemas with references followed and unions spread out."""
    flat: list[Mapping[str, Any]] = []
    for schema in schemas:
        if "$ref" in schema:
            flat += _spread([definitions[schema["$ref"].rsplit("/", 1)[-1]]], definitions)
        else:
            members = [*schema.get("anyOf", []), *schema.get("oneOf", [])]
            flat += _spread(members, definitions) if members else [schema]
    return flat

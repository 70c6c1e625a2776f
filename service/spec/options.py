"""Reads the options of a catalog entry, and says by its path which of them is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from whichopt.service.catalog.layers import KINDS
from whichopt.service.errors import InvalidSpec, UnknownName
from whichopt.service.spec.complaints import limit, with_value

WITHOUT_TYPE = 'must be a layer: its type, such as "relu", or an object with its type and options'

OptionsT = TypeVar("OptionsT", bound=BaseModel)


def read_options(kind: type[OptionsT], options: dict[str, Any], field: str) -> OptionsT:
    """Return the options that a job writes beside the entry's name, at that path of the job.

    Raises:
        InvalidSpec: one is unknown, missing or wrong; the field is its path.
    """
    try:
        return kind.model_validate(options)
    except ValidationError as error:
        complaints = error.errors()
        # A name that does not exist explains a missing one.
        first = next((one for one in complaints if one["type"] == "extra_forbidden"), complaints[0])
        path, holder = _place(first["loc"], options, missing=first["type"] == "missing")
        where = ".".join((field, *path))
        if first["type"] == "extra_forbidden":
            of = KINDS[holder["type"]] if len(path) > 1 else kind
            raise UnknownName.of(
                "option", path[-1], [name for name in of.model_fields if name != "type"], field=where
            ) from None
        if first["type"] == "union_tag_invalid":
            raise UnknownName.of("layer", str(first["ctx"]["tag"]), KINDS, field=where) from None
        words = {
            "missing": "is needed",
            "union_tag_not_found": WITHOUT_TYPE,
            "model_attributes_type": WITHOUT_TYPE,
        }
        value = first.get("input")
        said = words.get(first["type"], with_value(first["msg"].removeprefix("Value error, "), value))
        allowed = limit(first.get("ctx", {}))
        raise InvalidSpec(f"{where}: {said}", field=where, value=value, allowed=allowed) from None


def _place(loc: Sequence[str | int], options: Any, *, missing: bool) -> tuple[list[str], dict[str, Any]]:
    """Return the path in what was sent, and the object that the end of it belongs to.

    pydantic's own path also names the types that it has chosen for what was sent.
    """
    path: list[str] = []
    here, holder = options, options
    for part in loc:
        known = isinstance(here, list | tuple) and isinstance(part, int) and part < len(here)
        if known or (isinstance(here, dict) and part in here):
            holder = here if isinstance(here, dict) else holder
            path.append(str(part))
            here = here[part]
    return ([*path, str(loc[-1])] if missing else path), holder

"""Explains wrong settings in one line each, with the name and the allowed values."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import annotated_types
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from whichopt.service.secret_files import SECRETS

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

PREFIX = "WHICHOPT_"
OTHERS = {
    "WHICHOPT_URL": "Address at which the commands find the service",
    "WHICHOPT_KEY": "API key that the commands send",
    "WHICHOPT_KEY_FILE": "File that holds that key",
    "WHICHOPT_PORT": "Port of this host on which docker-compose.yml publishes the API",
    "WHICHOPT_SECRETS": "Folder of the files that docker-compose.secrets.yml mounts",
    "WHICHOPT_FUNCTIONS": "Folder of the packages that docker-compose.functions.yml mounts",
}
"""Variables that are not fields of the settings."""

INTERNAL = "WHICHOPT_WORKER"
"""The variable that a worker sets for its own processes."""

KUBERNETES = re.compile(
    r"(_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$"
)
"""Variables that Kubernetes sets in every container for a service called whichopt or whichopt-something."""


class WrongSettings(ValueError):
    """The error for wrong settings: one line each, with the allowed values and without any secret."""


def variable(field: str, info: FieldInfo) -> str:
    """Return the environment variable of a field."""
    return info.validation_alias if isinstance(info.validation_alias, str) else f"{PREFIX}{field.upper()}"


def allowed(info: FieldInfo) -> str:
    """Describe the values that a plain field takes."""
    kinds = {int: "a whole number", float: "a number of seconds", Path: "a path"}
    words = next((words for kind, words in kinds.items() if kind is info.annotation), "text")
    for bound in info.metadata:
        match bound:
            case annotated_types.Gt(gt=low):
                words += f" above {low:,}"
            case annotated_types.Ge(ge=low):
                words += f" of at least {low:,}"
            case annotated_types.Le(le=high):
                words += f", at most {high:,.0f}"
            case _:
                continue
    return words


def complaints(error: ValidationError, settings: type[BaseSettings]) -> Iterator[str]:
    """Yield a line for each wrong setting."""
    for complaint in error.errors(include_url=False):
        field = str(complaint["loc"][0])
        by_alias = {info.validation_alias: name for name, info in settings.model_fields.items()}
        field = by_alias.get(field, field)
        info = settings.model_fields[field]
        name = variable(field, info)
        if complaint["type"] == "value_error":
            yield f"{name}: {complaint['ctx']['error']}"
        elif field in SECRETS:
            yield f"{name} cannot be read as text"
        else:
            yield f"{name} is {str(complaint['input'])[:80]!r}; allowed: {allowed(info)}"


def unknown(names: Iterable[str], settings: type[BaseSettings]) -> list[str]:
    """Return a line for each variable with our prefix that nothing reads, with the nearest one in use."""
    fields = settings.model_fields
    known = {variable(field, info) for field, info in fields.items()} | set(OTHERS) | {INTERNAL}
    known |= {f"{variable(field, fields[field])}_FILE" for field in SECRETS}
    endings = sorted(one.removeprefix(PREFIX) for one in known - {INTERNAL} if one.startswith(PREFIX))
    lines = []
    for name in sorted({name.upper() for name in names} - known):
        if not name.startswith(PREFIX) or KUBERNETES.search(name):
            continue
        close = difflib.get_close_matches(name.removeprefix(PREFIX), endings, n=1, cutoff=0.7)
        hint = f"; did you mean {PREFIX}{close[0]}?" if close else ", so it has no effect"
        lines.append(f"{name} is not a setting of whichopt{hint}")
    return lines

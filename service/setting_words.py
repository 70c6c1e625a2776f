"""What is said of settings that are wrong: one line each, with the name and what is allowed."""

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
    "WHICHOPT_URL": "where the commands find the service",
    "WHICHOPT_KEY": "the API key that the commands send",
    "WHICHOPT_KEY_FILE": "a file that holds it",
    "WHICHOPT_PORT": "the port of this host on which docker-compose.yml publishes the API",
    "WHICHOPT_SECRETS": "the folder of the files that docker-compose.secrets.yml mounts",
}
"""Variables that are no fields of the settings."""

INTERNAL = "WHICHOPT_WORKER"
"""Set by a worker for its own processes."""

KUBERNETES = re.compile(
    r"(_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$"
)
"""What it sets in every container for a service that is called whichopt or whichopt-something."""


class WrongSettings(ValueError):
    """Says in one line each which settings are wrong and what is allowed; never says a secret."""


def variable(field: str, info: FieldInfo) -> str:
    """The environment variable of a field."""
    return info.validation_alias if isinstance(info.validation_alias, str) else f"{PREFIX}{field.upper()}"


def allowed(info: FieldInfo) -> str:
    """What a plain field takes, in words."""
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
    """A line for each setting that is wrong."""
    for found in error.errors(include_url=False):
        field = str(found["loc"][0])
        by_alias = {info.validation_alias: name for name, info in settings.model_fields.items()}
        field = by_alias.get(field, field)
        info = settings.model_fields[field]
        name = variable(field, info)
        if found["type"] == "value_error":
            yield f"{name}: {found['ctx']['error']}"
        elif field in SECRETS:
            yield f"{name} cannot be read as text"
        else:
            yield f"{name} is {str(found['input'])[:80]!r}; allowed: {allowed(info)}"


def unknown(names: Iterable[str], settings: type[BaseSettings]) -> list[str]:
    """A line for each variable with our prefix that nothing reads, with the nearest that something does."""
    fields = settings.model_fields
    known = {variable(field, info) for field, info in fields.items()} | set(OTHERS) | {INTERNAL}
    known |= {f"{variable(field, fields[field])}_FILE" for field in SECRETS}
    endings = sorted(one.removeprefix(PREFIX) for one in known - {INTERNAL} if one.startswith(PREFIX))
    lines = []
    for name in sorted({name.upper() for name in names} - known):
        if not name.startswith(PREFIX) or KUBERNETES.search(name):
            continue
        close = difflib.get_close_matches(name.removeprefix(PREFIX), endings, n=1, cutoff=0.7)
        hint = f"did you mean {PREFIX}{close[0]}?" if close else "nothing reads it"
        lines.append(f"{name} is no setting of whichopt; {hint}")
    return lines

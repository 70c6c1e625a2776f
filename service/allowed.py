"""Checks a name against those that the operator allows: `module:callable`, exactly as it is written."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection

from whichopt.service.errors import UnknownFunction
from whichopt.service.function_names import ALLOWED_NAME


def check_allowed(name: str, allowed: Collection[str], *, field: str, what: str = "function") -> None:
    """Raise UnknownFunction unless the operator allows by exactly this name; `what` it is of, in words."""
    if name in allowed:
        return
    near = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
    if not re.fullmatch(ALLOWED_NAME, name):
        said = f"{name[:100]!r} is no name of a {what}, as in 'ourlab.train:fit'"
    else:
        said = f"the operator allows no {what} {name!r}"
    hint = f"did you mean {near[0]!r}?" if near else _there_are(allowed)
    raise UnknownFunction(
        f"{said}; {hint}",
        field=field,
        value=name,
        allowed=list(allowed),
        nearest=near[0] if near else None,
    )


def _there_are(allowed: Collection[str]) -> str:
    if allowed:
        return f"choose one of: {', '.join(allowed)}"
    return "none is allowed: the operator sets WHICHOPT_ALLOW for the API and the workers"

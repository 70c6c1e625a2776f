"""What Docker makes of the compose files, as far as ours go: anchors, variables, files laid over one another.

Variables are read as Compose's documentation on interpolation has them: `$$` is a dollar sign; `${NAME:-x}`
is x if NAME is empty or not set, and `${NAME-x}` only if it is not set. A later file's mappings are merged
into an earlier one's, its lists are appended, and its other values replace them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values

ROOT = Path(__file__).parents[2]

VARIABLE = re.compile(r"\$(?:(\$)|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?-)([^}]*))?\}|(.?))")


def read(*files: str, env: Path | None = None, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the files as one project, with variables in place.

    Args:
        files: names at the top of the repository, later ones over earlier ones.
        env: a file of variables, as `--env-file` takes it.
        variables: the environment, which goes before the file.
    """
    of_file = {} if env is None else dotenv_values(env, interpolate=False)
    given = {**{name: value or "" for name, value in of_file.items()}, **(variables or {})}
    project: dict[str, Any] = {}
    for file in files:
        project = _laid_over(project, yaml.safe_load((ROOT / file).read_text()))
    filled: dict[str, Any] = _filled(project, given)
    return filled


def services(*files: str, env: Path | None = None, **variables: str) -> dict[str, dict[str, Any]]:
    """Return the services of all profiles."""
    found: dict[str, dict[str, Any]] = read(*files, env=env, variables=variables)["services"]
    return found


def _laid_over(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return {**below, **{name: _laid_over(below.get(name), value) for name, value in above.items()}}
    if isinstance(below, list) and isinstance(above, list):
        return [*below, *above]
    return above


def _filled(value: Any, given: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(one, given) for name, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, given) for one in value]
    if not isinstance(value, str):
        return value

    def put(found: re.Match[str]) -> str:
        dollar, bare, braced, sign, default, wrong = found.groups()
        if dollar:
            return "$"
        if wrong is not None:
            raise ValueError(f"${wrong} in {value!r} is no variable; a dollar sign is $$")
        now = given.get(bare or braced)
        return now if now or (now is not None and sign == "-") else (default or "")

    return VARIABLE.sub(put, value)

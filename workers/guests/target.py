"""The function that a name stands for: `module:function`, `file.py:function`, or a script, `file.py`."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import re
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from whichopt.service.errors import UnknownFunction
from whichopt.service.function_names import ALLOWED_NAME
from whichopt.workers.guests.guest import TrainingFunction
from whichopt.workers.guests.source import Source, source_of, source_of_file

_imports: list[str] = []
"""The functions whose module is being imported now."""


def is_importing() -> bool:
    """Tell if what runs now does so because a function's module is imported."""
    return bool(_imports)


class Loaded(NamedTuple):
    """A function with its source."""

    function: TrainingFunction
    source: Source


def check_allowed(name: str, allow: Sequence[str]) -> None:
    """Refuse a name before anything is imported, unless the operator allows exactly it.

    Raises:
        UnknownFunction: it is not allowed.
    """
    if re.fullmatch(ALLOWED_NAME, name) is None or name not in allow:
        raise UnknownFunction(
            f"no function {name!r} is allowed here; the operator allows: {', '.join(allow) or 'none'}",
            field="workload.function.name",
            value=name,
            allowed=list(allow),
        )


def load(name: str, *, allow: Sequence[str] | None = None, arguments: Sequence[str] = ()) -> Loaded:
    """Import what the name says.

    Args:
        name: the name.
        allow: names that the operator allows; None for a person's own, which may be a file.
        arguments: the command line of a script.

    Raises:
        UnknownFunction: the name is not allowed, or there is nothing of that name.
    """
    if allow is not None:
        check_allowed(name, allow)
    place, colon, attribute = name.rpartition(":")
    if not colon:
        path = _file(name)
        return Loaded(_script(path, arguments), source_of_file(path))
    if not place or not attribute:
        raise UnknownFunction(
            f"{name!r} is no name of a function; give module:function, or file.py:function", value=name
        )
    _imports.append(name)
    try:
        module = _module(_file(place)) if place.endswith(".py") else _imported(place, name)
    finally:
        _imports.pop()
    function = getattr(module, attribute, None)
    if not callable(function):
        raise UnknownFunction(
            f"{place} has no function {attribute!r}; {_nearest(module, attribute)}", value=name
        )
    return Loaded(function, source_of(function))


def _nearest(module: ModuleType, name: str) -> str:
    own = [
        one
        for one, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", None) == module.__name__
    ]
    close = difflib.get_close_matches(name, own, n=1)
    return f"did you mean {close[0]!r}?" if close else f"it has {', '.join(own) or 'none'}"


def _file(place: str) -> Path:
    path = Path(place).resolve()
    if path.suffix != ".py" or not path.is_file():
        raise UnknownFunction(
            f"there is no file {place!r}; give module:function, or file.py:function", value=place
        )
    return path


def _module(path: Path) -> ModuleType:
    """Import a file under its own name, with its folder first on the path, as if it were run."""
    sys.path.insert(0, str(path.parent))
    found = importlib.util.spec_from_file_location(path.stem, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[path.stem] = module
    found.loader.exec_module(module)
    return module


def _imported(place: str, name: str) -> ModuleType:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise  # it is there, and lacks something itself
        raise UnknownFunction(f"there is no module {place!r} to import {name!r} from", value=name) from error


def _script(path: Path, arguments: Sequence[str]) -> TrainingFunction:
    def script(run: Any) -> None:
        del run  # the script asks for it: whichopt.run()
        sys.argv = [str(path), *arguments]
        sys.path.insert(0, str(path.parent))
        runpy.run_path(str(path), run_name="__main__")

    return script

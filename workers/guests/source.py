"""The source of a training function, and its hash: whoever edits the function asks another question."""

from __future__ import annotations

import dis
import functools
import hashlib
import inspect
import json
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import Any

from pydantic import JsonValue

PLAIN = (bool, int, float, complex, str, bytes, type(None))


@dataclass(frozen=True)
class Source:
    """The text by which a function is told from another one; `sha256` is its hash."""

    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def source_of(function: Any) -> Source:
    """Return the source of a function.

    For a module it is the file: that is what changes when somebody edits it. A notebook or a script has no
    such file, or one that holds the question as well: of those it is the function, and the functions, classes
    and plain values of theirs that it names, and that those name. What is bound to it counts as well: the
    arguments of a partial, the attributes of an object, the variables of a closure. Data are not looked at.
    """
    inner = _plain(function)
    module = sys.modules.get(getattr(inner, "__module__", None) or "")
    file = getattr(module, "__file__", None)
    if module is not None and module.__name__ != "__main__" and file is not None and Path(file).is_file():
        bound = [*_bound(function), *(f"{name} = {text}" for name, text in _texts(_cells(inner)))]
        return _with(source_of_file(Path(file)), bound)
    return source_in_a_script(function)


def source_in_a_script(function: Any) -> Source:
    """Return the source that a function has in a notebook or a script: it, and what it names there.

    A function of a module has this source, too, if the module is run: `python -m examples.plain`.
    """
    return _with(Source("\n".join(_named(_plain(function)))), _bound(function))


def source_of_file(path: Path) -> Source:
    """Return the source that a module or a script is."""
    return Source(path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n"))


def identity(source: Source, *, options: Mapping[str, JsonValue], version: str | None = None) -> str:
    """Return the hash of a function with its options, and with the name of its data's version."""
    text = json.dumps([source.sha256, options, version], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(function: Any) -> Any:
    """Return the function or the class inside of partials, methods and objects that are called."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, MethodType):
            function = function.__self__ if isinstance(function.__self__, type) else type(function.__self__)
        elif isinstance(function, FunctionType | type):
            return function
        else:
            function = type(function)


def _with(source: Source, bound: Iterable[str]) -> Source:
    """Return the source with what is bound to the function; itself if nothing is."""
    lines = [*bound]
    return Source("\n".join([source.text, *lines])) if lines else source


def _bound(function: Any) -> Iterator[str]:
    """Yield what the text of a function does not say, as it is bound to it: one line for each value."""
    while not isinstance(function, type):
        values: list[tuple[str, Any]]
        inside: Any
        if isinstance(function, functools.partial):
            values = [*((f"argument {at}", value) for at, value in enumerate(function.args))]
            values += sorted(function.keywords.items())
            inside = function.func
        elif isinstance(function, MethodType):
            values, inside = [], function.__self__
        elif isinstance(function, FunctionType):
            values, inside = _defaults(function), type(function)
        else:
            values, inside = sorted(getattr(function, "__dict__", {}).items()), type(function)
        yield from (f"{name} = {text}" for name, text in _texts(values))
        function = inside


def _defaults(function: FunctionType) -> list[tuple[str, Any]]:
    """The defaults of a function without a name that others could import; those of others are in its text."""
    if "<" not in function.__qualname__:
        return []
    code, values = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[: code.co_argcount]
    positional = zip(names[len(names) - len(values) :], values, strict=True)
    return [*positional, *(function.__kwdefaults__ or {}).items()]


def _texts(values: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the values whose text says all of them: plain ones, lists of those, and code by its name."""
    for name, value in values:
        if _is_plain(value):
            yield name, repr(value)
        elif isinstance(value, FunctionType | type):
            yield name, f"{value.__module__}.{value.__qualname__}"


def _is_plain(value: Any) -> bool:
    if type(value) is dict:
        return all(map(_is_plain, value)) and all(map(_is_plain, value.values()))
    return all(map(_is_plain, value)) if type(value) in (list, tuple) else isinstance(value, PLAIN)


def _named(first: Any) -> Iterator[str]:
    """Yield the texts of the function and of all of its module that it names, each once, in that order."""
    home = first.__module__
    waiting, seen = [first], {id(first)}
    while waiting:
        one = waiting.pop(0)
        yield _text(one)
        for name, value in _globals_of(one):
            if isinstance(value, PLAIN) or (type(value) is dict and _is_plain(value)):
                yield f"{name} = {value!r}"  # settings; a list may be all of the data
            elif _is_of(value, home) and id(value) not in seen:
                seen.add(id(value))
                waiting.append(value)


def _is_of(value: Any, home: str) -> bool:
    return isinstance(value, FunctionType | type) and value.__module__ == home


def _text(one: FunctionType | type) -> str:
    try:
        return textwrap.dedent(inspect.getsource(one)).rstrip()
    except (OSError, TypeError):  # of a class in a notebook, or of a text that was executed
        if isinstance(one, FunctionType):
            return _code_text(one.__code__)
        functions = [_text(value) for value in vars(one).values() if isinstance(value, FunctionType)]
        return "\n".join([f"class {one.__qualname__}", *functions])


def _code_text(code: CodeType) -> str:
    inside = [_code_text(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts]
    return "\n".join([code.co_name, code.co_code.hex(), *code.co_names, *inside])


def _globals_of(one: FunctionType | type) -> Iterator[tuple[str, Any]]:
    """Yield what a function or a class names, in the order in which it does: globals, closures, bases."""
    if isinstance(one, type):
        yield from ((base.__name__, base) for base in one.__bases__)
        for value in vars(one).values():
            function = getattr(value, "__func__", getattr(value, "fget", value))
            if isinstance(function, FunctionType):
                yield from _globals_of(function)
        return
    for name in dict.fromkeys(_loaded(one.__code__)):
        if name in one.__globals__:
            yield name, one.__globals__[name]
    yield from _cells(one)


def _cells(one: FunctionType | type) -> Iterator[tuple[str, Any]]:
    """Yield the variables of a closure."""
    if isinstance(one, type):
        return
    for name, cell in zip(one.__code__.co_freevars, one.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not yet filled
            continue


def _loaded(code: CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _loaded(constant)

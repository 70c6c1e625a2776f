"""The object that a plug-in's name stands for, imported in this process: checked first, and once only."""

from __future__ import annotations

import importlib
import inspect
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import packages_distributions, version
from typing import Any

import structlog
import torch

from whichopt.service import extend
from whichopt.service.allowed import check_allowed
from whichopt.service.catalog.origins import Origin
from whichopt.service.errors import PluginChanged, PluginFailed, PluginMissing, UnknownName
from whichopt.service.installed import Installed, Kind, installed
from whichopt.service.settings import Settings
from whichopt.workers.guests.source import source_of
from whichopt.workers.guests.target import load

log = structlog.get_logger()


@dataclass(frozen=True)
class Loaded:
    """A plug-in as it was imported here."""

    kind: Kind
    name: str
    thing: Any
    origin: Origin

    @property
    def words(self) -> str:
        """The plug-in in words, to begin a sentence about it."""
        return f"the {self.kind} {self.name!r} from {self.origin.words}"


def loaded(kind: Kind, name: str, recorded: Origin | None = None) -> Loaded:
    """Import the plug-in of that name.

    Args:
        kind: what it is of.
        name: an entry point's name, or `module:callable` of a network, which the operator must allow.
        recorded: its place as a job records it.

    Raises:
        UnknownFunction: the operator of this process does not allow the callable.
        PluginMissing: it is not installed here.
        PluginChanged: its source is another one than recorded.
        PluginFailed: it cannot be imported, or two packages offer the name.
    """
    found = _allowed(name) if kind == "model" and ":" in name else _of_a_package(kind, name, recorded)
    if recorded is not None and recorded.source not in (None, found.origin.source):
        raise PluginChanged(
            f"{found.words} is not as the job began with it: its source has the hash "
            f"{(found.origin.source or '')[:16]} here, and the job's ({recorded.words}) has "
            f"{recorded.source[:16]}; install the same version everywhere, or send a new job",
            value=name,
        )
    return found


def source(thing: Any) -> str:
    """Return the hash of the source of a plug-in: of the module that has its callable, or its class."""
    if isinstance(thing, extend.Model):
        return source_of(thing.make).sha256
    if isinstance(thing, extend.Dataset):
        return source_of(thing.load).sha256
    if isinstance(thing, extend.Optimizer):
        return source_of(class_at(thing.target)).sha256
    return source_of(thing).sha256


def class_at(target: str) -> Any:
    """Return the class at `package.module.Class`, whose module is imported now."""
    module, _, name = target.rpartition(".")
    return getattr(importlib.import_module(module), name)


def in_words(error: BaseException) -> str:
    """Return what was raised, and where: the line of the plug-in's own that it came through last."""
    frames = traceback.extract_tb(error.__traceback__)
    place = next((one for one in reversed(frames) if __file__ != one.filename), None)
    where = "" if place is None else f" ({place.filename}, line {place.lineno})"
    said = " ".join(str(error).split())[:500]
    return f"{type(error).__name__}{f': {said}' if said else ''}{where}"


@contextmanager
def guarded(kind: Kind, name: str, words: str, doing: str) -> Iterator[None]:
    """Run a plug-in's own code: what it raises is told as its own, and what it sets of torch for everybody is
    set back.

    Raises:
        PluginFailed: it raised, or wanted to end the process.
    """
    threads, dtype, gradients = torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()
    try:
        yield
    except PluginFailed:
        raise
    except (Exception, SystemExit) as error:
        raise PluginFailed(f"{words} cannot be used: {doing} raised {in_words(error)}", value=name) from error
    finally:
        now = torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()
        if now != (threads, dtype, gradients):
            log.warning("plugin_set_torch_for_all", kind=kind, plugin=name, detail="it was set back")
            torch.set_num_threads(threads)
            torch.set_default_dtype(dtype)
            torch.set_grad_enabled(gradients)


def found_in(kind: Kind, name: str) -> list[Installed]:
    """Return the installed packages' entry points of that name."""
    return [one for one in installed() if (one.kind, one.name) == (kind, name)]


def _of_a_package(kind: Kind, name: str, recorded: Origin | None) -> Loaded:
    points = found_in(kind, name)
    if not points:
        if recorded is None:
            raise UnknownName.of(
                kind, name, [one.name for one in installed() if one.kind == kind], field=None
            )
        raise PluginMissing(
            f"the {kind} {name!r} is from {recorded.words}, which is not installed here: install it, and try "
            "again",
            value=name,
        )
    if len(points) > 1:
        packages = " and ".join(sorted({one.package or "?" for one in points}))
        raise PluginFailed(
            f"the packages {packages} both offer a {kind} {name!r}: uninstall one of the two", value=name
        )
    return _imported(points[0])


@cache
def _imported(one: Installed) -> Loaded:
    """Import what the entry point names."""
    place = Origin(target=one.target, package=one.package, version=one.version)
    words = f"the {one.kind} {one.name!r} from {place.words}"
    with guarded(one.kind, one.name, words, f"importing {one.target}"):
        thing = one.point.load()
        if isinstance(thing, extend.Optimizer):
            class_at(thing.target)
        origin = place.model_copy(update={"source": source(thing)})
    return Loaded(one.kind, one.name, thing, origin)


def _allowed(name: str) -> Loaded:
    """Import a callable that the operator allows; the name is checked before anything is imported."""
    allowed = Settings.from_environment().allowed_functions
    check_allowed(name, allowed, field="workload.model.name", what="model")
    return _imported_callable(name)


@cache
def _imported_callable(name: str) -> Loaded:
    with guarded("model", name, f"the model {name!r}", f"importing {name.partition(':')[0]}"):
        make, code = load(name)
    package = next(iter(packages_distributions().get(name.partition(".")[0].partition(":")[0], ())), None)
    installed_as = None if package is None else version(package)
    return Loaded(
        "model",
        name,
        make,
        Origin(target=name, package=package, version=installed_as, source=code.sha256),
    )


def parameters(of: Callable[..., Any]) -> dict[str, inspect.Parameter] | None:
    """Return the parameters of a callable by name; None if it does not tell them."""
    inner = of.func if isinstance(of, partial) and not of.args and not of.keywords else of
    try:
        return dict(inspect.signature(inner).parameters)
    except (TypeError, ValueError):
        return None

"""The job that the arguments of `tune` ask for, and what tells it from another one."""

from __future__ import annotations

import functools
import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from whichopt.service.catalog.built_in import built_in
from whichopt.service.errors import InvalidSpec
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.service.spec.digest import digest
from whichopt.service.spec.request import DEFAULT_OPTIMIZERS
from whichopt.workers.candidates import Candidate
from whichopt.workers.guests.guest import TrainingFunction
from whichopt.workers.guests.source import source_of

Train = TrainingFunction | str
Asked = str | Mapping[str, Any] | Candidate


@dataclass(frozen=True)
class Function:
    """A training function as `tune` was given it; `function` is None if it is a name."""

    name: str
    function: TrainingFunction | None

    @classmethod
    def of(cls, train: Train) -> Function:
        """Return the function, whose name a callable says by itself.

        Raises:
            InvalidSpec: it is neither a callable nor a name.
        """
        if isinstance(train, str):
            return cls(train, None)
        if not callable(train):
            raise InvalidSpec(
                f"tune takes a function of a run, or its name as in 'train.py:fit', and was given "
                f"{train!r:.100}; give the function itself, without calling it",
                field="train",
            )
        inner: Callable[..., Any] = train
        while isinstance(inner, functools.partial):
            inner = inner.func
        kind = inner if hasattr(inner, "__qualname__") else type(inner)
        return cls(f"{_home(kind.__module__)}:{kind.__qualname__}"[:200], train)


def _home(module: str) -> str:
    """Return the name of a module; of one that is run, that by which it is run, as train.py."""
    if module != "__main__":
        return module
    main = sys.modules[module]
    if main.__spec__ is not None:
        return main.__spec__.name.removesuffix(".__main__")
    file = getattr(main, "__file__", None)
    return module if file is None else Path(file).name


def spec_of(body: Mapping[str, Any], optimizers: Sequence[Asked] | None) -> ResolvedSpec:
    """Return the job with every default written out; candidates join the catalog for it.

    Raises:
        InvalidSpec: something is unknown or out of bounds; the error names it.
    """
    _check_metric(body["workload"])
    chosen = _chosen(optimizers)
    own = [one.entry for one in chosen if isinstance(one, Candidate)]
    names = [one.name if isinstance(one, Candidate) else one for one in chosen]
    known = built_in()
    try:
        asked = JobSpec.model_validate({**body, "optimizers": names})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise InvalidSpec(f"{field}: {first['msg']}", field=field, value=first["input"]) from None
    return resolve(asked, replace(known, optimizers=(*known.optimizers, *own)))


def _check_metric(workload: Mapping[str, Any]) -> None:
    if ("minimize" in workload) is ("maximize" in workload):
        both = "minimize" in workload
        given = "minimize and maximize are both" if both else "neither minimize nor maximize is"
        raise InvalidSpec(
            f"{given} given: say one of them, such as minimize='val_loss', with the name under which the "
            "function reports the metric",
            field="minimize",
        )


def _chosen(optimizers: Sequence[Asked] | None) -> list[Asked]:
    """Return the optimizers as a list.

    Raises:
        InvalidSpec: a class is among them.
    """
    if optimizers is None:
        return list(DEFAULT_OPTIMIZERS)
    chosen = list(optimizers)
    for one in chosen:
        if isinstance(one, type):
            raise InvalidSpec(
                f"optimizers has the class {one.__name__}: name an optimizer of the catalog, such as "
                f"'adamw', or say what is searched, whichopt.candidate({one.__name__}, space={{...}})",
                field="optimizers",
            )
    return chosen


def identity(spec: ResolvedSpec, source: str, optimizers: Sequence[Asked] | None) -> str:
    """Return what tells the question from another: the job as asked for, and all code that it is about."""
    own = [source_of(one.kind).sha256 for one in optimizers or () if isinstance(one, Candidate)]
    return hashlib.sha256(json.dumps([digest(spec), source, own]).encode()).hexdigest()

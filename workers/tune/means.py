"""Checks what `tune` is given besides the job itself, before anything runs."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path
from typing import Any, get_args

from whichopt.service.errors import InvalidSpec
from whichopt.workers.guests.executor import Isolation
from whichopt.workers.guests.rehearsal import Check


def check_means(
    processes: Any, isolation: Any, check: Any, options: Any, optimizers: Any, report: Any
) -> None:
    """Check the arguments of `tune` that are no part of a job, and those that would be misread.

    Raises:
        InvalidSpec: one is wrong; the error names it.
    """
    _check_word("isolation", isolation, get_args(Isolation))
    _check_word("check", check, get_args(Check))
    if processes is not None and (
        isinstance(processes, bool) or not isinstance(processes, int) or processes < 1
    ):
        raise InvalidSpec(
            f"processes={processes!r}: give a whole number of 1 or more, or leave it out for as many as "
            "there are cores",
            field="processes",
            value=processes,
        )
    if options is not None and not hasattr(options, "keys"):
        raise InvalidSpec(
            f"options={options!r}: give an object with names, as in {{'depth': 18}}",
            field="options",
            value=options,
        )
    if isinstance(optimizers, str):
        raise InvalidSpec(
            f"optimizers={optimizers!r}: give a list, as in [{optimizers!r}]",
            field="optimizers",
            value=optimizers,
        )
    if report is not None:
        _check_report(Path(report))


def _check_word(field: str, word: Any, allowed: Collection[str]) -> None:
    if word in allowed:
        return
    near = difflib.get_close_matches(str(word), allowed, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"choose one of: {', '.join(allowed)}"
    raise InvalidSpec(f"{field}={word!r}: {hint}", field=field, value=word, allowed=list(allowed))


def _check_report(path: Path) -> None:
    """Refuse a file that could not be written at the end, when hours may have been spent."""
    if path.is_dir():
        said = f"{path} is a folder: give a file in it, as in {path / 'report.html'}"
    elif not path.absolute().parent.is_dir():
        said = f"there is no folder {path.absolute().parent}: make it, or give another file"
    else:
        return
    raise InvalidSpec(f"report: {said}", field="report", value=str(path))

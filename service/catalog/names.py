"""Checks the names in an optimizer's facts that a snippet has as code: its import and its arguments."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TARGET = re.compile(rf"{_NAME.pattern}(?:\.{_NAME.pattern})+")


def check_target(target: str) -> None:
    """Check that `target` can be imported from a package, and is nothing else.

    Raises:
        ValueError: it is not a name with dots.
    """
    if not _TARGET.fullmatch(target):
        raise ValueError(f"target is {target!r}, but must be a name with dots, as 'torch.optim.Adam'")


def check_names(where: str, names: Iterable[str]) -> None:
    """Check that each of `names` can be the name of an argument.

    Raises:
        ValueError: one cannot; the error says which.
    """
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{where} names {name!r}, but a name has only letters, digits and underscores")

"""How an operator names the functions that jobs may train: `WHICHOPT_ALLOW`."""

from __future__ import annotations

import re

ALLOWED_NAME = r"(?a:[A-Za-z_][\w.]*:[A-Za-z_]\w*)"
"""Pattern of an allowed name, to be matched in full: a module and one function of it, in ASCII."""


def allowed_names(text: str) -> tuple[str, ...]:
    """Return the names of a list with commas between them, each once.

    Raises:
        ValueError: one is no name.
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name and not re.fullmatch(ALLOWED_NAME, name):
            raise ValueError(
                f"{name!r} is not the name of a function; allowed: a list such as "
                "ourlab.train:fit,ourlab.gan:train, each an exact module:function"
            )
    return tuple(dict.fromkeys(name for name in names if name))

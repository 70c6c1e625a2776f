"""The extras of the package: what each brings, and what to install if one is missing.

The base install is a client. What a command needs besides is looked for before it begins, so that whoever
lacks it reads what to install, and no traceback.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

Extra = Literal["verify", "service", "workers", "local"]

CORE = ("sqlalchemy", "alembic", "celery", "redis", "numpy", "scipy", "optuna", "structlog")

SERVICE = (*CORE, "fastapi", "uvicorn", "jinja2")
WORKERS = (*CORE, "torch", "pytorch_optimizer", "sklearn", "psutil")

BRINGS: dict[Extra, tuple[str, ...]] = {
    "verify": ("numpy", "scipy"),
    "service": SERVICE,
    "workers": WORKERS,
    "local": tuple(dict.fromkeys((*SERVICE, *WORKERS))),
}
"""Modules by which an extra is known to be there; `pyproject.toml` has the packages."""


def lacking(extra: Extra, what: str) -> str | None:
    """Return what to install, in one line, if a module of the extra is missing; None if all are there.

    Args:
        what: the command that needs it, as the subject of a sentence.
    """
    missing = [name for name in BRINGS[extra] if find_spec(name) is None]
    if not missing:
        return None
    more = f" and {len(missing) - 2} more" if len(missing) > 2 else ""
    names = ", ".join(missing[:2]) + more
    return f"{what} needs packages that are not installed ({names}): pip install 'whichopt[{extra}]'"
